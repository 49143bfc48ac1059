"""An error of onnxruntime comes in; its cause goes out, and both versions if a file is too new."""

import re

from lagotto.core.errors import reason

_FORMAT = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_OPERATORS = re.compile(
    r"Opset (\d+) is under development.*"
    r"Current official support for domain (\S+) is till opset (\d+)",
    re.DOTALL,
)


def onnx_refusal(error: BaseException, version: str) -> str:
    """Why onnxruntime refuses a file, in one line.

    Args:
        error: What onnxruntime raised.
        version: The version of the installed onnxruntime.

    Returns:
        The cause. If the file is newer than onnxruntime: the version of the file, the newest one
        that is read, and what to do.
    """
    text = str(error)
    if (found := _FORMAT.search(text)) is not None:
        what, of_file, newest = "ONNX IR version", found[1], found[2]
    elif (found := _OPERATORS.search(text)) is not None:
        what, of_file, newest = f"opset {found[2]}", found[1], found[3]
    else:
        return reason(error)
    return (
        f"the file has {what} {of_file}, and onnxruntime {version} reads up to {newest}; "
        "`pip install -U onnxruntime`, or export the model for an older version (opset 17)"
    )

"""A model file and the folder that was given come in; the name of the model goes out.

A name is the path inside the given folder, without the ending. Two things are not part of it: a
folder `onnx` or `tflite`, which only says what form the files have, and the way to a snapshot in
the Hugging Face cache, for which the name of the repository stands.
"""

import re
from pathlib import Path

from lagotto.models.metadata.unread.file_names import model_stem

_FORMS = frozenset({"onnx", "tflite"})
_REPOSITORY = "models--"
_VARIANT = re.compile(r"model[-_.](.+)", re.IGNORECASE | re.DOTALL)


def folder_name(folder: Path, root: Path) -> str:
    """The name of a folder with one model.

    Args:
        folder: The folder, absolute.
        root: The folder that was given: `folder` itself, or one above it.

    Example:
        >>> folder_name(Path("/models/birds/onnx"), Path("/models"))
        'birds'
    """
    within, above = folder.relative_to(root).parts, root.parts[1:]
    parts, start = (*above, *within), len(above)
    if parts and parts[-1].lower() in _FORMS and len(parts) > 1:
        parts = parts[:-1]
    snapshot = _snapshot(parts)
    if snapshot is not None and snapshot + 3 >= min(start, len(parts)):
        repository = parts[snapshot].removeprefix(_REPOSITORY).replace("--", "/")
        return "/".join((*parts[start:snapshot], repository, *parts[max(start, snapshot + 3) :]))
    return "/".join(parts[start:] or parts[-1:])


def file_name(file: Path, root: Path, is_lone: bool) -> str:
    """The name of a model file.

    Args:
        file: The file, absolute.
        root: The folder that was given, above the file.
        is_lone: No other model file is in its folder.

    Example:
        >>> root = Path("/models")
        >>> file_name(root / "birds/onnx/model_quantized.onnx", root, is_lone=False)
        'birds-quantized'
    """
    folder, stem = file.parent, model_stem(file)
    is_form = folder.name.lower() in _FORMS or _snapshot(folder.parts[1:]) is not None
    if stem.lower() == "model" and (is_lone or is_form):
        return folder_name(folder, root)
    variant = _VARIANT.fullmatch(stem)
    if is_form and variant is not None:
        return f"{folder_name(folder, root)}-{variant[1]}"
    if folder == root and not is_form:
        return stem
    title = folder_name(folder, root)
    return stem if folder == root and is_form and title == folder.name else f"{title}/{stem}"


def _snapshot(parts: tuple[str, ...]) -> int | None:
    """The position of `models--ORG--NAME`, where the path goes on to one of its snapshots."""
    for position, part in enumerate(parts[:-2]):
        if part.startswith(_REPOSITORY) and parts[position + 1] == "snapshots":
            return position
    return None

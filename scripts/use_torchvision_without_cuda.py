"""Lets the installed torchvision be imported beside a torch without CUDA, for `make frameworks`.

    python scripts/use_torchvision_without_cuda.py

The wheels of torchvision hold operators that were compiled for CUDA. Without CUDA they do not load,
which torchvision allows, but for `nms` and `qnms`: it registers them without looking whether they
are there. This declares them in that case. timm and open_clip call none of these operators; one
that is called raises.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

_MARK = "# declared for a torch without CUDA"
_DECLARATION = f"""

if not _has_ops():  {_MARK}
    for _name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{{_name}}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
"""


def main() -> None:
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        sys.exit("torchvision is not installed; first: pip install --no-deps torchvision")
    file = Path(package.origin).parent / "extension.py"
    text = file.read_text()
    if _MARK not in text:
        file.write_text(text + _DECLARATION)


if __name__ == "__main__":
    main()

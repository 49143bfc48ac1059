"""The folder of a model in a registry comes in; its model file, or why it has none, goes out."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import ModelError
from lagotto.core.files import read_at_most
from lagotto.core.types import Layout
from lagotto.models.metadata.description import MAX_EDGE, InputDescription

MAX_REGISTRY_BYTES = 1 << 20
"""Bytes of a file of a registry at most."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model of a registry.

    `form` is what its folder says that it is, for example "MLflow model (onnx)". `file` is the
    model file; None where the folder holds none that is read, and then `reason` and `recipe` say
    why and what to do. `older` are the folders of other versions. `may_hold` is True where its
    folder may hold a model of a form that is not read, which then says more.
    """

    form: str
    file: Path | None
    reason: str = ""
    recipe: str = ""
    older: tuple[Path, ...] = ()
    may_hold: bool = False


def registry_text(folder: Path, name: str) -> str | None:
    """The text of a registry's file in a folder; None if it is not there.

    Raises:
        ModelError: It is too large, or cannot be read.
    """
    file = folder / name
    try:
        if not file.is_file() or not stays_inside(file, link_roots(folder)):
            return None
        data = read_at_most(file, MAX_REGISTRY_BYTES)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}") from error
    if data is None:
        raise ModelError("is larger than 1 MB")
    return data.decode("utf-8-sig", errors="replace")


def tensor_input(shape: tuple[int, ...], layout: Layout | None = None) -> InputDescription:
    """The input that the shape of a tensor describes; empty if it is no tensor of pictures.

    Args:
        shape: With the axis of pictures; an axis of any size is -1.
        layout: Where it is known.
    """
    if len(shape) != 4:
        return InputDescription()
    channels_first = shape[1] in (1, 3) if layout is None else layout == "NCHW"
    channels_last = shape[3] in (1, 3) if layout is None else layout == "NHWC"
    if channels_first == channels_last:
        return InputDescription()
    height, width = shape[2:] if channels_first else shape[1:3]
    is_size = 1 <= height <= MAX_EDGE and 1 <= width <= MAX_EDGE
    return InputDescription(
        size=(height, width) if is_size else None, layout="NCHW" if channels_first else "NHWC"
    )

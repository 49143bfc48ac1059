"""What the file says of its input and what model.json adds → one InputSpec, or what is wrong."""

from lagotto.core.errors import ModelError
from lagotto.core.types import Channels, InputSpec, Layout, PixelSpec, Scale
from lagotto.models.description import MAX_EDGE, InputDescription
from lagotto.models.tensors import InputTensor, shape_text

MAX_FIXED_BATCH = 1024


def resolve_input(
    tensor: InputTensor, said: InputDescription, usual_layout: Layout
) -> tuple[InputSpec, tuple[str, ...]]:
    """How pictures are fed, and a note for each thing that neither file tells.

    `usual_layout` is taken where the shape leaves it open. Raises ModelError if the shape is not
    that of pictures, if size or channels stay unknown, or if model.json contradicts the file.
    """
    _check_shape(tensor)
    notes: list[str] = []
    layout = _layout(tensor, said, usual_layout)
    axes = (1, 2, 3) if layout == "NHWC" else (2, 3, 1)
    height, width, depth = (tensor.shape[axis] for axis in axes)
    channels = _channels(tensor, said, depth, notes)
    if said.dtype is not None and said.dtype != tensor.dtype:
        raise _contradiction("input.dtype", said.dtype, f"input is {tensor.dtype}")
    scale = _scale(tensor, said, notes)
    as_they_are = tensor.dtype in ("uint8", "int8") and scale == "0..255"
    if as_they_are and (any(said.mean) or set(said.std) - {1.0}):
        notes.append(f"mean and std left out: the {tensor.dtype} input takes pixels as they are")
    if channels == "L" and max(len(said.mean), len(said.std)) > 1:
        raise ModelError("model.json: input.mean and input.std have 3 numbers for 1 grey channel")
    size = _size(tensor, said, height, width)
    spec = InputSpec(
        pixels=PixelSpec(
            height=size[0],
            width=size[1],
            grey=channels == "L",
            resize=said.resize or "crop",
            crop_fraction=said.crop_fraction or 1.0,
            resample=said.resample or "bilinear",
        ),
        layout=layout,
        channels=channels,
        dtype=tensor.dtype,
        scale=scale,
        mean=() if as_they_are else said.mean,
        std=() if as_they_are else said.std,
    )
    return spec, tuple(notes)


def _check_shape(tensor: InputTensor) -> None:
    if len(tensor.shape) != 4:
        raise ModelError(
            f"input {tensor.name!r} has shape {shape_text(tensor.shape)}; an image classifier "
            "takes [batch, height, width, channels] or [batch, channels, height, width]"
        )
    batch = tensor.shape[0]
    if batch is not None and not 1 <= batch <= MAX_FIXED_BATCH:
        raise ModelError(f"input batch is {batch}; allowed: 1 to {MAX_FIXED_BATCH}, or open")


def _contradiction(key: str, said: object, truth: str) -> ModelError:
    return ModelError(
        f"model.json says {key} {said}, but the model's {truth}; correct model.json or remove {key}"
    )


def _layout(tensor: InputTensor, said: InputDescription, usual: Layout) -> Layout:
    shape = tensor.shape
    possible: list[Layout] = []
    if shape[3] in (1, 3, None):
        possible.append("NHWC")
    if shape[1] in (1, 3, None):
        possible.append("NCHW")
    if not possible:
        raise ModelError(
            f"input {tensor.name!r} has shape {shape_text(shape)}, where neither the second nor "
            "the last axis holds 1 or 3 channels; only RGB, BGR and grey models can be probed"
        )
    if said.layout is not None:
        if said.layout not in possible:
            raise _contradiction("input.layout", said.layout, f"input is {shape_text(shape)}")
        return said.layout
    sure: list[Layout] = [
        layout for layout in possible if shape[3 if layout == "NHWC" else 1] is not None
    ]
    candidates = sure or possible
    return usual if usual in candidates else candidates[0]


def _channels(
    tensor: InputTensor, said: InputDescription, depth: int | None, notes: list[str]
) -> Channels:
    if said.channels is None:
        if depth == 1:
            return "L"
        notes.append("channels assumed RGB: not in model.json")
        return "RGB"
    if depth is not None and (said.channels == "L") != (depth == 1):
        truth = f"input is {shape_text(tensor.shape)}, with {depth} channels"
        raise _contradiction("input.channels", said.channels, truth)
    return said.channels


def _scale(tensor: InputTensor, said: InputDescription, notes: list[str]) -> Scale:
    integer = tensor.dtype in ("uint8", "int8")
    if said.scale is None:
        if integer:
            return "0..255"
        notes.append("scale assumed 0..1: not in model.json")
        return "0..1"
    if integer and said.scale != "0..255" and tensor.quantisation is None:
        truth = f"{tensor.dtype} input has no quantisation to map it with"
        raise _contradiction("input.scale", said.scale, truth)
    return said.scale


def _size(
    tensor: InputTensor, said: InputDescription, height: int | None, width: int | None
) -> tuple[int, int]:
    if said.size is None and (height is None or width is None):
        raise ModelError(
            f"input {tensor.name!r} has the open shape {shape_text(tensor.shape)}; say the "
            'picture size in a model.json beside it: {"input": {"size": [224, 224]}}'
        )
    chosen = said.size or (height or 0, width or 0)
    for edge, fixed in zip(chosen, (height, width), strict=True):
        if fixed is not None and edge != fixed:
            truth = f"input is {shape_text(tensor.shape)}"
            raise _contradiction("input.size", list(chosen), truth)
    if not all(1 <= edge <= MAX_EDGE for edge in chosen):
        raise ModelError(f"input size is {list(chosen)}; allowed: edges of 1 to {MAX_EDGE} pixels")
    return chosen

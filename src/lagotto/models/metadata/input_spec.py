"""The input tensor, model.json and embedded metadata come in; one InputSpec goes out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lagotto.core.errors import ModelError
from lagotto.core.types import Channels, Decision, InputSpec, Layout, Origin, PixelSpec, Scale
from lagotto.models.files.tensors import INTEGERS, InputTensor, shape_text
from lagotto.models.metadata.description import MAX_EDGE, InputDescription

MAX_FIXED_BATCH = 1024
IN_FILE: Origin = "file"
"""The origin of what stands in the model file itself."""

OF_ARCHITECTURE: Origin = "architecture"
"""The origin of what is usual for the network of the model, and may be otherwise here."""


@dataclass(frozen=True, slots=True)
class FoundInput:
    """A description of the input that is not from model.json, and its origin.

    `origin` is "file" or the name of a file beside it. Parts that contradict the tensor are left
    out. `maps_integers` is True if its scale also holds for quantized integers, which stand for
    scaled pixels.
    """

    origin: Origin
    input: InputDescription
    maps_integers: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """The input of a model, the origin of each part of it, and notes for a reader."""

    spec: InputSpec
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]


def resolve_input(
    tensor: InputTensor,
    declared: InputDescription,
    default_layout: Layout,
    found: Sequence[FoundInput] = (),
) -> ResolvedInput:
    """Decides the input of a model: from model.json, else from what was found, else by default.

    Args:
        tensor: The input tensor as the file declares it.
        declared: The input part of model.json.
        default_layout: The layout to assume if the shape fits both.
        found: What the file and the files beside it say, the preferred first; parts that
            contradict the tensor are left out, with a note for a file beside it.

    Returns:
        The input, with a decision (value and origin) for each part.

    Raises:
        ModelError: The shape is not that of pictures, the size stays unknown, or model.json
            contradicts the file.
    """
    _check_shape(tensor)
    notes: list[str] = []
    layout, from_layout = _layout(tensor, declared, default_layout)
    axes = (1, 2, 3) if layout == "NHWC" else (2, 3, 1)
    height, width, depth = (tensor.shape[axis] for axis in axes)
    fitting = [_fitting(item, tensor, (height, width), depth, notes) for item in found]
    channels, from_channels = _channels(tensor, declared, fitting, depth)
    if declared.dtype is not None and declared.dtype != tensor.dtype:
        raise _contradiction("input.dtype", declared.dtype, f"input is {tensor.dtype}")
    scale, scaled_by = _scale(tensor, declared, fitting)
    from_scale: Origin = scaled_by if isinstance(scaled_by, str) else scaled_by.origin
    mean, std = declared.mean, declared.std
    if isinstance(scaled_by, FoundInput) and not mean and not std:
        mean, std = scaled_by.input.mean, scaled_by.input.std
    as_they_are = tensor.dtype in INTEGERS and scale == "0..255"
    if as_they_are and (any(declared.mean) or set(declared.std) - {1.0}):
        notes.append(f"mean and std left out: the {tensor.dtype} input takes pixels as they are")
    if channels == "L" and max(len(mean), len(std)) > 1:
        raise ModelError("model.json: input.mean and input.std have 3 numbers for 1 grey channel")
    size, from_size = _size(tensor, declared, fitting, (height, width))
    cut = next((item for item in fitting if item.input.resize is not None), None)
    resize, from_resize = (None, "assumed") if cut is None else (cut.input.resize, cut.origin)
    crop_fraction = None if cut is None else cut.input.crop_fraction
    if declared.resize is not None or declared.crop_fraction is not None:
        from_resize = "model.json" if declared.resize else "assumed"
        resize, crop_fraction = declared.resize, declared.crop_fraction
    resamples = (declared.resample, *(item.input.resample for item in fitting))
    spec = InputSpec(
        pixels=PixelSpec(
            height=size[0],
            width=size[1],
            grey=channels == "L",
            resize=resize or "crop",
            crop_fraction=crop_fraction or 1.0,
            resample=next((name for name in resamples if name is not None), "bilinear"),
        ),
        layout=layout,
        channels=channels,
        dtype=tensor.dtype,
        scale=scale,
        mean=() if as_they_are else mean,
        std=() if as_they_are else std,
    )
    decisions = (
        Decision("size", f"{size[0]}x{size[1]}", from_size),
        Decision("layout", layout, from_layout),
        Decision("channels", channels, from_channels),
        Decision("scale", scale_text(spec), from_scale),
        Decision("resize", spec.pixels.resize, from_resize),
    )
    return ResolvedInput(spec, decisions, (*_assumptions(decisions), *notes))


def scale_text(spec: InputSpec) -> str:
    """The normalization in words: `0..1`, or `0..1, mean 0.5, std 0.5`."""
    parts: list[str] = [spec.scale]
    for name, values, plain in (("mean", spec.mean, 0.0), ("std", spec.std, 1.0)):
        if any(value != plain for value in values):
            parts.append(f"{name} {' '.join(f'{value:g}' for value in values)}")
    return ", ".join(parts)


def _assumptions(decisions: tuple[Decision, ...]) -> tuple[str, ...]:
    return tuple(
        f"{decision.field} assumed {decision.value}: not in model.json"
        for decision in decisions
        if decision.origin == "assumed" and decision.field in ("channels", "scale")
    )


def _fitting(
    item: FoundInput,
    tensor: InputTensor,
    sizes: tuple[int | None, int | None],
    depth: int | None,
    notes: list[str],
) -> FoundInput:
    """A found description without the parts that the tensor contradicts.

    Of a file beside the model, each such part is added to the notes.
    """
    kept, left_out = item.input, []
    if kept.size is not None and any(
        fixed not in (None, edge) for edge, fixed in zip(kept.size, sizes, strict=True)
    ):
        left_out.append(f"size {kept.size[0]}x{kept.size[1]}")
        kept = replace(kept, size=None)
    if kept.channels is not None and depth is not None and (kept.channels == "L") != (depth == 1):
        left_out.append(f"channels {kept.channels}")
        kept = replace(kept, channels=None)
    grey = depth == 1 or kept.channels == "L"
    if grey and max(len(kept.mean), len(kept.std)) > 1:
        left_out.append("mean and std of 3 channels")
        kept = replace(kept, scale=None, mean=(), std=())
    is_integer = tensor.dtype in INTEGERS
    if is_integer and not (item.maps_integers and tensor.quantization is not None):
        if item.maps_integers and kept.scale not in (None, "0..255"):
            left_out.append(f"scale {kept.scale} (the input takes {tensor.dtype} pixels)")
        kept = replace(kept, scale=None, mean=(), std=())
    if left_out and item.origin != IN_FILE:
        notes.append(
            f"{item.origin}: {', '.join(left_out)} not used: the input is "
            f"{shape_text(tensor.shape)}"
        )
    return replace(item, input=kept)


def _check_shape(tensor: InputTensor) -> None:
    if len(tensor.shape) != 4:
        raise ModelError(
            f"input {tensor.name!r} has shape {shape_text(tensor.shape)}; an image classifier "
            "takes [batch, height, width, channels] or [batch, channels, height, width]: export it "
            "with one of these"
        )
    batch = tensor.shape[0]
    if batch is not None and not 1 <= batch <= MAX_FIXED_BATCH:
        raise ModelError(f"input batch is {batch}; allowed: 1 to {MAX_FIXED_BATCH}, or open")


def _contradiction(key: str, declared: object, actual: str) -> ModelError:
    return ModelError(
        f"model.json says {key} {declared}, but the model's {actual}; "
        f"correct model.json or remove {key}"
    )


def _layout(
    tensor: InputTensor, declared: InputDescription, default: Layout
) -> tuple[Layout, Origin]:
    shape = tensor.shape
    possible: list[Layout] = []
    if shape[3] in (1, 3, None):
        possible.append("NHWC")
    if shape[1] in (1, 3, None):
        possible.append("NCHW")
    if not possible:
        raise ModelError(
            f"input {tensor.name!r} has shape {shape_text(shape)}, where neither the second nor "
            "the last axis holds 1 or 3 channels; only RGB, BGR and grey models can be probed: "
            "export it without further channels (such as alpha)"
        )
    if declared.layout is not None:
        if declared.layout not in possible:
            raise _contradiction("input.layout", declared.layout, f"input is {shape_text(shape)}")
        return declared.layout, "model.json"
    certain: list[Layout] = [
        layout for layout in possible if shape[3 if layout == "NHWC" else 1] is not None
    ]
    candidates = certain or possible
    layout = default if default in candidates else candidates[0]
    return layout, "file" if len(candidates) == 1 else "assumed"


def _channels(
    tensor: InputTensor,
    declared: InputDescription,
    found: Sequence[FoundInput],
    depth: int | None,
) -> tuple[Channels, Origin]:
    if declared.channels is None:
        for item in found:
            if item.input.channels is not None:
                return item.input.channels, item.origin
        return ("L", "file") if depth == 1 else ("RGB", "assumed")
    if depth is not None and (declared.channels == "L") != (depth == 1):
        actual = f"input is {shape_text(tensor.shape)}, with {depth} channels"
        raise _contradiction("input.channels", declared.channels, actual)
    return declared.channels, "model.json"


def _scale(
    tensor: InputTensor, declared: InputDescription, found: Sequence[FoundInput]
) -> tuple[Scale, Origin | FoundInput]:
    """The scale, and its origin: what was found, where it is from there."""
    integer = tensor.dtype in INTEGERS
    if declared.scale is None:
        scaled = next((item for item in found if item.input.scale is not None), None)
        if scaled is not None and not declared.mean and not declared.std:
            return scaled.input.scale or "0..1", scaled
        return ("0..255", "file") if integer else ("0..1", "assumed")
    if integer and declared.scale != "0..255" and tensor.quantization is None:
        actual = f"{tensor.dtype} input has no quantization to map it with"
        raise _contradiction("input.scale", declared.scale, actual)
    return declared.scale, "model.json"


def _size(
    tensor: InputTensor,
    declared: InputDescription,
    found: Sequence[FoundInput],
    fixed_size: tuple[int | None, int | None],
) -> tuple[tuple[int, int], Origin]:
    height, width = fixed_size
    size, origin = declared.size, "model.json"
    for item in found:
        if size is None and item.input.size is not None:
            size, origin = item.input.size, item.origin
    if size is None and (height is None or width is None):
        raise ModelError(
            f"input {tensor.name!r} has the open shape {shape_text(tensor.shape)}; say the "
            'picture size in a model.json beside it: {"input": {"size": [224, 224]}}'
        )
    if height is not None and width is not None and declared.size is None:
        size, origin = (height, width), "file"
    size = size or (height or 0, width or 0)
    for edge, fixed in zip(size, fixed_size, strict=True):
        if fixed is not None and edge != fixed:
            actual = f"input is {shape_text(tensor.shape)}"
            raise _contradiction("input.size", list(size), actual)
    if not all(1 <= edge <= MAX_EDGE for edge in size):
        raise ModelError(f"input size is {list(size)}; allowed: edges of 1 to {MAX_EDGE} pixels")
    return size, origin

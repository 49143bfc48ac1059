"""A layer that changes the size of pictures comes in; Resize as TensorFlow computes it goes out."""

from typing import Any

from lagotto.models.keras.graph import Tensor
from lagotto.models.keras.layers.convolution import has_channels_first
from lagotto.models.keras.layers.layer import Layer
from lagotto.models.keras.layers.shaping import sliced

_MOST_EDGE = 4096


def write_upsampling(layer: Layer) -> Tensor:
    """UpSampling1D and UpSampling2D, nearest or bilinear."""
    graph = layer.graph
    if layer.config.kind == "UpSampling1D":
        tensor = layer.ranked(3)
        (factor,) = layer.settings.sizes("size", 1, 2)
        steps = tensor.shape[1]
        shape = (tensor.shape[0], None if steps is None else steps * factor, tensor.shape[2])
        return _by_factors(layer, tensor, [1.0, 1.0, float(factor)], "nearest", shape, True)
    tensor = layer.ranked(4)
    factors = layer.settings.sizes("size", 2, 2)
    mode = layer.settings.choice("interpolation", "nearest", "nearest", "bilinear")
    first = 2 if has_channels_first(layer) else 1
    sizes = list(tensor.shape)
    for axis, factor in enumerate(factors):
        size = tensor.shape[first + axis]
        sizes[first + axis] = None if size is None else size * factor
    graph.see(tensor)
    scales = [1.0, 1.0, *map(float, factors)]
    return _by_factors(layer, tensor, scales, mode, tuple(sizes), not has_channels_first(layer))


def _by_factors(
    layer: Layer,
    tensor: Tensor,
    scales: list[float],
    mode: str,
    shape: tuple[int | None, ...],
    moves: bool,
) -> Tensor:
    graph = layer.graph
    given = graph.moved(tensor) if moves else graph.plain(tensor)
    factors = graph.floats(scales)
    nearest: dict[str, Any] = {
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    linear: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel"}
    how = nearest if mode == "nearest" else linear
    onnx_mode = "nearest" if mode == "nearest" else "linear"
    (name,) = graph.operator("Resize", [given, "", factors], layer.name, mode=onnx_mode, **how)
    return Tensor(name, shape, moves)


def write_resizing(layer: Layer) -> Tensor:
    """Resizing to a height and a width, without smoothing (antialias)."""
    settings = layer.settings
    if settings.flag("crop_to_aspect_ratio", False):
        return _cropped_and_resized(layer, _mode(layer))
    if settings.flag("pad_to_aspect_ratio", False):
        settings.refuse("pad_to_aspect_ratio", "false")
    return resized(layer, layer.ranked(4), _target(layer), _mode(layer))


def _target(layer: Layer) -> tuple[int, int]:
    height, width = layer.settings.integer("height"), layer.settings.integer("width")
    for key, edge in (("height", height), ("width", width)):
        if edge > _MOST_EDGE:
            layer.settings.refuse(key, f"1 to {_MOST_EDGE}")
    return height, width


def _mode(layer: Layer) -> str:
    return layer.settings.choice("interpolation", "bilinear", "bilinear", "nearest")


def resized(layer: Layer, tensor: Tensor, target: tuple[int, int], mode: str) -> Tensor:
    """A batch of pictures in another size; pixels are taken as squares with their centers."""
    graph = layer.graph
    first = 2 if has_channels_first(layer) else 1
    moves = not has_channels_first(layer)
    shape = (*tensor.shape[:first], *target, *tensor.shape[first + 2 :])
    if tensor.shape[first : first + 2] == target:
        return tensor
    given = graph.moved(tensor) if moves else graph.plain(tensor)
    (head,) = graph.operator("Shape", [given], layer.name, start=0, end=2)
    sizes = graph.integers(target)
    (wanted,) = graph.operator("Concat", [head, sizes], layer.name, axis=0)
    how: dict[str, Any] = (
        {"mode": "linear"} if mode == "bilinear" else {"mode": "nearest", "nearest_mode": "floor"}
    )
    coordinate = "half_pixel" if mode == "bilinear" else "tf_half_pixel_for_nn"
    (name,) = graph.operator(
        "Resize",
        [given, "", "", wanted],
        layer.name,
        coordinate_transformation_mode=coordinate,
        **how,
    )
    graph.hand_on([tensor], name)
    return Tensor(name, shape, moves)


def _cropped_and_resized(layer: Layer, mode: str = "bilinear") -> Tensor:
    """The largest part in the middle with the proportions of the target, then in its size."""
    tensor, target = layer.ranked(4), _target(layer)
    first = 2 if has_channels_first(layer) else 1
    height = layer.known(tensor.shape[first], "input size")
    width = layer.known(tensor.shape[first + 1], "input size")
    crop_height = min(int(width * target[0] / target[1]), height)
    crop_width = min(int(height * target[1] / target[0]), width)
    top = int(float(height - crop_height) / 2)
    left = int(float(width - crop_width) / 2)
    bounds: dict[int, tuple[int | None, int | None, int]] = {
        first: (top, top + crop_height, 1),
        first + 1: (left, left + crop_width, 1),
    }
    return resized(layer, sliced(layer, tensor, bounds), target, mode)


def write_center_crop(layer: Layer) -> Tensor:
    """CenterCrop; smaller pictures are enlarged first."""
    tensor, target = layer.ranked(4), _target(layer)
    first = 2 if has_channels_first(layer) else 1
    height = layer.known(tensor.shape[first], "input size")
    width = layer.known(tensor.shape[first + 1], "input size")
    if height < target[0] or width < target[1]:
        return _cropped_and_resized(layer)
    top, left = (height - target[0]) // 2, (width - target[1]) // 2
    bounds: dict[int, tuple[int | None, int | None, int]] = {
        first: (top, top + target[0], 1),
        first + 1: (left, left + target[1], 1),
    }
    return sliced(layer, tensor, bounds)


def write_random_crop(layer: Layer) -> Tensor:
    """RandomCrop as a trained model runs it: the largest part in the middle, in the new size.

    Some releases of Keras 3 leave the picture as it is, so there it must have the size already.
    """
    tensor = layer.ranked(4)
    first = 2 if has_channels_first(layer) else 1
    if layer.config.version >= 3 and tensor.shape[first : first + 2] != _target(layer):
        layer.refuse(
            "changes the size of pictures, and releases of Keras 3 differ in how; give the model "
            "pictures of its size, without it"
        )
    return _cropped_and_resized(layer)

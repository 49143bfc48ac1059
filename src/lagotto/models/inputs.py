"""uint8 pixels come in; the input tensor that a model expects goes out."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Num, UInt8

from lagotto.core.errors import ModelError
from lagotto.core.types import InputSpec, Scale
from lagotto.models.files.tensors import INTEGERS, Quantization

# pixel * gain + offset, as (gain, offset)
_SCALES: dict[Scale, tuple[float, float]] = {
    "0..255": (1.0, 0.0),
    "0..1": (1 / 255, 0.0),
    "-1..1": (2 / 255, -1.0),
}


def prepare_tensor(
    pixels: UInt8[np.ndarray, "images height width channels"],
    spec: InputSpec,
    quantization: Quantization | None = None,
) -> Num[np.ndarray, "images a b c"]:
    """The input tensor of pictures that were decoded to `spec.pixels`; contiguous.

    Args:
        pixels: uint8, shape [images, height, width, channels], channels in RGB order.
        spec: How pixels become numbers; `mean` and `std` are in the order of `spec.channels`.
        quantization: Of the input tensor. An integer input of scale 0..255 takes the pixels as they
            are (int8: minus 128) and needs none. With any other scale, the scaled values are
            quantized by it.

    Returns:
        The tensor in `spec.layout` and `spec.dtype`.

    Raises:
        ModelError: The quantization is needed and missing.
    """
    if spec.channels == "BGR":
        pixels = pixels[..., ::-1]
    if spec.dtype in INTEGERS and spec.scale != "0..255":
        if quantization is None:
            raise ModelError(
                f"an input of {spec.dtype} without quantization cannot have scale {spec.scale}; "
                "allowed: 0..255"
            )
        pixels = _quantized(pixels, spec, quantization)
    moved = pixels.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else pixels
    if spec.dtype == "uint8":
        return np.ascontiguousarray(moved)
    if spec.dtype in ("int32", "int64"):
        return moved.astype(spec.dtype, order="C")
    if spec.dtype == "int8":
        plain = np.ascontiguousarray(moved)
        return plain if plain.dtype == np.int8 else (plain ^ np.uint8(128)).view(np.int8)
    tensor = moved.astype(np.float32, order="C")
    _map_in_place(tensor, spec)
    return tensor.astype(spec.dtype, copy=False)


@lru_cache(maxsize=64)
def _affine(
    spec: InputSpec,
) -> tuple[Float64[np.ndarray, " channels"], Float64[np.ndarray, " channels"]]:
    """Gain and offset of each channel, so that input = pixel * gain + offset."""
    gain, offset = _SCALES[spec.scale]
    channels = spec.pixels.shape[2]
    mean = np.broadcast_to(np.array(spec.mean or (0.0,)), (channels,))
    std = np.broadcast_to(np.array(spec.std or (1.0,)), (channels,))
    return gain / std, (offset - mean) / std


def _map_in_place(tensor: Num[np.ndarray, "images a b c"], spec: InputSpec) -> None:
    gain, offset = (values.astype(np.float32) for values in _affine(spec))
    if len(set(gain)) == 1 and len(set(offset)) == 1:
        target, gain, offset = tensor, gain[0], offset[0]
    elif spec.layout == "NCHW":
        target, gain, offset = tensor, gain[:, None, None], offset[:, None, None]
    else:  # one row of pixels at a time is three times faster than an inner axis of 3
        images, height, width, channels = tensor.shape
        target = tensor.reshape(images, height, width * channels)
        gain, offset = np.tile(gain, width), np.tile(offset, width)
    if np.any(gain != 1):
        np.multiply(target, gain, out=target)
    if np.any(offset != 0):
        np.add(target, offset, out=target)


def _quantized(
    pixels: UInt8[np.ndarray, "images height width channels"],
    spec: InputSpec,
    quantization: Quantization,
) -> Num[np.ndarray, "images height width channels"]:
    """Each pixel quantized, through a table of 256 values for its channel."""
    gain, offset = _affine(spec)
    real = np.arange(256)[:, None] * gain + offset
    dtype = np.dtype(spec.dtype)
    limits = np.iinfo(dtype)
    integers = np.rint(real / quantization.scale) + quantization.zero_point
    tables = np.clip(integers, limits.min, limits.max).astype(dtype)
    mapped = np.empty(pixels.shape, dtype)
    for channel in range(pixels.shape[3]):
        mapped[..., channel] = tables[:, channel][pixels[..., channel]]
    return mapped

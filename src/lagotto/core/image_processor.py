"""Hugging Face image-processor settings come in; a PixelSpec and a scaling of pixels go out.

Every setting is either reproduced exactly or refused by name. A network that gets its pictures in
another form than in training raises no error; its answers are only worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import LagottoError
from lagotto.core.types import JsonObject, JsonValue, PixelSpec, Resample

_RESAMPLES: dict[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_MAX_NUMBER = 1e30
_NO_PROCESSORS = ("AutoImageProcessor", "AutoFeatureExtractor", "AutoProcessor", "ImageProcessor")
"""Names that some exports write for an image processor and that name none."""

_CLIP: JsonObject = {
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_STRETCH: JsonObject = {
    "size": {"height": 224, "width": 224},
    "resample": 3,
    "do_center_crop": False,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_DEIT: JsonObject = {
    **_STRETCH,
    "size": {"height": 256, "width": 256},
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
}
_MOBILENET: JsonObject = {
    **_DEIT,
    "size": {"shortest_edge": 256},
    "resample": 2,
}
_CONVNEXT: JsonObject = {
    **_STRETCH,
    "size": {"shortest_edge": 384},
    "crop_pct": 224 / 256,
}
_DEFAULTS: dict[str, JsonObject] = {
    "CLIPImageProcessor": _CLIP,
    "CLIPFeatureExtractor": _CLIP,
    "ChineseCLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "SiglipImageProcessor": _STRETCH,
    "ViTImageProcessor": {**_STRETCH, "resample": 2},
    "ViTFeatureExtractor": {**_STRETCH, "resample": 2},
    "DeiTImageProcessor": _DEIT,
    "DeiTFeatureExtractor": _DEIT,
    "BeitImageProcessor": _STRETCH,
    "BeitFeatureExtractor": _STRETCH,
    "MobileNetV1ImageProcessor": _MOBILENET,
    "MobileNetV2ImageProcessor": _MOBILENET,
    "ConvNextImageProcessor": _CONVNEXT,
    "ConvNextFeatureExtractor": _CONVNEXT,
}
"""The value that each image processor of the transformers library takes for a missing key."""

_SWITCHES_REFUSED = ("do_pad", "do_flip_channel_order", "rescale_offset", "use_square_size")
_CONVNEXT_WHOLE = 384
"""From this edge length on, ConvNextImageProcessor stretches the picture and crops nothing."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pixels become a network's input: `(pixels * rescale - mean) / std`, channels first."""

    pixels: PixelSpec
    rescale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def canonical(self) -> JsonValue:
        """Everything that changes an embedding, as JSON for the fingerprint."""
        spec = self.pixels
        picture: list[JsonValue] = [spec.height, spec.width, spec.resize, spec.crop_fraction]
        return [*picture, spec.resample, self.rescale, [*self.mean], [*self.std]]

    def tensor(
        self, pixels: UInt8[np.ndarray, "images height width 3"]
    ) -> Float32[np.ndarray, "images 3 height width"]:
        """The input of the network for pictures of the form of `pixels`."""
        scale = np.array([self.rescale / std for std in self.std], np.float32)
        offset = np.array([-m / s for m, s in zip(self.mean, self.std, strict=True)], np.float32)
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
        planes *= scale[:, None, None]
        planes += offset[:, None, None]
        return planes


def read_image_processor(
    settings: JsonObject, error: type[LagottoError], siglip: bool = False
) -> Preprocessing:
    """The preprocessing that a preprocessor_config.json describes.

    Args:
        settings: The content of the file.
        error: The class of the error to raise.
        siglip: Take the defaults of SiglipImageProcessor, not of CLIPImageProcessor, where the
            settings do not name their processor.

    Raises:
        error: A setting cannot be reproduced exactly; the message names its key.
    """
    try:
        return _read(settings, siglip)
    except _RefusedError as refused:
        raise error(str(refused)) from refused


class _RefusedError(Exception):
    """A setting that cannot be reproduced."""


def _read(settings: JsonObject, siglip: bool) -> Preprocessing:
    defaults = _defaults(settings, siglip)
    merged = {**defaults, **{key: value for key, value in settings.items() if value is not None}}
    if not merged.get("do_resize", True):
        _refuse("do_resize", False, "true: pictures come in many sizes")
    for key in _SWITCHES_REFUSED:
        if merged.get(key):
            _refuse(key, merged[key], "false")
    rescale = merged.get("rescale_factor", 1 / 255) if merged.get("do_rescale", True) else 1.0
    if isinstance(rescale, bool) or not isinstance(rescale, int | float) or not rescale > 0:
        _refuse("rescale_factor", rescale, "a number above 0")
    normalize = merged.get("do_normalize", True)
    mean = _three("image_mean", merged["image_mean"]) if normalize else (0.0, 0.0, 0.0)
    std = _three("image_std", merged["image_std"]) if normalize else (1.0, 1.0, 1.0)
    if min(std) <= 0:
        _refuse("image_std", list(std), "numbers above 0")
    keeps_aspect = "shortest_edge" in str(defaults["size"])
    return Preprocessing(_pixels(merged, keeps_aspect), float(rescale), mean, std)


def _defaults(settings: JsonObject, siglip: bool) -> JsonObject:
    processor = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if processor is None or processor in _NO_PROCESSORS:
        return _STRETCH if siglip else _CLIP
    name = str(processor)
    for suffix in ("Fast", "Pil"):
        name = name.removesuffix(suffix)
    if name not in _DEFAULTS:
        _refuse("image_processor_type", processor, f"one of {', '.join(_DEFAULTS)}")
    return _DEFAULTS[name]


def _pixels(merged: JsonObject, keeps_aspect: bool) -> PixelSpec:
    """Size, resize rule and resampling; with `keeps_aspect` a bare number is the shortest edge."""
    resample = _resample(merged["resample"])
    size = _size(merged["size"], keeps_aspect)
    if "crop_pct" in merged:
        return _convnext_pixels(size, merged["crop_pct"], resample)
    crop = _square(merged.get("crop_size")) if merged.get("do_center_crop") else None
    if isinstance(size, tuple):
        if crop is not None and (size[0] != size[1] or crop > size[0]):
            allowed = f"the size itself, {size[0]} x {size[1]}, or a part of a square one"
            _refuse("crop_size", merged.get("crop_size"), allowed)
        height, width = (crop, crop) if crop is not None else size
        return PixelSpec(
            height, width, resize="stretch", crop_fraction=height / size[0], resample=resample
        )
    if crop is None:
        _refuse("do_center_crop", False, "true, or a size of height and width: not all are square")
    if crop > size:
        _refuse("crop_size", merged.get("crop_size"), f"at most the shortest edge, {size}")
    return PixelSpec(crop, crop, crop_fraction=crop / size, resample=resample)


def _resample(code: JsonValue) -> Resample:
    """The filter of a number of Pillow, or of a name such as bicubic or Resampling.BICUBIC."""
    name = code.rpartition(".")[2].strip().lower() if isinstance(code, str) else ""
    for number, resample in _RESAMPLES.items():
        if name == resample or (code == number and not isinstance(code, bool | float)):
            return resample
    return _refuse("resample", code, "0 or nearest, 1 or lanczos, 2 or bilinear, 3 or bicubic")


def _convnext_pixels(
    size: int | tuple[int, int], crop_pct: JsonValue, resample: Resample
) -> PixelSpec:
    """The pixels of ConvNextImageProcessor: the share `crop_pct` of a small edge, else all."""
    edge = size if isinstance(size, int) else size[0]
    if (
        isinstance(crop_pct, bool)
        or not isinstance(crop_pct, int | float)
        or not 0.05 <= crop_pct <= 1
    ):
        _refuse("crop_pct", crop_pct, "a number from 0.05 to 1")
    if edge >= _CONVNEXT_WHOLE:
        return PixelSpec(edge, edge, resize="stretch", resample=resample)
    return PixelSpec(edge, edge, crop_fraction=edge / int(edge / crop_pct), resample=resample)


def _size(size: JsonValue, keeps_aspect: bool) -> int | tuple[int, int]:
    """A shortest edge, or (height, width)."""
    if isinstance(size, list) and len(size) == 2:
        return _length("size", size[0]), _length("size", size[1])
    if isinstance(size, dict) and set(size) == {"height", "width"}:
        return _length("size", size["height"]), _length("size", size["width"])
    if isinstance(size, dict) and set(size) == {"shortest_edge"}:
        return _length("size", size["shortest_edge"])
    if isinstance(size, dict):
        _refuse("size", size, "a number, {shortest_edge} or {height, width}")
    edge = _length("size", size)
    return edge if keeps_aspect else (edge, edge)


def _square(size: JsonValue) -> int:
    """The edge of a centre crop."""
    if isinstance(size, list) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if isinstance(size, dict):
        edges = [_length("crop_size", size.get(key)) for key in ("height", "width")]
        if set(size) != {"height", "width"} or edges[0] != edges[1]:
            _refuse("crop_size", size, "a number or equal height and width")
        return edges[0]
    return _length("crop_size", size)


def _length(key: str, value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 8192:
        _refuse(key, value, "whole numbers of pixels from 1 to 8192")
    return value


def _three(key: str, value: JsonValue) -> tuple[float, float, float]:
    """Three numbers, one a channel; a single number counts for all three."""
    values: Sequence[JsonValue] = value if isinstance(value, list) else [value] * 3
    numbers = [float(v) for v in values if isinstance(v, int | float) and abs(v) < _MAX_NUMBER]
    if len(numbers) != 3 or len(values) != 3:
        _refuse(key, value, "three finite numbers, one a colour channel")
    return numbers[0], numbers[1], numbers[2]


def _refuse(key: str, value: JsonValue, allowed: str) -> NoReturn:
    raise _RefusedError(
        f"preprocessor_config.json: {key} is {value!r}, which this version cannot reproduce; "
        f"allowed: {allowed}"
    )

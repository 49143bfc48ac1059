"""Settings of pictures as exports write them come in; the preprocessing of an encoder goes out."""

from lagotto.core.errors import EncoderError
from lagotto.core.image_processor import Preprocessing, read_image_processor
from lagotto.core.types import JsonObject, JsonValue

_OPEN_CLIP_MEAN: list[JsonValue] = [0.48145466, 0.4578275, 0.40821073]
_OPEN_CLIP_STD: list[JsonValue] = [0.26862954, 0.26130258, 0.27577711]


def read_preprocessing(settings: JsonObject, siglip: bool = False) -> Preprocessing:
    """The preprocessing that the settings describe; EncoderError for what cannot be reproduced."""
    return read_image_processor(settings, EncoderError, siglip)


def open_clip_settings(pictures: JsonObject, network: JsonObject) -> JsonObject:
    """What open_clip says of pictures, in the terms of a preprocessor_config.json.

    Args:
        pictures: `preprocess_cfg` of open_clip_config.json, or preprocess_cfg.json.
        network: The settings of the network, which say its picture size where `pictures` does not.

    Raises:
        EncoderError: The size is not said, or pictures are padded, which is not reproduced.
    """
    size = pictures.get("size") or _stated_size(network)
    if size is None:
        raise EncoderError(
            "preprocess_cfg: no size, and none in the settings of the network; add "
            '"size": [HEIGHT, WIDTH] to it'
        )
    mode = pictures.get("resize_mode") or "shortest"
    if mode not in ("shortest", "squash"):
        raise EncoderError(
            f"preprocess_cfg: resize_mode is {mode!r}, which this version cannot reproduce; "
            "allowed: shortest, squash"
        )
    edges: JsonValue = size if isinstance(size, list) else [size, size]
    square = edges[0] if isinstance(edges, list) and len(set(map(str, edges))) == 1 else None
    if mode == "shortest" and square is None:
        raise EncoderError(
            f"preprocess_cfg: size is {size!r} with resize_mode shortest; allowed: equal height "
            "and width, or resize_mode squash"
        )
    cut: JsonObject = {"size": {"shortest_edge": square}, "crop_size": square}
    return {
        "image_processor_type": "CLIPImageProcessor",
        **(cut if mode == "shortest" else {"size": edges}),
        "do_center_crop": mode == "shortest",
        "resample": pictures.get("interpolation") or "bicubic",
        "image_mean": pictures.get("mean") or _OPEN_CLIP_MEAN,
        "image_std": pictures.get("std") or _OPEN_CLIP_STD,
    }


def _stated_size(network: JsonObject) -> JsonValue:
    """The picture size in the settings of a network, as open_clip and as transformers name it."""
    for name in ("vision_cfg", "vision_config"):
        section = network.get(name)
        if isinstance(section, dict) and section.get("image_size"):
            return section["image_size"]
    return None

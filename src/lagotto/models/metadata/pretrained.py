"""A folder written by save_pretrained comes in; its library, labels and input go out."""

import re
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.files import read_json
from lagotto.core.image_processor import read_image_processor
from lagotto.core.parsing.hf_config import check_config
from lagotto.core.text.clean import clean_text
from lagotto.core.types import JsonObject, JsonValue

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
WEIGHTS_FILES = "model.safetensors"

_WITHOUT_EFFECT = frozenset(
    {
        *("id2label", "label2id", "label_names", "label_descriptions", "_name_or_path"),
        *("transformers_version", "architectures", "finetuning_task", "problem_type"),
    }
)
"""Keys of config.json that change no logit."""

_STATISTICS = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
_UNNAMED = re.compile(r"LABEL_\d+")


def read_settings(folder: Path) -> tuple[JsonObject, JsonObject]:
    """The contents of config.json and preprocessor_config.json; the second is empty if missing.

    Raises ModelError if config.json is missing, if one of them is not JSON, or if one asks for code
    or for files elsewhere.
    """
    config = read_json(folder / CONFIG, "model settings", ModelError)
    check_config(config, ModelError)
    file = folder / PROCESSOR
    processor = read_json(file, "image-processor settings", ModelError) if file.is_file() else {}
    check_config(processor, ModelError)
    return config, processor


def library_of(config: JsonObject) -> str:
    """Which library made the weights: "timm", or else "transformers"."""
    of_timm = "pretrained_cfg" in config or config.get("model_type") == "timm_wrapper"
    return "timm" if of_timm else "transformers"


def behaviour_of(folder: Path) -> JsonObject:
    """The settings that decide the responses of a saved model, without names and labels."""
    config, processor = read_settings(folder)
    effective: JsonObject = {key: config[key] for key in config if key not in _WITHOUT_EFFECT}
    return {"config": effective, "processor": processor}


def is_saved_model(file: Path) -> bool:
    """Whether a safetensors file is a whole model, without an ONNX export beside it."""
    folder = file.parent
    exported = any((home / "model.onnx").is_file() for home in (folder, folder / "onnx"))
    return file.name == WEIGHTS_FILES and (folder / CONFIG).is_file() and not exported


def describe_saved(config: JsonObject, processor: JsonObject) -> JsonObject:
    """The contents of config.json and preprocessor_config.json in the form of a model.json.

    If the image processor cannot be reproduced, only its mean and std are used; resize and crop are
    then left to the defaults.
    """
    described: JsonObject = {}
    labels = labels_of(config)
    if labels is not None:
        described["labels"] = [*labels]
    if processor:
        described["input"] = _input(processor)
    return described


def labels_of(config: JsonObject) -> tuple[str, ...] | None:
    """The names in `id2label` in order; None if some are missing or all are placeholders."""
    names = config.get("id2label")
    if not isinstance(names, dict) or not names:
        return None
    labels = [names.get(str(number)) for number in range(len(names))]
    texts = tuple(clean_text(label) for label in labels if isinstance(label, str))
    if len(texts) != len(names) or all(_UNNAMED.fullmatch(text) for text in texts):
        return None
    return texts


def _input(processor: JsonObject) -> JsonObject:
    try:
        made = read_image_processor(processor, ModelError)
    except ModelError:
        known = {key: processor[key] for key in _STATISTICS if key in processor}
        try:
            made = read_image_processor(known, ModelError)
        except ModelError:
            return {"channels": "RGB"}
        geometry: JsonObject = {}
    else:
        geometry = {
            "size": [made.pixels.height, made.pixels.width],
            "resize": made.pixels.resize,
            "crop_fraction": made.pixels.crop_fraction,
            "resample": made.pixels.resample,
        }
    unit = made.rescale * 255  # statistics are in units of pixels that span 0 to 1
    mean: list[JsonValue] = [value / unit for value in made.mean]
    std: list[JsonValue] = [value / unit for value in made.std]
    return {**geometry, "channels": "RGB", "scale": "0..1", "mean": mean, "std": std}

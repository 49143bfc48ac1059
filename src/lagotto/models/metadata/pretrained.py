"""A folder written by save_pretrained comes in; its library, labels and input go out."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from lagotto.core.errors import ModelError
from lagotto.core.files import read_json
from lagotto.core.image_processor import read_image_processor
from lagotto.core.parsing.hf_config import check_config
from lagotto.core.text.clean import clean_text
from lagotto.core.types import Decision, JsonObject, JsonValue, ModelSource, Origin

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
WEIGHTS_FILE = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"
SAVED_WEIGHTS = (
    *(WEIGHTS_FILE, f"{WEIGHTS_FILE}.index.json"),
    *(PICKLED_WEIGHTS, f"{PICKLED_WEIGHTS}.index.json"),
)
"""The forms of the weights beside a config.json, the preferred first."""

_NAMING = ("model_type", "architectures", "architecture", "pretrained_cfg")
"""Keys of a config.json of transformers or timm, one of which at least it has."""

_COMPONENTS = ("components/image_processor", "components/feature_extractor")
"""Where MLflow keeps the processor of a model, seen from above the folder of its weights."""

_WITHOUT_EFFECT = frozenset(
    {
        *("id2label", "label2id", "label_names", "label_descriptions", "_name_or_path"),
        *("transformers_version", "architectures", "finetuning_task", "problem_type"),
    }
)
"""Keys of config.json that change no logit."""

_STATISTICS = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
_TIMM_RESIZES = {"center": "crop", "squash": "stretch"}
_TIMM_RESAMPLES = ("nearest", "bilinear", "bicubic", "lanczos")
_UNNAMED = re.compile(r"LABEL_\d+")


SavedTask: TypeAlias = Literal["classify", "detect", "segment"]
"""What a network is for."""

_TASKS: dict[str, SavedTask] = {
    "ForObjectDetection": "detect",
    "ForSemanticSegmentation": "segment",
}
_NOT_READ = {
    "ForUniversalSegmentation": "it makes masks by queries, which are not read",
    "ForInstanceSegmentation": "it makes masks by queries, which are not read",
    "ForZeroShotObjectDetection": "it needs texts beside the picture",
    "ForDepthEstimation": "a depth model, which measures distances",
    "ForImageToImage": "it makes pictures",
    "ForImageSuperResolution": "it makes pictures",
    "ForMaskedImageModeling": "it fills in pictures, as before a training for classes",
    "ForPreTraining": "it was saved before it was trained for classes",
    "ForKeypointDetection": "it finds keypoints, which are no classes",
    "ForPoseEstimation": "it finds keypoints, which are no classes",
    "ForImageMatting": "it cuts out one thing, whatever its class",
}
"""Endings of the names of networks that are refused, and what they mean."""


def read_settings(folder: Path) -> tuple[JsonObject, JsonObject]:
    """The contents of config.json and preprocessor_config.json; the second is empty if missing.

    Raises ModelError if config.json is missing, if one of them is not JSON, or if one asks for code
    or for files elsewhere.
    """
    config = read_json(folder / CONFIG, "model settings", ModelError)
    check_config(config, ModelError)
    files = [folder / PROCESSOR, *(folder.parent / inner / PROCESSOR for inner in _COMPONENTS)]
    file = next((file for file in files if file.is_file()), None)
    processor = {} if file is None else read_json(file, "image-processor settings", ModelError)
    check_config(processor, ModelError)
    return config, processor


def library_of(config: JsonObject) -> str:
    """Which library made the weights: "timm", or else "transformers"."""
    of_timm = "pretrained_cfg" in config or config.get("model_type") == "timm_wrapper"
    return "timm" if of_timm else "transformers"


def task_of(config: JsonObject) -> SavedTask:
    """What the network of a transformers model is for, by the class that saved it.

    Raises ModelError for one that gives no value a class.
    """
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    for ending, meaning in _NOT_READ.items():
        if name.endswith(ending):
            raise ModelError(
                f"config.json says {name[:80]}: {meaning}; Lagotto reads classifiers, detectors "
                "and segmenters"
            )
    return next((task for ending, task in _TASKS.items() if name.endswith(ending)), "classify")


def behaviour_of(folder: Path) -> JsonObject:
    """The settings that decide the responses of a saved model, without names and labels."""
    config, processor = read_settings(folder)
    effective: JsonObject = {key: config[key] for key in config if key not in _WITHOUT_EFFECT}
    return {"config": effective, "processor": processor}


def has_settings(file: Path) -> bool:
    """Whether a file is the weights of a model that transformers or timm saved with settings.

    A config.json that names no kind of model is a training's own: the network is recognized by its
    tensors. Forms other than model.safetensors count if the config.json is of transformers: the
    tensors are read without running anything, and their network is built from the settings.
    Networks of timm are recognized by their tensors.
    """
    config = file.parent / CONFIG
    if file.name not in SAVED_WEIGHTS or not config.is_file():
        return False
    try:
        settings = read_json(config, "model settings", ModelError)
    except (OSError, ModelError):
        return file.name == WEIGHTS_FILE  # loading it says what is wrong
    if file.name == WEIGHTS_FILE:
        return not settings.keys().isdisjoint(_NAMING)
    return isinstance(settings.get("model_type"), str) and library_of(settings) == "transformers"


def is_saved_model(file: Path) -> bool:
    """Whether a safetensors file is a whole model, without an ONNX export beside it."""
    folder = file.parent
    exported = any((home / "model.onnx").is_file() for home in (folder, folder / "onnx"))
    return has_settings(file) and not exported


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


def describe_timm(config: JsonObject) -> JsonObject | None:
    """The input as timm's evaluation transform makes it, in the form of a model.json.

    None if config.json has no `pretrained_cfg`; ModelError for a transform that is not known.
    """
    settings = config.get("pretrained_cfg")
    if not isinstance(settings, dict):
        return None
    height, width = timm_size(config)
    mode, resample = settings.get("crop_mode", "center"), settings.get("interpolation", "bilinear")
    if mode not in list(_TIMM_RESIZES) or resample not in _TIMM_RESAMPLES:
        raise ModelError(
            f"config.json: crop_mode {mode!r} with interpolation {resample!r} cannot be "
            f"reproduced; allowed: {', '.join(_TIMM_RESIZES)} and {', '.join(_TIMM_RESAMPLES)}"
        )
    fraction = settings.get("crop_pct") or 0.875
    if not isinstance(fraction, int | float) or not 0.05 <= fraction <= 1:
        raise ModelError(f"config.json: crop_pct is {fraction!r}; allowed: 0.05 to 1")
    return {
        "size": [height, width],
        "channels": "RGB",
        "scale": "0..1",
        "mean": settings.get("mean"),
        "std": settings.get("std"),
        "resize": _TIMM_RESIZES[str(mode)],
        "crop_fraction": height / math.floor(height / fraction),
        "resample": resample,
    }


def timm_size(config: JsonObject) -> tuple[int, int]:
    """(height, width) of the input that timm's settings name; ModelError if there is none."""
    settings = config.get("pretrained_cfg")
    size = settings.get("input_size") if isinstance(settings, dict) else None
    match size:
        case [3, int(height), int(width)]:
            return height, width
    raise ModelError(f"config.json: input_size is {size!r}; allowed: [3, height, width]")


def timm_labels(config: JsonObject) -> JsonValue:
    """The class names in timm's settings, None if there are none."""
    names = config.get("label_names")
    descriptions = config.get("label_descriptions")
    if not isinstance(names, list):
        return None
    if not isinstance(descriptions, dict):
        return names
    return [descriptions.get(str(name), name) for name in names]


def with_saved_input(source: ModelSource, saved: JsonObject) -> ModelSource:
    """The source with the input of its settings, in which model.json overrules each key.

    Args:
        source: The weights file and its model.json.
        saved: The input in the form of a model.json.
    """
    declared = source.description.get("input")
    described = {**saved, **(declared if isinstance(declared, dict) else {})}
    return replace(source, description={**source.description, "input": described})


def credit_saved(
    decisions: Sequence[Decision], source: ModelSource, origin: Origin
) -> tuple[Decision, ...]:
    """The decisions on an input of `with_saved_input`: what model.json lacks is from `origin`."""
    declared = source.description.get("input")
    own = declared if isinstance(declared, dict) else {}
    return tuple(
        replace(item, origin=origin)
        if item.origin == "model.json" and item.field not in own
        else item
        for item in decisions
    )


def labels_of(config: JsonObject) -> tuple[str, ...] | None:
    """The names in config.json, in the order of the outputs.

    They are in `id2label`, else in `label2id`, else in timm's `label_names`. None if some are
    missing or all are placeholders.
    """
    names, numbers = config.get("id2label"), config.get("label2id")
    if not isinstance(names, dict) and isinstance(numbers, dict):
        names = {str(number): name for name, number in numbers.items()}
    if not isinstance(names, dict):
        listed = timm_labels(config)
        names = (
            {str(at): name for at, name in enumerate(listed)} if isinstance(listed, list) else {}
        )
    labels = [names.get(str(number)) for number in range(len(names))]
    texts = tuple(clean_text(label) for label in labels if isinstance(label, str))
    is_whole = bool(texts) and len(texts) == len(names)
    return None if not is_whole or all(_UNNAMED.fullmatch(text) for text in texts) else texts


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

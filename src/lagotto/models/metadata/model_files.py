"""A file comes in; whether it is looked at as a model, or the reason why not, goes out."""

import os
from pathlib import Path

from lagotto.models.metadata.beside.finder import EXPORT_FOLDERS
from lagotto.models.metadata.file_count import OTHER_FORM, TRAINING
from lagotto.models.metadata.pretrained import is_saved_model
from lagotto.models.metadata.unread.content import content_of
from lagotto.models.metadata.unread.file_names import (
    is_adapter,
    is_index,
    is_of_training,
    is_part,
    model_ending,
    preferred_form,
    shard_number,
)
from lagotto.models.metadata.unread.recognition import TFJS_LAYERS, is_of_other_form, json_form
from lagotto.models.registry import MODEL_ADAPTERS, TRANSLATORS

_SAFETENSORS = ".safetensors"
_FORM_FOLDERS = (
    "tfjs",
    "tf_js",
    "js",
    "web",
    "web_model",
    "tfjs_model",
    "tensorflowjs",
    "model_js",
)
_FORMATS = {
    ".onnx": "ONNX",
    ".tflite": "TFLite",
    ".safetensors": "safetensors",
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".th", ".bin"), "PyTorch checkpoint"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "Keras model"),
    ".json": "TensorFlow.js layers model",
}


def model_endings() -> tuple[str, ...]:
    """The endings of model files that are read, in order."""
    return tuple(sorted({*MODEL_ADAPTERS, *TRANSLATORS}))


def format_of_model(file: Path) -> str:
    """The name of the form of a model file, by its ending."""
    return _FORMATS.get(model_ending(file), model_ending(file).lstrip("."))


def is_model(file: Path, beside: frozenset[str], is_given: bool = False) -> bool:
    """Whether a file is tried as a model; what cannot be loaded then fails with a reason.

    A file with the ending of a model is one, but for those that `skipped_form` tells, for parts of
    models, and for content that is of another form: much is called .bin and .json.

    Args:
        file: The file.
        beside: The names of the files in its folder.
        is_given: Whether a user gave the file itself, so that what lies beside it does not count.
    """
    ending = model_ending(file)
    if ending not in model_endings() or not file.is_file():
        return False
    if ending == _SAFETENSORS and is_saved_model(file):
        return True
    if ending not in TRANSLATORS:
        return ending != _SAFETENSORS
    is_share = shard_number(file.name) is not None or is_part(file.name, beside)
    if is_share or is_adapter(file.name):
        return False
    if not is_given and skipped_form(file, beside) is not None:
        return False
    if is_index(file.name):
        return True
    if ending == ".json":
        return json_form(file) == TFJS_LAYERS
    content = content_of(file)
    return not is_of_other_form(file, content) and (ending != ".bin" or content is not None)


def skipped_form(file: Path, beside: frozenset[str]) -> str | None:
    """Why a file with the ending of a translated model is surely none of its own.

    Args:
        file: The file.
        beside: The names of the files in its folder.

    Returns:
        "state of a training" or "another form of a model there"; None for any other file.
    """
    if is_of_training(file.name):
        return TRAINING
    if preferred_form(file, beside, frozenset(model_endings())) is not None:
        return OTHER_FORM
    return OTHER_FORM if is_one_of_two_exports(file) else None


def is_one_of_two_exports(file: Path) -> bool:
    """Whether a model of TensorFlow.js lies with the ONNX or TFLite export of the same model.

    That one is in the folder `onnx` or `tflite` beside it; or it is the only model in the folder
    above, if the folder of the file only says what form it has.
    """
    if file.suffix.lower() != ".json" or json_form(file) != TFJS_LAYERS:
        return False
    folder = file.parent
    if folder.name.lower() in _FORM_FOLDERS and len(_exports_in(folder.parent)) == 1:
        return True
    return any(_exports_in(folder / name) for name in EXPORT_FOLDERS)


def _exports_in(folder: Path) -> list[str]:
    """The names of the ONNX and TFLite files directly in a folder; none if it cannot be read."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name for name in names if model_ending(Path(name)) in (".onnx", ".tflite")]

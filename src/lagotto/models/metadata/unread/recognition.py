"""Files that are not read come in; the models among them go out, each with a way to read it."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.files import read_at_most
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.metadata.unread.content import content_of
from lagotto.models.metadata.unread.file_names import (
    TORCH_ENDINGS,
    index_name,
    is_adapter,
    is_index,
    is_of_training,
    is_part,
    model_ending,
    model_stem,
    shard_number,
)
from lagotto.models.metadata.unread.formats import UNREAD_FORMATS

TFJS_LAYERS = "tfjs layers"
"""The form of a .json file with the layers of a TensorFlow.js model."""

UNREAD_ENDINGS = {
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".th"), "torch"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "keras"),
    **dict.fromkeys((".torchscript", ".jit", ".ptl"), "torchscript"),
    **dict.fromkeys((".pkl", ".pickle"), "pickle"),
    **dict.fromkeys((".joblib", ".skops"), "sklearn"),
    **dict.fromkeys((".mlmodel", ".mlpackage", ".mlmodelc"), "coreml"),
    **dict.fromkeys((".engine", ".trt", ".plan"), "tensorrt"),
    **dict.fromkeys((".om", ".hef", ".dlc", ".blob", ".kmodel", ".bmodel", ".axmodel"), "device"),
    **dict.fromkeys((".cvimodel", ".tmfile", ".espdl", ".xmodel"), "device"),
    **dict.fromkeys((".pdiparams", ".pdparams"), "paddle weights"),
    ".safetensors": "safetensors",
    ".pb": "frozen graph",
    ".pt2": "torch export",
    ".pte": "executorch",
    ".t7": "torch7",
    ".mnn": "mnn",
    ".ort": "ort",
    ".pdmodel": "paddle",
    ".params": "mxnet",
    ".caffemodel": "caffe",
    ".weights": "darknet",
    ".npz": "npz",
    ".msgpack": "flax",
    ".gguf": "gguf",
    ".rknn": "rknn",
    ".mindir": "mindspore",
    ".bin": "unknown",
    **dict.fromkeys((".index", ".xml", ".param", ".model", ".dat", ".json", ""), ""),
}
"""Formats by ending, "" where only the content tells; files of other endings are not opened."""

_OWN_ENDINGS = {
    "torch": TORCH_ENDINGS,
    "hdf5": frozenset({".h5", ".hdf5", ".keras"}),
    "keras": frozenset({".h5", ".hdf5", ".keras"}),
    "safetensors": frozenset({".safetensors"}),
    "onnx": frozenset({".onnx"}),
    "tflite": frozenset({".tflite"}),
}
"""Forms that are read under endings of their own."""

_PICKLES = frozenset({"torch", "torchscript", "fastai", "sklearn", "pickle"})
"""Forms that a checkpoint may have: what it pickles may be of any package."""

_FOLDERS = {".mlpackage": "coreml", ".mlmodelc": "coreml"}
_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_JSON_MARKS = (b'"modelTopology"', b'"class_name"', b'"base_code"')
_MAX_JSON_BYTES = 16 << 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A model that is not read: its file or folder, its format, the reason, and what to do."""

    file: str
    format: str
    reason: str
    recipe: str

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


def recognize_unread(files: Sequence[Path]) -> dict[Path, UnreadFile]:
    """The models among files that are not read, by their path.

    A model that is a folder has the path of the folder. Further parts of a model have no entry of
    their own, nor has the state of a training.
    """
    found: dict[Path, UnreadFile] = {}
    inside = _in_model_folders(files, found)
    beside: dict[Path, set[str]] = {}
    for file in files:
        beside.setdefault(file.parent, set()).add(file.name)
    for file in files:
        if file in inside or model_ending(file) not in UNREAD_ENDINGS:
            continue
        content = content_of(file)
        key = _format_of(file, content, frozenset(beside[file.parent]))
        if key:
            found[file] = _unread(file, key, what_lies_at(file) if content is None else None)
    return found


def is_of_other_form(file: Path, content: str | None) -> bool:
    """Whether the content of a file is a form of model that its ending does not stand for."""
    ending = model_ending(file)
    if content is None or (ending in TORCH_ENDINGS and content in _PICKLES):
        return False
    return ending not in _OWN_ENDINGS.get(content, ())


def json_form(file: Path) -> str | None:
    """The form of model that a .json file begins: of TensorFlow.js, Keras or PaddlePaddle."""
    try:
        data = read_at_most(file, _MAX_JSON_BYTES)
        if data is None or not any(mark in data for mark in _JSON_MARKS):
            return None
        value: JsonValue = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return None
    match value:
        case {"modelTopology": dict(topology), **rest}:
            is_graph = "graph" in str(rest.get("format")) or "node" in topology
            return "tfjs graph" if is_graph else TFJS_LAYERS
        case {"class_name": str(), "config": dict() | list()}:
            return "keras architecture"
        case {"base_code": {"magic": "pir"}}:
            return "paddle"
    return None


def _format_of(file: Path, content: str | None, beside: frozenset[str]) -> str | None:
    """The key of a file's format; None if it is no model, or a further part of one."""
    ending = model_ending(file)
    if is_part(file.name, beside) or is_of_training(file.name) or is_index(file.name):
        return None
    shard = shard_number(file.name)
    if shard is not None:  # with its index it is a part of that, whichever form is read
        has_index = file.with_name(index_name(file.name)).is_file()
        return "shards" if shard == 1 and not has_index else None
    if is_adapter(file.name):
        return "adapter"
    if ending == ".json":
        return json_form(file)
    if content is None:
        return UNREAD_ENDINGS[ending]
    if content == "pickle" and UNREAD_ENDINGS[ending]:
        return "torch" if ending in TORCH_ENDINGS else UNREAD_ENDINGS[ending]
    if is_of_other_form(file, content):
        return f"{content} under another name" if content in _OWN_ENDINGS else content
    if content == "torchscript":
        return content
    return "torch" if ending in TORCH_ENDINGS else UNREAD_ENDINGS[ending]


def _in_model_folders(files: Sequence[Path], found: dict[Path, UnreadFile]) -> set[Path]:
    """The files inside models that are folders; `found` receives these models."""
    saved = {file.parent for file in files if file.name in _SAVED_MODEL_FILES}
    inside = set()
    for file in files:
        for home in file.parents:
            key = "saved model" if home in saved else _FOLDERS.get(home.suffix.lower())
            if key is not None:
                inside.add(file)
                if home not in found:
                    found[home] = _unread(home, key, None)
                break
    return inside


def _unread(file: Path, key: str, instead: str | None) -> UnreadFile:
    """What is said of a file; `instead` is what lies there in its place, if anything does."""
    form = UNREAD_FORMATS[key]
    reason, recipe = form.reason, _filled(form.recipe, file)
    if instead is not None:
        lies, _, advice = instead.partition("; ")
        reason, recipe = f"is {lies}", advice or recipe
    return UnreadFile(str(file), form.name, reason, recipe)


def _filled(recipe: str, file: Path) -> str:
    """A recipe with the name of a file; one with odd characters is not written into commands."""
    is_plain = _PLAIN_NAME.fullmatch(file.name) is not None
    name, stem = (file.name, model_stem(file)) if is_plain else ("FILE", "MODEL")
    return recipe.replace("{file}", name).replace("{stem}", stem)

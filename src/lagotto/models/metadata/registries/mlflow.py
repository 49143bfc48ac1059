"""The folder of an MLflow model comes in; its model file and what its MLmodel says go out.

Nothing of the folder is run or unpickled: MLmodel is text, and the model file is read as any other.
"""

import json
from pathlib import Path

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.parsing.name_forms.entries import NotNamesError
from lagotto.core.parsing.name_forms.flow import Pairs, Tree
from lagotto.core.parsing.name_forms.yaml_subset import parse_yaml
from lagotto.core.parsing.name_list import NameList, parse_name_list
from lagotto.core.types import JsonValue
from lagotto.models.files.weights import inside
from lagotto.models.metadata.beside.export_tools import ToolFacts
from lagotto.models.metadata.description import InputDescription
from lagotto.models.metadata.embedded import LABEL_KEYS
from lagotto.models.metadata.registries.registered import (
    RegisteredModel,
    registry_text,
    tensor_input,
)

MLMODEL = "MLmodel"
"""The file that makes a folder one of MLflow."""

_FILES: dict[str, tuple[str, ...]] = {
    "onnx": ("{data}", "{data}/model.onnx", "model.onnx"),
    "transformers": ("{model_binary}/model.safetensors", "model/model.safetensors"),
    "keras": ("{data}", "{data}/model.keras", "{data}/model.h5"),
    "tensorflow": ("{data}/model.keras", "{data}/model.h5", "{data}", "{saved_model_dir}"),
    "pytorch": ("{model_data}/model.pth", "{model_data}/state_dict.pth", "data/model.pth"),
}
"""Flavors that are read, the preferred first, and where each keeps its file.

What is in braces stands for the value of that key of the flavor.
"""

_ENDINGS = (".onnx", ".safetensors", ".keras", ".h5", ".hdf5", ".pth", ".pt")


def read_mlflow(folder: Path) -> RegisteredModel | None:
    """The model of a folder with an MLmodel; None without one."""
    try:
        text = registry_text(folder, MLMODEL)
        if text is None:
            return None
        flavors = _entries(_mlmodel(text).get("flavors"))
    except ModelError as error:
        return RegisteredModel("MLflow model", None, f"has an {MLMODEL} that {error}", "restore it")
    for flavor, places in _FILES.items():
        if flavor in flavors:
            values = _entries(flavors[flavor])
            file = _first_file(folder, places, values)
            if file is not None:
                return RegisteredModel(f"MLflow model ({flavor})", file)
    named = ", ".join(name for name in flavors if name != "python_function")[:80]
    if not named:
        named = "python_function"
    source = _entries(flavors.get("transformers")).get("source_model_name")
    if isinstance(source, str) and source:
        return RegisteredModel(
            f"MLflow model ({named})",
            None,
            "names a model of the Hugging Face Hub and holds no weights",
            f"add hf:{source}",
        )
    if not _FILES.keys().isdisjoint(flavors):
        reason = "holds no file of this flavor that is read"
        return RegisteredModel(f"MLflow model ({named})", None, reason, _log("onnx"), may_hold=True)
    reason = "can be run only by code of the folder, or by a pickle"
    return RegisteredModel(f"MLflow model ({named})", None, reason, _log("onnx"))


def mlflow_facts(folder: Path) -> ToolFacts | None:
    """The labels and the input that the MLmodel of a folder describes; None without one."""
    try:
        text = registry_text(folder, MLMODEL)
        if text is None:
            return None
        entries = _mlmodel(text)
    except ModelError as error:
        return ToolFacts(MLMODEL, notes=(f"{MLMODEL} not used: it {error}",))
    return ToolFacts(
        MLMODEL,
        labels=_labels(_entries(entries.get("metadata"))),
        input=_signature(_entries(entries.get("signature"))),
    )


def _log(flavor: str) -> str:
    return f"log it where it was trained with mlflow.{flavor}.log_model"


def _mlmodel(text: str) -> dict[str, Tree]:
    try:
        return _entries(parse_yaml(text))
    except NotNamesError as error:
        raise ModelError(str(error)) from error


def _first_file(folder: Path, places: tuple[str, ...], values: dict[str, Tree]) -> Path | None:
    """The first file of some places in a folder that is there."""
    for place in places:
        key = place.partition("{")[2].partition("}")[0]
        value = values.get(key)
        if key and not isinstance(value, str):
            continue
        relative = place.replace(f"{{{key}}}", str(value)) if key else place
        try:
            file = inside(folder, relative, "the model file")
        except ModelError:
            continue
        if file.suffix.lower() in _ENDINGS:
            return file
    return None


def _labels(metadata: dict[str, Tree]) -> NameList | None:
    """The class names in the metadata that a user logged with the model."""
    lower = {key.lower(): value for key, value in metadata.items()}
    for key in LABEL_KEYS:
        value = lower.get(key)
        if value is None:
            continue
        text = value if isinstance(value, str) else json.dumps(_plain(value))
        try:
            return parse_name_list(text.encode(), ".json", key)
        except UsageError:
            continue
    return None


def _signature(signature: dict[str, Tree]) -> InputDescription:
    """The input that the signature of a model declares, if it is one tensor of pictures."""
    text = signature.get("inputs")
    try:
        inputs: JsonValue = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return InputDescription()
    match inputs:
        case [{"tensor-spec": {"shape": list(shape)}}] if all(isinstance(n, int) for n in shape):
            return tensor_input(tuple(int(str(size)) for size in shape))
    return InputDescription()


def _entries(value: Tree) -> dict[str, Tree]:
    return dict(value.entries) if isinstance(value, Pairs) else {}


def _plain(value: Tree) -> JsonValue:
    """A value of YAML as one of JSON."""
    if isinstance(value, Pairs):
        return {key: _plain(inner) for key, inner in value.entries}
    return [_plain(item) for item in value] if isinstance(value, list) else value

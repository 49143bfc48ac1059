"""A model's folder in a Triton repository comes in; the file of its newest version goes out."""

import re
from pathlib import Path

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.parsing.name_list import NameList, read_name_list
from lagotto.core.types import Layout
from lagotto.models.files.weights import inside
from lagotto.models.metadata.beside.export_tools import ToolFacts
from lagotto.models.metadata.registries.registered import (
    RegisteredModel,
    registry_text,
    tensor_input,
)
from lagotto.models.metadata.registries.text_protobuf import TextMessage, parse_text_protobuf

TRITON_CONFIG = "config.pbtxt"
"""The file that makes a folder a model of a Triton repository, where it has folders of versions."""

_DEFAULT_FILES = {
    "onnxruntime": "model.onnx",
    "onnxruntime_onnx": "model.onnx",
    "pytorch_libtorch": "model.pt",
    "pytorch": "model.pt",
    "tensorrt_plan": "model.plan",
    "tensorrt": "model.plan",
    "openvino": "model.xml",
    "tensorflow_savedmodel": "model.savedmodel",
    "tensorflow_graphdef": "model.graphdef",
    "tensorflow": "model.savedmodel",
}
"""By platform or backend; Triton looks for the same where a config names no file."""

_OF_CODE = ("python", "dali", "vllm", "tensorrtllm", "fil")
_VERSION = re.compile(r"[1-9]\d{0,17}")
_LAYOUTS: dict[str, Layout] = {"FORMAT_NCHW": "NCHW", "FORMAT_NHWC": "NHWC"}
_MOST_VERSIONS = 10_000


def read_triton(folder: Path) -> RegisteredModel | None:
    """The model of a folder with a config.pbtxt and folders of versions; None for any other."""
    versions = _versions(folder)
    try:
        text = registry_text(folder, TRITON_CONFIG) if versions else None
        if text is None:
            return None
        config = parse_text_protobuf(text)
    except ModelError as error:
        reason = f"has a {TRITON_CONFIG} that {error}"
        return RegisteredModel("Triton model", None, reason, f"correct {TRITON_CONFIG}")
    platform = config.text("platform") or config.text("backend")
    form = f"Triton model ({platform or 'no platform'})"
    if platform == "ensemble":
        reason, recipe = "joins other models of the repository", "add these models"
        return RegisteredModel(form, None, reason, recipe)
    if platform in _OF_CODE:
        reason, recipe = "runs code of its folder", "add the model that its code loads"
        return RegisteredModel(form, None, reason, recipe)
    chosen = _chosen(config, versions)
    home = folder / str(chosen)
    older = tuple(folder / str(number) for number in versions if number != chosen)
    file = _file(home, config.text("default_model_filename") or _DEFAULT_FILES.get(platform, ""))
    if file is None:
        named = config.text("default_model_filename") or _DEFAULT_FILES.get(platform, "model.onnx")
        reason, recipe = f"has no {named} in {chosen}/ that is read", "put model.onnx there"
        return RegisteredModel(form, None, reason, recipe, older, may_hold=True)
    return RegisteredModel(form, file, older=older)


def triton_facts(folder: Path) -> ToolFacts | None:
    """The labels and the input that a config.pbtxt describes; None where it is none of Triton."""
    try:
        text = registry_text(folder, TRITON_CONFIG) if _versions(folder) else None
        if text is None:
            return None
        config = parse_text_protobuf(text)
        labels = _labels(folder, config)
    except (ModelError, UsageError) as error:
        return ToolFacts(TRITON_CONFIG, notes=(f"{TRITON_CONFIG} not used: {error}",))
    inputs = config.messages("input")
    if len(inputs) != 1:
        return ToolFacts(TRITON_CONFIG, labels)
    dims = tuple(int(size) for size in inputs[0].texts("dims") if re.fullmatch(r"-?\d{1,9}", size))
    batch = config.text("max_batch_size")
    shape = (-1, *dims) if len(dims) == 3 and batch not in ("", "0") else dims
    layout = _LAYOUTS.get(inputs[0].text("format"))
    return ToolFacts(TRITON_CONFIG, labels, input=tensor_input(shape, layout))


def _labels(folder: Path, config: TextMessage) -> NameList | None:
    """The names in the file that an output names."""
    for output in config.messages("output"):
        if name := output.text("label_filename"):
            return read_name_list(inside(folder, name, "label_filename"))
    return None


def _versions(folder: Path) -> tuple[int, ...]:
    """The numbers of the folders of versions, in order."""
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()][:_MOST_VERSIONS]
    except OSError:
        return ()
    return tuple(sorted(int(name) for name in names if _VERSION.fullmatch(name)))


def _chosen(config: TextMessage, versions: tuple[int, ...]) -> int:
    """The version that is served: the highest, of those that the policy names if it names any."""
    policies = config.messages("version_policy")
    named = {
        int(number)
        for policy in policies
        for specific in policy.messages("specific")
        for number in specific.texts("versions")
        if _VERSION.fullmatch(number)
    }
    allowed = [number for number in versions if number in named]
    return max(allowed or versions)


def _file(home: Path, name: str) -> Path | None:
    """The model file of a version: the one that is named, or else the only one with an ending."""
    try:
        return inside(home, name, "the model file") if name else _lone(home)
    except (ModelError, OSError):
        return None


def _lone(home: Path) -> Path | None:
    files = [file for file in home.iterdir() if file.is_file() and file.stem == "model"]
    return files[0] if len(files) == 1 else None

"""A model file comes in; its classifier, or the digest of its behaviour, goes out."""

import importlib
import json
import mmap
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import cast

from lagotto.core.devices.placement import CPU, Placement, Runtime, check_device, place
from lagotto.core.errors import ModelError
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.parsing.onnx_survey import survey_onnx
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.types import JsonObject, ModelSource
from lagotto.models.assembled import AssembledModel, LibraryNetwork
from lagotto.models.base import Model
from lagotto.models.files.onnx_graph import external_files
from lagotto.models.files.weights import (
    MAX_WEIGHTS_BYTES,
    add_file,
    check_size,
)
from lagotto.models.metadata.description import parse_description
from lagotto.models.metadata.facts import full_input
from lagotto.models.metadata.pretrained import (
    behaviour_of,
    has_settings,
    library_of,
    read_settings,
)
from lagotto.models.metadata.unread.file_names import is_index, model_ending

MODEL_ADAPTERS = {
    ".onnx": Adapter("lagotto.models.adapters.onnx", "load_onnx"),
    ".tflite": Adapter("lagotto.models.adapters.tflite", "load_tflite", "ai_edge_litert", "tflite"),
    ".safetensors": Adapter(
        "lagotto.models.adapters.transformers",
        "load_transformers",
        "transformers",
        "transformers",
        ("torch",),
    ),
}
"""Adapters by file ending, in lower case; `lagotto.models.metadata.scan` looks for the same."""

SAVED_BY = {
    "transformers": MODEL_ADAPTERS[".safetensors"],
    "timm": Adapter(
        "lagotto.models.adapters.timm", "load_timm", "timm", "timm", ("torch", "torchvision")
    ),
}
"""Adapters by library: safetensors hold numbers only, and config.json names the library."""

_CHECKPOINT = Adapter("lagotto.models.architectures.translate", "assemble_checkpoint")
_KERAS = Adapter("lagotto.models.keras.translate", "translate_file", "h5py", "keras", ("onnx",))
TRANSLATORS: dict[str, Adapter] = {
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".th", ".bin", ".safetensors"), _CHECKPOINT),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), _KERAS),
    ".json": replace(_KERAS, attribute="translate_tfjs"),
}
"""Functions by file ending that write a model of another form as ONNX (`AssembledModel`), or
that leave it to its library (`LibraryNetwork`).

They get safetensors that lie without their config.json, too.
"""

BUILDERS = {
    "timm": Adapter(
        "lagotto.models.adapters.timm", "build_timm", "timm", "timm", ("torch", "torchvision")
    ),
}
"""Adapters by library for networks that a translator leaves to it (`LibraryNetwork`)."""

_RUNTIMES = {"onnxruntime": Adapter("lagotto.models.adapters.onnx", "model_runtime")}

WEIGHT_FILES: dict[str, Adapter] = {
    ".json": Adapter("lagotto.models.keras.tfjs", "shard_files"),
    ".index.json": Adapter("lagotto.models.checkpoints.safetensors_file", "index_shards"),
}
"""Functions by file ending that name the files beside a model that hold its weights."""

_CONTAINERS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")  # zip, HDF5


def load_model(source: ModelSource, threads: int = 1, device: str = CPU) -> Model:
    """Loads the classifier of a source.

    Args:
        source: The weights file and the description beside it.
        threads: CPU threads of one run.
        device: Where it runs: `cpu`, `cuda`, `cuda:N`, or `auto`, a GPU where one can be used.
            TensorFlow Lite runs on the CPU in any case; `spec.device` of the model says it.

    Returns:
        The classifier, tried on two fixed pictures.

    Raises:
        ModelError: The model cannot be read or run; the reason is one line.
        MissingExtraError: The framework of the model is not installed.
    """
    parse_description(
        source.description
    )  # an invalid description is reported before an invalid file
    try:
        return _load(source, threads, device)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelError(f"{source.file.name} cannot be read: {reason}") from error
    except ModelError as error:
        instead = _what_lies_instead(source.file)
        if instead is None:
            raise
        raise ModelError(f"{source.file.name} is {instead}") from error


def place_models(device: str) -> Placement:
    """Where models run if a device is asked for, as far as onnxruntime decides it.

    It runs most of them: ONNX, checkpoints, the Keras family. Raises UsageError, which says what is
    allowed and what to install, for a device that is not known or not there.
    """
    if check_device(device) == CPU:
        return Placement(CPU)
    runtime: Runtime = load_adapter(_RUNTIMES, "onnxruntime", "runtime")()
    return place(device, runtime)


def _load(source: ModelSource, threads: int, device: str) -> Model:
    ending = model_ending(source.file)
    if has_settings(source.file):
        library = library_of(read_settings(source.file.parent)[0])
        load = load_adapter(SAVED_BY, library, "library")
    elif ending in TRANSLATORS:
        translate = load_adapter(TRANSLATORS, ending, "model ending")
        return _run_translated(source, translate(source), threads, device)
    else:
        load = load_adapter(MODEL_ADAPTERS, ending, "model ending")
    if ending == ".tflite":
        return cast(Model, load(source, threads))
    return cast(Model, load(source, threads, device))


def _run_translated(
    source: ModelSource, translated: AssembledModel | LibraryNetwork, threads: int, device: str
) -> Model:
    if isinstance(translated, LibraryNetwork):
        build = load_adapter(BUILDERS, translated.library, "library")
        return cast(Model, build(source, translated, threads, device))
    run = importlib.import_module("lagotto.models.adapters.onnx").load_assembled
    return cast(Model, run(source, translated, threads, device))


def _what_lies_instead(file: Path) -> str | None:
    """What lies in place of a model file; None for one that is refused by its size alone.

    None also for a container that its translator opens: it says itself what is wrong with one.
    """
    try:
        if model_ending(file) in TRANSLATORS and _is_container(file):
            return None
        return None if file.stat().st_size > MAX_WEIGHTS_BYTES else what_lies_at(file)
    except OSError:
        return None


def _is_container(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(8).startswith(_CONTAINERS)


def behaviour_digest(source: ModelSource) -> str:
    """SHA-256 (hex) of what decides a model's responses: its weights, its input and its output.

    The input is that of model.json, filled from the settings beside the model. Names, labels and
    paths do not count, so a renamed copy has the digest of its original. A model that cannot be
    loaded has a digest too. Raises ModelError if its file cannot be read.
    """
    digest = sha256(b"lagotto model 1\n")
    check_size(source.file)
    external = _external_files(source.file)
    check_size(source.file, external)
    for file in (source.file, *external):
        add_file(digest, file)
    digest.update(json.dumps(_behaviour(source), sort_keys=True).encode())
    return digest.hexdigest()


def _behaviour(source: ModelSource) -> JsonObject:
    try:
        description = parse_description(source.description)
        described = full_input(source.file, description)
        behaviour = replace(description, input=described).behaviour
        if has_settings(source.file):
            behaviour["saved"] = behaviour_of(source.file.parent)
    except ModelError:
        return source.description
    return behaviour


def external_data(file: Path) -> tuple[Path, ...]:
    """The files beside a model that hold a part of its weights; none if it cannot be read."""
    try:
        return _external_files(file)
    except (OSError, ModelError):
        return ()


def _external_files(file: Path) -> tuple[Path, ...]:
    ending = ".index.json" if is_index(file.name) else model_ending(file)
    if ending in WEIGHT_FILES:
        try:
            return tuple(load_adapter(WEIGHT_FILES, ending, "model ending")(file))
        except ModelError:  # loading the model says what is missing
            return ()
    if file.suffix.lower() != ".onnx" or not 0 < file.stat().st_size <= MAX_WEIGHTS_BYTES:
        return ()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        try:
            return external_files(survey_onnx(view, ModelError), file.parent)
        except ModelError:
            return ()
        finally:
            view.release()

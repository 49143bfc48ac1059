"""A Hugging Face repository comes in; the safest model file in it, with its input, goes out.

ONNX comes first, then safetensors, then TFLite: their files hold numbers and known operators only.
Pickles run code when they are read, so they are never read. Code of the repository is never run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lagotto.core.errors import SourceError
from lagotto.core.files import read_json
from lagotto.core.parsing.hf_config import check_config
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.text.clean import clean_text
from lagotto.core.types import JsonObject, ModelSource
from lagotto.models.metadata.pretrained import (
    CONFIG,
    PROCESSOR,
    WEIGHTS_FILES,
    describe_saved,
)

_PICKLES = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".npy",
    ".npz",
    ".msgpack",
)
_FOLDERS = ("", "onnx")
_MAX_SETTINGS_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ChosenFile:
    """The files of a repository that make one classifier: weights, and settings of its input."""

    weights: tuple[RemoteFile, ...]
    settings: tuple[RemoteFile, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in (*self.weights, *self.settings))


def choose_files(repository: Repository) -> ChosenFile:
    """The files to fetch; raises SourceError if no file of the repository is safe and loadable."""
    settings = tuple(
        file
        for name in (CONFIG, PROCESSOR)
        if (file := repository.file(name)) is not None and file.size <= _MAX_SETTINGS_BYTES
    )
    weights = _weights(repository.files, has_config=repository.file(CONFIG) is not None)
    if not weights:
        raise SourceError(_nothing_safe(repository))
    return ChosenFile(weights, settings)


def fetch_model(
    hub: HuggingFace, repository: Repository, choice: ChosenFile, folder: Path
) -> ModelSource:
    """Fetches the model of a repository into a folder; settings first, since they may exclude it.

    Raises SourceError if a file cannot be fetched, or if config.json asks to run code.
    """
    hub.fetch(repository, choice.settings, folder)
    config = _settings(folder / CONFIG)
    weights = choice.weights[0]
    if weights.path == WEIGHTS_FILES:
        check_config(config, SourceError)
    hub.fetch(repository, choice.weights, folder)
    description: JsonObject = {}
    if weights.path != WEIGHTS_FILES:  # the adapters of safetensors read the settings themselves
        description = describe_saved(config, _settings(folder / PROCESSOR))
    return ModelSource(clean_text(repository.name), folder / weights.path, description)


def _weights(files: Sequence[RemoteFile], has_config: bool) -> tuple[RemoteFile, ...]:
    """The file to run, then the files with its external data."""
    graphs = [file for file in files if _is_in_model_folder(file.path, ".onnx")]
    if graphs:
        graph = min(graphs, key=lambda file: _variant_rank(file.path))
        beside = [file for file in files if file.path.startswith(f"{graph.path}_data")]
        beside += [file for file in files if file.path == f"{graph.path}.data"]
        return graph, *beside
    if has_config:
        for file in files:
            if file.path == WEIGHTS_FILES:
                return (file,)
    flat = [file for file in files if _is_in_model_folder(file.path, ".tflite")]
    return tuple(flat) if len(flat) == 1 else ()


def _is_in_model_folder(path: str, ending: str) -> bool:
    posix = PurePosixPath(path)
    return posix.suffix.lower() == ending and str(posix.parent).strip(".") in _FOLDERS


def _variant_rank(path: str) -> tuple[int, int, str]:
    """Sort key of graphs: `model.onnx` before its variants (quantized, half), the rest by name."""
    stem = PurePosixPath(path).stem
    return (stem != "model") + (not stem.startswith("model")), path.count("/"), path


def _nothing_safe(repository: Repository) -> str:
    names = [file.path for file in repository.files]
    pickles = [name for name in names if PurePosixPath(name).suffix.lower() in _PICKLES]
    if pickles:
        return (
            f"{repository.name} holds only pickled weights ({pickles[0]}), which run code when "
            "they are read; ask its author for safetensors or ONNX"
        )
    if any(name.endswith(".safetensors.index.json") for name in names):
        return f"{repository.name} keeps its weights in several safetensors files; allowed: one"
    listed = ", ".join(sorted(names)[:6]) or "nothing"
    return (
        f"{repository.name} holds no model that can be run (model.onnx, {WEIGHTS_FILES} "
        f"with {CONFIG}, or one .tflite file); it has: {listed}"
    )


def _settings(file: Path) -> JsonObject:
    return read_json(file, "settings", SourceError) if file.is_file() else {}

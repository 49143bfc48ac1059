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
from lagotto.core.parsing.name_list import MAX_LIST_BYTES
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.text.clean import clean_text
from lagotto.core.types import JsonObject, ModelSource
from lagotto.models.metadata.beside.export_tools import TOOL_FILES
from lagotto.models.metadata.beside.label_files import bare_stem, label_rank
from lagotto.models.metadata.description import DESCRIPTION_FILE, UNREADABLE_DESCRIPTION
from lagotto.models.metadata.foreign import has_description
from lagotto.models.metadata.pretrained import CONFIG, PROCESSOR, WEIGHTS_FILES
from lagotto.models.metadata.scan import describe_folder

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
_SETTINGS = frozenset({CONFIG, PROCESSOR, DESCRIPTION_FILE, *TOOL_FILES})
_MOST_LISTS = 16
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
    weights = _weights(repository.files, has_config=repository.file(CONFIG) is not None)
    if not weights:
        raise SourceError(_nothing_safe(repository))
    return ChosenFile(weights, _settings_of(repository.files, PurePosixPath(weights[0].path)))


def fetch_model(
    hub: HuggingFace, repository: Repository, choice: ChosenFile, folder: Path
) -> ModelSource:
    """Fetches the model of a repository into a folder; settings first, since they may exclude it.

    The files lie as in the repository, so the settings are found as those of a model on disk.

    Raises SourceError if a file cannot be fetched, or if config.json asks to run code.
    """
    hub.fetch(repository, choice.settings, folder)
    weights = choice.weights[0]
    if weights.path == WEIGHTS_FILES:
        check_config(_settings(folder / CONFIG), SourceError)
    hub.fetch(repository, choice.weights, folder)
    file = folder / weights.path
    return ModelSource(clean_text(repository.name), file, _description(folder, file))


def _settings_of(files: Sequence[RemoteFile], weights: PurePosixPath) -> tuple[RemoteFile, ...]:
    """The files that say something of a model: of its folder, and of the one above `onnx`.

    The likeliest lists of labels come first; a repository with many of them gives 16. Where it has
    several models, only lists that bear the name of the model are taken.
    """
    folders = {"", str(weights.parent).strip(".")}
    has_others = any(
        _is_in_model_folder(file.path, ending)
        and bare_stem(PurePosixPath(file.path).stem) != bare_stem(weights.stem)
        for file in files
        for ending in (".onnx", ".tflite")
    )
    settings, lists = [], []
    for file in files:
        path = PurePosixPath(file.path)
        if str(path.parent).strip(".") not in folders:
            continue
        rank = label_rank(path.name, weights.stem)
        if path.name in _SETTINGS and file.size <= _MAX_SETTINGS_BYTES:
            settings.append(file)
        elif rank is not None and file.size <= MAX_LIST_BYTES and (rank[0] == 0 or not has_others):
            lists.append((rank, file.path, file))
    chosen = [file for _, _, file in sorted(lists, key=lambda item: item[:2])[:_MOST_LISTS]]
    return (*settings, *chosen)


def _description(folder: Path, file: Path) -> JsonObject:
    """The model.json of a repository, unless it is another tool's or is about another file."""
    if not has_description(folder):
        return {}
    source = describe_folder(folder, folder.name, [file])
    is_of_file = source.file == file or UNREADABLE_DESCRIPTION in source.description
    return source.description if is_of_file else {}


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

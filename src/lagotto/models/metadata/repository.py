"""A Hugging Face repository comes in; the safest model file in it, with its input, goes out.

ONNX comes first, then safetensors, then TFLite: their files hold numbers and known operators only.
Then come checkpoints and models of Keras, from which our own readers take the tensors: nothing of
them is run, and code of the repository is never run.
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
from lagotto.models.metadata.pretrained import CONFIG, PROCESSOR, SAVED_WEIGHTS, WEIGHTS_FILE
from lagotto.models.metadata.scan import describe_folder
from lagotto.models.metadata.unread.file_names import (
    is_adapter,
    is_index,
    is_of_training,
    is_part,
    model_ending,
    model_stem,
    shard_number,
)
from lagotto.models.metadata.unread.formats import UNREAD_FORMATS
from lagotto.models.metadata.unread.recognition import UNREAD_ENDINGS

_FOLDERS = ("", "onnx")
_READ_FORMS = (
    *((".safetensors",), (".keras",), (".h5", ".hdf5")),
    (".pth", ".pt", ".ckpt", ".th", ".bin"),
)
"""Endings of forms that are read without running anything, the preferred first."""

_USUAL_STEMS = ("model", "pytorch_model", "best_model", "best")
_CHECKPOINT_FOLDERS = ("", "weights", "checkpoints", "checkpoint", "models", "model")
_OF_OTHERS = frozenset({"tf_model.h5", "pytorch_lora_weights.safetensors"})
"""Weights alone, without the network that they belong to."""
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
    if weights.path in SAVED_WEIGHTS:
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
    listed = {file.path: file for file in files}
    if has_config:
        for name in SAVED_WEIGHTS:
            if name in listed:
                return _with_shards(listed[name], files)
    flat = [file for file in files if _is_in_model_folder(file.path, ".tflite")]
    if len(flat) == 1:
        return tuple(flat)
    return () if flat else _checkpoint(_checkpoints(files), files)


def _checkpoints(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files of the most preferred form that is read and that the repository has.

    The root is looked at first, then folders in which people keep weights.
    """
    for folder in _CHECKPOINT_FOLDERS:
        inside = [file for file in files if str(PurePosixPath(file.path).parent) == (folder or ".")]
        names = frozenset(PurePosixPath(file.path).name for file in inside)
        for endings in _READ_FORMS:
            found = [file for file in inside if _is_checkpoint(file.path, endings, names)]
            if found:
                return found
    return []


def _is_checkpoint(path: str, endings: tuple[str, ...], beside: frozenset[str]) -> bool:
    """Whether a file is a whole model by its name: no shard, no state of a training, no adapter."""
    name = PurePosixPath(path).name
    if model_ending(Path(name)) not in endings or name in _OF_OTHERS:
        return False
    is_share = shard_number(name) is not None or is_part(name, beside) or "shard" in name
    return not (is_share or is_adapter(name) or is_of_training(name))


def _checkpoint(found: Sequence[RemoteFile], files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The one checkpoint to read, with its shards; none if it is not clear which one is meant."""
    by_stem = {model_stem(Path(PurePosixPath(file.path).name)): file for file in reversed(found)}
    usual = [by_stem[stem] for stem in _USUAL_STEMS if stem in by_stem]
    if len(by_stem) != 1 and not usual:
        return ()
    return _with_shards(usual[0] if usual else found[0], files)


def _with_shards(chosen: RemoteFile, files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """A file of weights; after an index the shards of its name."""
    if not is_index(chosen.path):
        return (chosen,)
    stem = str(PurePosixPath(chosen.path).with_name(model_stem(Path(chosen.path))))
    shards = [
        file
        for file in files
        if file.path.startswith(stem) and shard_number(PurePosixPath(file.path).name) is not None
    ]
    return chosen, *shards


def _is_in_model_folder(path: str, ending: str) -> bool:
    posix = PurePosixPath(path)
    return posix.suffix.lower() == ending and str(posix.parent).strip(".") in _FOLDERS


def _variant_rank(path: str) -> tuple[int, int, str]:
    """Sort key of graphs: `model.onnx` before its variants (quantized, half), the rest by name."""
    stem = PurePosixPath(path).stem
    return (stem != "model") + (not stem.startswith("model")), path.count("/"), path


def _nothing_safe(repository: Repository) -> str:
    """Why no file of a repository is fetched, and what to do."""
    several = sorted(file.path for file in _checkpoints(repository.files))
    if several:
        return (
            f"{repository.name} holds {len(several)} checkpoints ({', '.join(several[:4])}) and "
            "does not say which is its model; download the one that you mean, and add the file"
        )
    names = [file.path for file in repository.files]
    shards = [name for name in names if shard_number(PurePosixPath(name).name) is not None]
    if shards:
        return (
            f"{repository.name} has shards of weights ({shards[0]}) without their index; ask its "
            "author for the .index.json"
        )
    unread = [
        (name, UNREAD_FORMATS[key])
        for name in names
        if (key := UNREAD_ENDINGS.get(PurePosixPath(name).suffix.lower(), ""))
    ]
    if unread:
        name, form = unread[0]
        return f"{repository.name} holds only {name} ({form.name}); it {form.reason}"
    listed = ", ".join(sorted(names)[:6]) or "nothing"
    return (
        f"{repository.name} holds no model that can be run (model.onnx, {WEIGHTS_FILE} "
        f"with {CONFIG}, one .tflite file, one checkpoint or model of Keras); it has: {listed}"
    )


def _settings(file: Path) -> JsonObject:
    return read_json(file, "settings", SourceError) if file.is_file() else {}

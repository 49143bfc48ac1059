"""A folder comes in; it and the folders under it that may hold models go out, file by file."""

import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import UsageError
from lagotto.core.images import IMAGE_SUFFIXES
from lagotto.models.metadata.beside.finder import EXPORT_FOLDERS
from lagotto.models.metadata.file_count import (
    BELOW,
    CLOSED,
    HIDDEN_FILE,
    HIDDEN_FOLDER,
    LINK_OUT,
    OLDER,
    kind_of,
)
from lagotto.models.metadata.foreign import has_description
from lagotto.models.metadata.model_files import is_model, model_endings
from lagotto.models.metadata.registries.folders import REGISTRY_FILES, registered_model
from lagotto.models.metadata.registries.registered import RegisteredModel
from lagotto.models.metadata.unread.file_names import model_ending


@dataclass(slots=True)
class ScannedFolder:
    """What lies directly in a folder. `others` are files that are no models, without pictures.

    `registered` is the model of a registry that the folder is; it has a file only if that is read.
    """

    path: Path
    is_described: bool
    registered: RegisteredModel | None = None
    models: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def is_one_model(self) -> bool:
        """Whether the folder and all below it are one model, which a file in it describes."""
        in_registry = self.registered is not None and self.registered.file is not None
        return self.is_described or in_registry


def walk_folders(root: Path) -> Iterator[ScannedFolder]:
    """`root` and the folders under it that may hold models, each real folder once."""
    roots, visited, pending = link_roots(root), set(), [root]
    while pending:
        path = pending.pop()
        real = path.resolve()
        if real in visited:
            continue
        visited.add(real)
        folder = read_folder(path, roots)
        deeper = []
        for entry in _subfolders(path):
            if entry.name.startswith("."):
                folder.passed_over[HIDDEN_FOLDER] += 1
            elif not stays_inside(entry, roots):
                folder.passed_over[LINK_OUT] += 1
            elif not _is_open(entry):
                folder.passed_over[CLOSED] += 1
            else:
                deeper.append(entry)
        if not folder.is_one_model:
            pending += sorted(deeper, reverse=True)
        else:
            _count_below(deeper, folder)
        yield folder


def read_folder(path: Path, roots: tuple[Path, ...]) -> ScannedFolder:
    """The files directly in a folder, sorted."""
    files = sorted(files_directly_in(path))
    folder = ScannedFolder(path, has_description(path))
    beside = frozenset(file.name for file in files)
    if not folder.is_described and not beside.isdisjoint(REGISTRY_FILES):
        folder.registered = _registered(path)
    for file in files:
        if file.name.startswith("."):
            folder.passed_over[HIDDEN_FILE] += 1
        elif file.is_symlink() and not stays_inside(file, roots):
            folder.passed_over[LINK_OUT] += 1
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            folder.passed_over[kind_of(file)] += 1
        elif is_model(file, beside):
            folder.models.append(file)
        else:
            folder.others.append(file)
    return folder


def _registered(folder: Path) -> RegisteredModel | None:
    """The model of a registry in a folder, without its file if that is of a form not read."""
    found = registered_model(folder)
    if found is None or found.file is None:
        return found
    beside = frozenset(file.name for file in files_directly_in(found.file.parent))
    is_read = is_model(found.file, beside, is_given=True)
    return found if is_read else replace(found, file=None, may_hold=True)


def exported_models(folder: ScannedFolder, roots: tuple[Path, ...]) -> list[Path]:
    """The model files in the folder `onnx` or `tflite` of a folder; `model.onnx` before others."""
    files: list[Path] = []
    for entry in _subfolders(folder.path):
        is_export = entry.name.lower() in EXPORT_FOLDERS and _is_open(entry)
        if is_export and stays_inside(entry, roots):
            files += read_folder(entry, roots).models
    return [file for file in files if file.stem.lower() == "model"] or files


def _count_below(folders: Sequence[Path], above: ScannedFolder) -> None:
    """Counts the files below a folder that is one model; they may describe it."""
    older = frozenset(above.registered.older if above.registered else ())
    endings = {*model_endings()} - {".bin", ".json"}  # most of these are no models
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                file = Path(parent, name)
                if model_ending(file) in endings:
                    is_older = not older.isdisjoint(file.parents)
                    above.passed_over[OLDER if is_older else BELOW] += 1
                else:
                    above.others.append(file)


def files_directly_in(folder: Path) -> list[Path]:
    """The files directly in a folder; raises UsageError if it cannot be read."""
    return [Path(entry.path) for entry in _entries(folder) if not entry.is_dir()]


def _subfolders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _is_open(folder: Path) -> bool:
    """Whether this user may list a folder and reach what is in it."""
    return os.access(folder, os.R_OK | os.X_OK)


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        if not _is_open(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UsageError(f"folder {str(folder)!r} cannot be read: {error.strerror}") from error

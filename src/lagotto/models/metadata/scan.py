"""Paths come in; the models under them go out, in a fixed order, with unique names and a count."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import ModelError, UsageError
from lagotto.core.images import IMAGE_SUFFIXES
from lagotto.core.remote.spec import is_remote
from lagotto.core.text.clean import clean_text
from lagotto.core.types import ModelSource
from lagotto.models.files.weights import inside
from lagotto.models.metadata.beside.finder import (
    EXPORT_FOLDERS,
    folders_beside,
    may_describe,
)
from lagotto.models.metadata.description import (
    DESCRIPTION_FILE,
    UNREADABLE_DESCRIPTION,
    Description,
    model_folder,
    parse_description,
    read_model_json,
)
from lagotto.models.metadata.file_count import (
    AGAIN,
    BELOW,
    BESIDE,
    FOREIGN,
    HIDDEN_FILE,
    HIDDEN_FOLDER,
    LINK_OUT,
    OTHER_FORM,
    FileCount,
    kind_of,
    sum_counts,
)
from lagotto.models.metadata.foreign import has_description
from lagotto.models.metadata.model_files import is_model, model_endings
from lagotto.models.metadata.model_names import file_name, folder_name
from lagotto.models.metadata.unread.file_names import (
    exported_stem,
    is_export_folder,
    is_saved_form,
    model_ending,
)
from lagotto.models.metadata.unread.recognition import UnreadFile, recognize_unread
from lagotto.models.metadata.unread.report import unread_lines
from lagotto.models.registry import external_data


@dataclass(frozen=True, slots=True)
class FoundModels:
    """The models under some paths, what became of the other files, and models that are not read."""

    models: tuple[ModelSource, ...]
    files: FileCount
    not_read: tuple[UnreadFile, ...] = ()


@dataclass(slots=True)
class _Folder:
    """What lies directly in a folder. `others` are files that are no models, without pictures."""

    path: Path
    is_described: bool
    models: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def scan_models(paths: Sequence[Path]) -> list[ModelSource]:
    """The models at `paths`, without the count of the other files; see `scan_paths`."""
    return list(scan_paths(paths).models)


def scan_paths(paths: Sequence[Path], must_find: bool = True) -> FoundModels:
    """Finds the models at `paths`, in their order, and within a folder sorted by path.

    A folder with a model.json is one model, and is not searched deeper; one that is another tool's
    does not count. A model file without one is named by its path relative to the given folder,
    without its ending; a lone `model.onnx` has the name of its folder. A model.json gives its own
    name. A later model of a name that is taken gets "~2", "~3", ... Hidden folders, and links that
    lead out of a given folder, are left out, and counted.

    A model.json that cannot be used does not stop the scan: loading its model raises the reason.

    Args:
        paths: Model files and folders.
        must_find: Whether a path that holds no model is an error.

    Raises:
        UsageError: A path is missing, or is a file that is surely no model; or it holds no model.
    """
    by_file: dict[Path, ModelSource] = {}
    counts: dict[Path, FileCount] = {}
    not_read: dict[str, UnreadFile] = {}
    for path in paths:
        found = _scan_path(path)
        if must_find and not found.models:
            raise UsageError(_nothing_found(path, found))
        not_read.update({item.file: item for item in found.not_read})
        known = len(by_file)
        for source in found.models:
            by_file.setdefault(source.file.resolve(), source)
        new = len(by_file) - known
        again = {AGAIN: len(found.models) - new} if new < len(found.models) else {}
        count = replace(found.files, models=new, passed_over={**found.files.passed_over, **again})
        counts.setdefault(Path(os.path.abspath(path)), count)
    models = tuple(_with_unique_names(list(by_file.values())))
    return FoundModels(models, sum_counts(counts.values()), tuple(not_read.values()))


def describe_folder(folder: Path, name: str, files: Sequence[Path]) -> ModelSource:
    """The model of a folder with a model.json; an error goes into its description.

    Args:
        folder: The folder.
        name: The name of the model if model.json gives none.
        files: The model files directly in the folder.
    """
    try:
        raw = read_model_json(folder / DESCRIPTION_FILE)
        description = parse_description(raw)
        if description.file is not None:
            file = inside(folder, description.file, f"{DESCRIPTION_FILE}: file")
        elif len(files) == 1:
            file = files[0]
        else:
            raise ModelError(
                f"{DESCRIPTION_FILE} names no file and {len(files)} model files are beside it; "
                f'say which: {{"file": "name.onnx"}}'
            )
        if model_ending(file) not in model_endings():
            raise ModelError(
                f"{DESCRIPTION_FILE}: file is {file.name!r}; known endings: {_listed_endings()}"
            )
    except ModelError as error:
        return ModelSource(
            clean_text(name), folder / DESCRIPTION_FILE, {UNREADABLE_DESCRIPTION: str(error)}
        )
    return ModelSource(description.name or clean_text(name), file, raw)


def _scan_path(given: Path) -> FoundModels:
    path = Path(os.path.abspath(given))
    if not path.exists():
        if is_remote(str(given)):
            raise UsageError(
                f"{str(given)!r} names a model on a hub; add it to one of yours first: "
                f"lagotto hub add HUB {given}"
            )
        raise UsageError(f"no such model file or folder: {str(given)!r}; check the path")
    beside = frozenset(file.name for file in _files(path.parent)) if path.is_file() else frozenset()
    is_of_ours = is_model(path, beside, is_given=True)
    if path.name == DESCRIPTION_FILE and not is_of_ours:
        path = path.parent
    if path.is_dir():
        return _scan_folder(path)
    if not is_of_ours:
        not_read = tuple(recognize_unread([path]).values())
        if not_read:
            return FoundModels((), FileCount(passed_over={kind_of(path): 1}), not_read)
        if model_ending(path) not in model_endings():
            listed = _listed_endings()
            raise UsageError(f"{str(given)!r} is not a model file; known endings: {listed}")
    source = _source_of_file(path)
    folders = folders_beside(source.file, Description())
    by_folder = {folder: _read_folder(folder, link_roots(folder)).others for folder in folders}
    facts = {*_facts_of(source, by_folder)} - {source.file}
    return FoundModels((source,), FileCount(1, len(facts)))


def _nothing_found(given: Path, found: FoundModels) -> str:
    """Why a path gives no model, and what lies there instead."""
    lines = [*unread_lines(found.not_read), *found.files.hints]
    if given.is_file() and found.not_read:
        return f"not read: {'; '.join(lines)}"
    counted = [str(found.files)] if found.files.seen else []
    return "; ".join(
        [
            f"no model under {str(given)!r}: looked for files ending in {_listed_endings()} "
            "(links that lead out of the folder are not followed)",
            *counted,
            *lines,
        ]
    )


def _source_of_file(path: Path) -> ModelSource:
    """The model of one file that was given by itself."""
    if has_description(path.parent):
        files = _read_folder(path.parent, link_roots(path.parent)).models
        described = describe_folder(path.parent, path.parent.name, files)
        if UNREADABLE_DESCRIPTION in described.description or described.file == path:
            return described
    return ModelSource(clean_text(file_name(path, path.parent, is_lone=False)), path)


def _scan_folder(root: Path) -> FoundModels:
    sources, leftover, roots = [], [], link_roots(root)
    described: set[Path] = set()
    passed_over: Counter[str] = Counter()
    for folder in _folders(root):
        passed_over += folder.passed_over
        leftover += folder.others
        if folder.is_described:
            name = folder_name(folder.path, root)
            source = describe_folder(folder.path, name, folder.models or _exported(folder, roots))
            sources.append(source)
            described.add(folder.path / DESCRIPTION_FILE)
            passed_over[BESIDE] += sum(file != source.file for file in folder.models)
            passed_over[BELOW] -= source.file.parent != folder.path  # that one is the model
            continue
        lone = len(folder.models) == 1
        for file in folder.models:
            sources.append(ModelSource(clean_text(file_name(file, root, lone)), file))
    facts = _facts(sources, leftover) | described
    files = {source.file for source in sources}
    rest = [file for file in leftover if file not in facts and file not in files]
    not_read, copies = _not_read(rest, files)
    for file in rest:
        kind = FOREIGN if file.name == DESCRIPTION_FILE else kind_of(file)
        passed_over[OTHER_FORM if file in copies else kind] += 1
    used = facts.intersection(leftover) - files
    count = FileCount(len(sources), len(used), dict(+passed_over))
    ordered = sorted(sources, key=lambda source: source.file.relative_to(root).as_posix())
    return FoundModels(tuple(ordered), count, not_read)


def _not_read(
    files: Sequence[Path], models: Set[Path]
) -> tuple[tuple[UnreadFile, ...], frozenset[Path]]:
    """The models among files that are not read, and the files that are other forms of a model.

    Another form bears the name of a model in the same folder, as exporters write it. It is no loss.
    """
    stems = {(model.parent, exported_stem(model.name)) for model in models}
    copies: set[Path] = set()
    lost = []
    for path, item in recognize_unread(files).items():
        homes = [home for home in path.parents if is_export_folder(home.name)]
        exports = [p for p in (path, *homes) if (p.parent, exported_stem(p.name)) in stems]
        if exports or is_saved_form(path, models):
            copies.update(exports or [path])
        else:
            lost.append(item)
    return tuple(lost), frozenset(f for f in files if not copies.isdisjoint((f, *f.parents)))


def _facts(sources: Sequence[ModelSource], leftover: Sequence[Path]) -> set[Path]:
    """The files that describe the models of a folder, or hold a part of their weights."""
    by_folder: dict[Path, list[Path]] = {}
    for file in leftover:
        by_folder.setdefault(file.parent, []).append(file)
    return {file for source in sources for file in _facts_of(source, by_folder)}


def _facts_of(source: ModelSource, by_folder: Mapping[Path, Sequence[Path]]) -> Iterator[Path]:
    """The files, of those in some folders, that belong to a model: facts, and data of weights."""
    if UNREADABLE_DESCRIPTION in source.description:
        return
    try:
        description = parse_description(source.description)
    except ModelError:
        description = Description()
    if source.description:
        home = model_folder(description, source.file)
        yield home / DESCRIPTION_FILE
        if isinstance(description.labels, str):
            yield home / description.labels
    others = False
    for folder in folders_beside(source.file, description):
        for file in by_folder.get(folder, ()):
            if may_describe(file.name, source.file.stem):
                yield file
            else:
                others = True
    if others:
        yield from external_data(source.file)


def _folders(root: Path) -> Iterator[_Folder]:
    """`root` and the folders under it that may hold models, each real folder once."""
    roots, visited, pending = link_roots(root), set(), [root]
    while pending:
        path = pending.pop()
        real = path.resolve()
        if real in visited:
            continue
        visited.add(real)
        folder = _read_folder(path, roots)
        deeper = []
        for entry in _subfolders(path):
            if entry.name.startswith("."):
                folder.passed_over[HIDDEN_FOLDER] += 1
            elif not stays_inside(entry, roots):
                folder.passed_over[LINK_OUT] += 1
            else:
                deeper.append(entry)
        if not folder.is_described:
            pending += sorted(deeper, reverse=True)
        else:
            _count_below(deeper, folder)
        yield folder


def _read_folder(path: Path, roots: tuple[Path, ...]) -> _Folder:
    """The files directly in a folder, sorted."""
    folder = _Folder(path, has_description(path))
    files = sorted(_files(path))
    beside = frozenset(file.name for file in files)
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


def _exported(folder: _Folder, roots: tuple[Path, ...]) -> list[Path]:
    """The model files in the folder `onnx` or `tflite` of a folder; `model.onnx` before others."""
    files: list[Path] = []
    for entry in _subfolders(folder.path):
        if entry.name.lower() in EXPORT_FOLDERS and stays_inside(entry, roots):
            files += _read_folder(entry, roots).models
    return [file for file in files if file.stem.lower() == "model"] or files


def _count_below(folders: Sequence[Path], above: _Folder) -> None:
    """Counts the files below a folder with a model.json; they may describe its model."""
    endings = {*model_endings()} - {".bin", ".json"}  # most of these are no models
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                file = Path(parent, name)
                if model_ending(file) in endings:
                    above.passed_over[BELOW] += 1
                else:
                    above.others.append(file)


def _listed_endings() -> str:
    return ", ".join(model_endings())


def _files(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if not entry.is_dir()]


def _subfolders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UsageError(f"folder {str(folder)!r} cannot be read: {error.strerror}") from error


def _with_unique_names(sources: list[ModelSource]) -> list[ModelSource]:
    taken: set[str] = set()
    named = []
    for source in sources:
        name, copy = source.name, 1
        while name in taken:
            copy += 1
            name = f"{source.name}~{copy}"
        taken.add(name)
        named.append(replace(source, name=name))
    return named

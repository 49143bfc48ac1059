"""Paths come in; the models under them go out, in a fixed order, with unique names and a count."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.arguments.links import link_roots
from lagotto.core.errors import ModelError, UsageError
from lagotto.core.remote.spec import is_remote
from lagotto.core.text.clean import clean_text
from lagotto.core.types import ModelSource
from lagotto.models.files.weights import inside
from lagotto.models.metadata.beside.finder import (
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
    OTHER_FORM,
    FileCount,
    kind_of,
    sum_counts,
)
from lagotto.models.metadata.folder_walk import (
    ScannedFolder,
    exported_models,
    files_directly_in,
    read_folder,
    walk_folders,
)
from lagotto.models.metadata.foreign import has_description
from lagotto.models.metadata.model_files import is_model, is_one_of_two_exports, model_endings
from lagotto.models.metadata.model_names import file_name, folder_name
from lagotto.models.metadata.registries.registered import RegisteredModel
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
    beside = (
        frozenset(file.name for file in files_directly_in(path.parent))
        if path.is_file()
        else frozenset()
    )
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
            hints = FileCount(passed_over={kind_of(path): 1}).hints
            known = "; ".join(hints) or f"known endings: {_listed_endings()}"
            raise UsageError(f"{str(given)!r} is not a model file; {known}")
    source = _source_of_file(path)
    folders = folders_beside(source.file, Description())
    by_folder = {folder: read_folder(folder, link_roots(folder)).others for folder in folders}
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
        files = read_folder(path.parent, link_roots(path.parent)).models
        described = describe_folder(path.parent, path.parent.name, files)
        if UNREADABLE_DESCRIPTION in described.description or described.file == path:
            return described
    return ModelSource(clean_text(file_name(path, path.parent, is_lone=False)), path)


def _scan_folder(root: Path) -> FoundModels:
    sources, leftover, roots = [], [], link_roots(root)
    described: set[Path] = set()
    refused: dict[Path, RegisteredModel] = {}
    passed_over: Counter[str] = Counter()
    for folder in walk_folders(root):
        passed_over += folder.passed_over
        leftover += folder.others
        if folder.registered is not None and folder.registered.file is None:
            refused[folder.path] = folder.registered
        if folder.is_one_model:
            source = _one_model(folder, root, roots)
            sources.append(source)
            if folder.is_described:
                described.add(folder.path / DESCRIPTION_FILE)
            others = sum(file != source.file for file in folder.models)
            passed_over[BESIDE if folder.is_described else OTHER_FORM] += others
            passed_over[BELOW] -= source.file.parent != folder.path  # that one is the model
            continue
        lone = len(folder.models) == 1
        for file in folder.models:
            sources.append(ModelSource(clean_text(file_name(file, root, lone)), file))
    facts = _facts(sources, leftover) | described
    files = {source.file for source in sources}
    rest = [file for file in leftover if file not in facts and file not in files]
    exports = {file for file in rest if is_one_of_two_exports(file)}
    not_read, copies = _not_read([file for file in rest if file not in exports], files, refused)
    for file in rest:
        kind = FOREIGN if file.name == DESCRIPTION_FILE else kind_of(file)
        passed_over[OTHER_FORM if file in exports or file in copies else kind] += 1
    used = facts.intersection(leftover) - files
    count = FileCount(len(sources), len(used), dict(+passed_over))
    ordered = sorted(sources, key=lambda source: source.file.relative_to(root).as_posix())
    return FoundModels(tuple(ordered), count, not_read)


def _one_model(folder: ScannedFolder, root: Path, roots: tuple[Path, ...]) -> ModelSource:
    """The model of a folder that a model.json or a registry describes."""
    name = folder_name(folder.path, root)
    if folder.registered is not None and folder.registered.file is not None:
        return ModelSource(clean_text(name), folder.registered.file)
    return describe_folder(folder.path, name, folder.models or exported_models(folder, roots))


def _not_read(
    files: Sequence[Path], models: Set[Path], refused: Mapping[Path, RegisteredModel]
) -> tuple[tuple[UnreadFile, ...], frozenset[Path]]:
    """The models among files that are not read, and the files that are other forms of a model.

    Another form bears the name of a model in the same folder, as exporters write it. It is no loss.
    A folder of a registry in which no model is read counts once, as far as it says why.
    """
    stems = {(model.parent, exported_stem(model.name)) for model in models}
    homes_with_models = {home for model in models for home in model.parents}
    copies: set[Path] = set()
    lost: dict[Path, UnreadFile] = {}
    for path, item in recognize_unread(files).items():
        homes = [home for home in path.parents if is_export_folder(home.name)]
        exports = [p for p in (path, *homes) if (p.parent, exported_stem(p.name)) in stems]
        if exports or is_saved_form(path, models):
            copies.update(exports or [path])
        else:
            lost[path] = item
    for home, model in refused.items():
        inner = [path for path in lost if home in path.parents]
        if home in homes_with_models or (inner and model.may_hold):
            continue
        for path in inner:
            del lost[path]
        lost[home] = UnreadFile(str(home), model.form, model.reason, model.recipe)
    copied = frozenset(file for file in files if not copies.isdisjoint((file, *file.parents)))
    return tuple(lost.values()), copied


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


def _listed_endings() -> str:
    return ", ".join(model_endings())


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

"""Paths come in; the models under them go out, in a fixed order and with unique names."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lagotto.core.errors import ModelError, UsageError
from lagotto.core.remote.spec import is_remote
from lagotto.core.text.clean import clean_text
from lagotto.core.types import ModelSource
from lagotto.models.files.weights import inside
from lagotto.models.metadata.description import (
    DESCRIPTION_FILE,
    UNREADABLE_DESCRIPTION,
    parse_description,
    read_model_json,
)
from lagotto.models.metadata.pretrained import is_saved_model
from lagotto.models.registry import MODEL_ADAPTERS

ENDINGS = tuple(sorted(MODEL_ADAPTERS))


def scan_models(paths: Sequence[Path]) -> list[ModelSource]:
    """Finds the models at `paths`, in their order, and within a folder sorted by path.

    A folder with a model.json is one model, and is not searched deeper. A model file without one
    is named by its path relative to the given folder, without its ending; a lone `model.onnx` has
    the name of its folder. A model.json gives its own name. A later model of a name that is taken
    gets "~2", "~3", ... Hidden folders, and links that lead out of a given folder, are left out.

    A model.json that cannot be used does not stop the scan: loading its model raises the reason.
    Raises UsageError for a path that is missing or holds no model.
    """
    by_file: dict[Path, ModelSource] = {}
    for path in paths:
        for source in _models_at(path):
            by_file.setdefault(source.file.resolve(), source)
    return _with_unique_names(list(by_file.values()))


def _models_at(given: Path) -> list[ModelSource]:
    path = Path(os.path.abspath(given))
    if not path.exists():
        if is_remote(str(given)):
            raise UsageError(
                f"{str(given)!r} names a model on a hub; add it to one of yours first: "
                f"lagotto hub add HUB {given}"
            )
        raise UsageError(f"no such model file or folder: {str(given)!r}; check the path")
    if path.name == DESCRIPTION_FILE:
        path = path.parent
    if path.is_dir():
        return _models_in(path, given)
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{str(given)!r} is not a model file; known endings: {', '.join(ENDINGS)}")
    if (path.parent / DESCRIPTION_FILE).is_file():
        described = _described(path.parent, path.parent.name, _model_files(path.parent))
        if UNREADABLE_DESCRIPTION in described.description or described.file == path:
            return [described]
    return [ModelSource(clean_text(path.stem), path)]


def _models_in(root: Path, given: Path) -> list[ModelSource]:
    sources = []
    for folder in _folders(root):
        files = _model_files(folder, root)
        within = folder.relative_to(root).as_posix()
        folder_name = root.name if within == "." else within
        if (folder / DESCRIPTION_FILE).is_file():
            sources.append(_described(folder, folder_name, files))
            continue
        for file in files:
            lone = len(files) == 1 and file.stem.lower() == "model"
            name = folder_name if lone else file.relative_to(root).with_suffix("").as_posix()
            sources.append(ModelSource(clean_text(name), file))
    if not sources:
        raise UsageError(
            f"no model under {str(given)!r}: looked for files ending in {', '.join(ENDINGS)} "
            "(links that lead out of the folder are not followed)"
        )
    return sorted(sources, key=lambda source: source.file.relative_to(root).as_posix())


def _folders(root: Path) -> Iterator[Path]:
    """`root` and the folders under it that may hold models, each real folder once."""
    inner, visited, pending = root.resolve(), set(), [root]
    while pending:
        folder = pending.pop()
        real = folder.resolve()
        if real in visited or not real.is_relative_to(inner):
            continue
        visited.add(real)
        yield folder
        if not (folder / DESCRIPTION_FILE).is_file():
            pending += sorted((entry for entry in _entries(folder) if entry.is_dir()), reverse=True)


def _model_files(folder: Path, root: Path | None = None) -> list[Path]:
    """The model files directly in `folder`, sorted; links that lead out of `root` are ignored."""
    inner = (root or folder).resolve()
    return sorted(
        entry
        for entry in _entries(folder)
        if entry.suffix.lower() in ENDINGS
        and entry.is_file()
        and (entry.suffix.lower() != ".safetensors" or is_saved_model(entry))
        and entry.resolve().is_relative_to(inner)
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"folder {str(folder)!r} cannot be read: {error.strerror}") from error


def _described(folder: Path, name: str, files: list[Path]) -> ModelSource:
    """The model of a folder with a model.json; an error goes into its description."""
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
                f'say which: {{"file": "name{ENDINGS[0]}"}}'
            )
        if file.suffix.lower() not in ENDINGS:
            raise ModelError(
                f"{DESCRIPTION_FILE}: file is {file.name!r}; known endings: {', '.join(ENDINGS)}"
            )
    except ModelError as error:
        return ModelSource(
            clean_text(name), folder / DESCRIPTION_FILE, {UNREADABLE_DESCRIPTION: str(error)}
        )
    return ModelSource(description.name or clean_text(name), file, raw)


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

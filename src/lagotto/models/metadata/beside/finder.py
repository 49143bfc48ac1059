"""The folders of a model come in; what all the files there say of its input and labels goes out.

This is the one finder for a file on disk, a snapshot of the Hub and a fetched repository. Beside a
model are the files of its folder and of the folder of its model.json; and, where an export keeps
the graph in a folder `onnx` or `tflite`, of the folder above.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import ModelError, UsageError
from lagotto.core.files import read_json
from lagotto.core.image_processor import read_image_processor
from lagotto.core.parsing.name_list import NameList, read_name_list
from lagotto.core.text.clean import clean_text
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.metadata.beside.export_tools import (
    NOTHING,
    TOOL_FILES,
    ToolFacts,
    read_tool_files,
)
from lagotto.models.metadata.beside.label_choice import FoundLabels
from lagotto.models.metadata.beside.label_files import (
    LabelFile,
    bare_stem,
    is_own_list,
    label_files,
    label_rank,
    other_lists,
)
from lagotto.models.metadata.description import (
    DESCRIPTION_FILE,
    Description,
    InputDescription,
    model_folder,
    parse_description,
)
from lagotto.models.metadata.foreign import has_foreign_json
from lagotto.models.metadata.input_spec import FoundInput
from lagotto.models.metadata.pretrained import (
    CONFIG,
    PROCESSOR,
    describe_saved,
    describe_timm,
    has_settings,
    labels_of,
)
from lagotto.models.metadata.registries.folders import (
    REGISTRY_FILES,
    registry_facts,
    registry_homes,
)

EXPORT_FOLDERS = frozenset({"onnx", "tflite", "tflite-model"})
"""Names (lower case) of folders that hold the graph of the model that is described above them."""

_PARAMETERS = "model-parameters"
_GRAPHS = (".onnx", ".tflite")
_MAX_SETTINGS_BYTES = 16 << 20
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class FilesBeside:
    """What the files beside a model say; notes name what was found and cannot be used.

    `settings` are of config.json and preprocessor_config.json, `tools` of an export tool.
    """

    settings: tuple[FoundInput, ...] = ()
    tools: tuple[FoundInput, ...] = ()
    labels: tuple[FoundLabels, ...] = ()
    notes: tuple[str, ...] = ()


def read_beside(file: Path, description: Description) -> FilesBeside:
    """All that the files beside a model say of it.

    Args:
        file: The weights file.
        description: The checked model.json.

    Returns:
        The inputs and the lists of labels, the preferred first. A settings file that cannot be
        read is a note, not an error.
    """
    inputs, notes = read_inputs(file, description)
    lists: list[FoundLabels] = []
    folders = folders_beside(file, description)
    if not has_settings(file):  # these are read by the adapter
        for folder in folders:
            labels = labels_of(_settings(folder / CONFIG)[0])
            if labels is not None:
                others = _other_models(folder, file)
                lists.append(FoundLabels(CONFIG, NameList(labels, "json"), others))
            if (folder / PROCESSOR).is_file() and (others := _other_models(folder, file)):
                models = len(others) + 1
                notes += (f"{PROCESSOR} lies beside {models} models and is taken for each",)
    for folder in folders:
        notes += tuple(_foreign_notes(folder, file))
        found, unread = _lists_in(folder, file)
        lists += found
        notes += unread
    settings = tuple(item for item in inputs if item.origin in (CONFIG, PROCESSOR))
    tools = tuple(item for item in inputs if item not in settings)
    if _is_graph(file):  # its shapes count, and so its digest is the same inside a registry
        tools += tuple(_registry_inputs(folders))
    return FilesBeside(settings, tools, tuple(lists), tuple(dict.fromkeys(notes)))


def read_inputs(
    file: Path, description: Description
) -> tuple[tuple[FoundInput, ...], tuple[str, ...]]:
    """What the files beside a model say of its input, and notes on those that cannot be read."""
    inputs: list[FoundInput] = []
    notes: list[str] = []
    folders = folders_beside(file, description)
    if not has_settings(file):
        for folder in folders:
            found, unread = _saved_inputs(folder)
            inputs += found
            notes += unread
    for folder in folders:
        for facts in read_tool_files(folder):
            if facts.input != NOTHING:
                inputs.append(FoundInput(facts.origin, facts.input))
    if not _is_graph(file):
        inputs += _registry_inputs(folders)
    return tuple(inputs), tuple(notes)


def _is_graph(file: Path) -> bool:
    return file.suffix.lower() in _GRAPHS


def _registry_inputs(folders: tuple[Path, ...]) -> Iterator[FoundInput]:
    """The inputs that registries describe."""
    for folder in folders:
        for facts in registry_facts(folder):
            if facts.input != NOTHING:
                yield FoundInput(facts.origin, facts.input)


def merged_input(declared: InputDescription, found: tuple[FoundInput, ...]) -> InputDescription:
    """The input part of model.json, filled from the files beside the model.

    It says which input a model has before its file is opened: it enters the digest of the model.
    Scale, mean and std are taken together, and so are resize and crop_fraction.
    """
    merged = declared
    for item in found:
        new = item.input
        if merged.scale is None and not merged.mean and not merged.std:
            merged = replace(merged, scale=new.scale, mean=new.mean, std=new.std)
        if merged.resize is None and merged.crop_fraction is None:
            merged = replace(merged, resize=new.resize, crop_fraction=new.crop_fraction)
        merged = replace(
            merged,
            size=merged.size or new.size,
            channels=merged.channels or new.channels,
            resample=merged.resample or new.resample,
        )
    return merged


def folders_beside(file: Path, description: Description) -> tuple[Path, ...]:
    """The folders whose files describe a model, the nearest first."""
    folders = [file.parent, model_folder(description, file)]
    if file.parent.name.lower() in EXPORT_FOLDERS:
        folders.append(file.parent.parent)
    folders += registry_homes(file)
    for folder in tuple(folders):
        if (folder / _PARAMETERS).is_dir():
            folders.append(folder / _PARAMETERS)
    return tuple(dict.fromkeys(folders))


def may_describe(name: str, stem: str) -> bool:
    """Whether `read_beside` reads a file of this name beside the model file `stem`."""
    is_setting = name in (CONFIG, PROCESSOR, *TOOL_FILES, *REGISTRY_FILES)
    return is_setting or label_rank(name, stem) is not None


def _saved_inputs(folder: Path) -> tuple[list[FoundInput], list[str]]:
    """The input that config.json and preprocessor_config.json describe."""
    config, no_config = _settings(folder / CONFIG)
    processor, no_processor = _settings(folder / PROCESSOR)
    found: list[FoundInput] = []
    notes = [*no_config, *no_processor]
    described = describe_saved({}, processor).get("input")
    if isinstance(described, dict) and "size" not in described:
        notes.append(f"{PROCESSOR}: only mean and std are used ({_unreproducible(processor)})")
    described_by: list[tuple[str, JsonValue]] = [(PROCESSOR, described)]
    try:
        described_by.append((CONFIG, describe_timm(config)))
    except ModelError as error:
        notes.append(f"{CONFIG} not used: {str(error).removeprefix(f'{CONFIG}: ')}")
    if config.get("image_size") is not None and "id2label" in config:
        described_by.append((CONFIG, {"size": config["image_size"]}))
    for origin, value in described_by:
        if value is None:
            continue
        try:
            item = parse_description({"input": value}).input
        except ModelError as error:
            notes.append(f"{origin} not used: {str(error).removeprefix('model.json: ')}")
        else:
            found.append(FoundInput(origin, item, maps_integers=True))
    return found, notes


def _settings(file: Path) -> tuple[JsonObject, list[str]]:
    """A JSON object beside a model; empty, with a note if it is there and cannot be read."""
    try:
        if not file.is_file() or not stays_inside(file, link_roots(file.parent)):
            return {}, []
        if file.stat().st_size > _MAX_SETTINGS_BYTES:
            return {}, [f"{file.name} not used: it is larger than {_MAX_SETTINGS_BYTES >> 20} MB"]
        return read_json(file, "the file", ModelError), []
    except (OSError, ModelError) as error:
        return {}, [f"{file.name} not used: {error}"]


def _unreproducible(processor: JsonObject) -> str:
    """Why the settings of an image processor cannot be reproduced."""
    try:
        read_image_processor(processor, ModelError)
    except ModelError as error:
        return clean_text(str(error))[:_LONGEST_REASON]
    return ""


def _foreign_notes(folder: Path, file: Path) -> Iterator[str]:
    if file.name != DESCRIPTION_FILE and has_foreign_json(folder):
        yield "model.json beside it is another tool's and was left alone"


def _lists_in(folder: Path, file: Path) -> tuple[list[FoundLabels], tuple[str, ...]]:
    """The lists of labels in a folder, the preferred first, and notes on those not read."""
    lists: list[FoundLabels] = []
    notes: list[str] = []
    tools = (*read_tool_files(folder), *registry_facts(folder))
    listed = label_files(folder, file.stem)
    others = _other_models(folder, file) if tools or listed else ()
    named = {facts.labels_file for facts in tools if facts.labels_file is not None}
    files = sorted(listed, key=lambda item: item.file.name not in named)
    for item in files:
        is_named = item.file.name in named
        is_own = item.is_own or is_named
        if not is_own and any(is_own_list(item.file.name, other.stem) for other in others):
            continue
        try:
            names = read_name_list(item.file)
        except UsageError as error:
            if item.is_named:
                notes.append(_unread(item, error))
            continue
        shared_with = () if is_own else others
        lists.append(FoundLabels(item.file.name, names, shared_with, is_guess=not is_named))
    notes += [_not_a_form(name) for name in other_lists(folder, file.stem) if name not in named]
    lists += [_of_tool(facts, facts.labels, others) for facts in tools if facts.labels is not None]
    notes += [note for facts in tools for note in facts.notes]
    return lists, tuple(notes)


def _of_tool(facts: ToolFacts, labels: NameList, others: tuple[Path, ...]) -> FoundLabels:
    return FoundLabels(facts.origin, labels, others, is_guess=True)


def _unread(item: LabelFile, error: UsageError) -> str:
    reason = str(error).replace(f"{str(item.file)!r} ", "").split("; give a ")[0]
    return f"{item.file.name} not used: it {reason}"


def _not_a_form(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    return (
        f"{name} not used: no list of names is read from {ending} files; "
        "write labels.txt, one name a line"
    )


def _other_models(folder: Path, file: Path) -> tuple[Path, ...]:
    """Model files that lists in a folder may belong to, too; variants of the model do not count."""
    others: list[Path] = []
    for home in dict.fromkeys((folder, file.parent)):
        try:
            with os.scandir(home) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
        except OSError:
            continue
        others += [
            home / name
            for name in names
            if os.path.splitext(name.lower())[1] in _GRAPHS
            and not name.startswith(".")
            and bare_stem(os.path.splitext(name)[0]) != bare_stem(file.stem)
        ]
    return tuple(others)

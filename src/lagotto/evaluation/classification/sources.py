"""A path comes in; streams of labelled pictures go out.

These forms are read:

- a folder of class sub-folders: CLASS/**/PICTURE; splits and wrappers around them are told apart
- a jsonl: {"image": path beside the file, "label": name}, or a folder that has a labels.jsonl
- a webdataset: a tar with KEY.jpg and KEY.cls (class number or name), or a folder of such tars
  (also DATA/test/*.tar); a list of classes is beside it or one folder above
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from json import loads
from pathlib import Path

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import MAX_PICTURE_BYTES, read_picture_file
from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    first_column,
    resolve_picture,
    storable,
)
from lagotto.core.parsing.delimited_text import text_lines
from lagotto.core.parsing.name_list import read_name_list
from lagotto.core.parsing.tar import TarMember, TarSurvey, read_samples, survey_tar
from lagotto.core.sources.count import add_counts
from lagotto.core.sources.folder import count_rest, list_pictures, refuse_outside
from lagotto.core.text.names import name_key
from lagotto.evaluation.classification.class_folders import SPLITS, find_class_folders
from lagotto.evaluation.classification.folder_names import read_folder_names

LABELS_NAME = "labels.jsonl"
CLASS_LISTS = ("classes.txt", "classnames.txt")
"""Names of a list of classes, one a line; the second is what CLIP_benchmark writes."""

_MAX_CLASS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """A picture with its label in the data: a name, or an index into the list of classes."""

    source: str
    label: str | int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class LabelledPart:
    """One folder, file or shard; each call of `samples` streams it from the beginning.

    `classes` is its list of classes, empty if it has none. `ordered` says whether labels may be
    indices into that list. `notes` say how the structure of the data was read. `passed_over` is the
    number of files or members that are no labelled picture, by kind; it is whole once `samples` was
    read to its end.
    """

    path: Path
    name: str
    samples: Callable[[], Iterator[LabelledSample]]
    classes: tuple[str, ...] = ()
    ordered: bool = field(default=False)
    notes: tuple[str, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """The labels that were given: their words in order, their numbers if the list has them, and
    the file that they are from, if it is one."""

    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] | None = None
    file: Path | None = None


def find_labelled_parts(path: Path, given: GivenLabels | None = None) -> list[LabelledPart]:
    """The parts of the data set at a path.

    Args:
        path: A folder, a .jsonl or a .tar.
        given: The labels, if they were given: they tell which folders are classes.

    Raises:
        UsageError: There is no data set, or it cannot be told which folders are the classes.
    """
    allowed = (
        f"give a folder of class sub-folders, a folder with {LABELS_NAME} or tars, a .jsonl or a "
        ".tar"
    )
    if path.is_file():
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            name = path.resolve().parent.name if path.name == LABELS_NAME else path.stem
            return [LabelledPart(path, storable(name), partial(_of_jsonl, path))]
        if path.suffix.lower() == ".tar":
            return [_tar_part(path, storable(path.stem))]
        raise UsageError(f"labelled pictures {path}: a file of a kind that is not read; {allowed}")
    if not path.is_dir():
        raise UsageError(f"labelled pictures {path}: no such file or folder; {allowed}")
    if (path / LABELS_NAME).is_file():
        (part,) = find_labelled_parts(path / LABELS_NAME)
        return [replace(part, passed_over=_beside_table(path))]
    name = storable(path.resolve().name)
    for folder in (path, *(path / split for split in SPLITS)):
        tars = sorted(folder.glob("*.tar"), key=lambda tar: (len(tar.name), tar.name))
        if tars:
            return [_tar_part(tar, name) for tar in tars]
    return [_folder_part(path, name, given or GivenLabels())]


def _beside_table(folder: Path) -> dict[str, int]:
    """The files of a folder that its table of labels does not name, by kind."""
    listing = list_pictures(folder, UsageError)
    root = folder.resolve()
    named = {
        os.path.normpath(resolve_picture(root, sample.source).absolute())
        for sample in _of_jsonl(folder / LABELS_NAME)
    }
    pictures = [root / path.relative_to(folder) for path in (*listing.pictures, *listing.outside)]
    counts = count_rest(listing, [folder / LABELS_NAME], with_pictures=False)
    unnamed = sum(os.path.normpath(path) not in named for path in pictures)
    return {**counts, **({"pictures without a label": unnamed} if unnamed else {})}


def _folder_part(path: Path, name: str, given: GivenLabels) -> LabelledPart:
    """The part of a folder of class folders."""
    keys = {name_key(words) for words in given.words}
    tree = find_class_folders(path, keys if keys else None)
    names = list(dict.fromkeys(label for label, _ in tree.folders))
    above = [place for place in (tree.root, *tree.root.parents) if place.is_relative_to(path)]
    places = [*above, path.resolve().parent]
    labels = read_folder_names(names, places, given.words, given.numbers, given.file)
    passed_over = dict(tree.passed_over)
    folders = [(labels.labels[label], folder) for label, folder in tree.folders]
    shown = dict.fromkeys(item for item, _ in folders if isinstance(item, str))
    return LabelledPart(
        path,
        name,
        partial(_of_folders, path, folders, tree.passed_over, passed_over),
        labels.classes or tuple(shown),
        bool(labels.classes),
        (*tree.notes, *labels.notes),
        passed_over,
    )


def _of_folders(
    path: Path,
    folders: Sequence[tuple[str | int, Path]],
    around: Mapping[str, int],
    passed_over: dict[str, int],
) -> Iterator[LabelledSample]:
    """Every picture under each class folder, by name; one class in memory at a time."""
    counts: list[Mapping[str, int]] = [around]
    for label, folder in folders:
        listing = list_pictures(folder, UsageError)
        counts.append(listing.passed_over)
        outside = set(listing.outside)
        for file in sorted((*listing.pictures, *listing.outside)):
            source = storable(file.relative_to(path).as_posix())
            read = refuse_outside if file in outside else partial(read_picture_file, file)
            yield LabelledSample(source, label, read)
    passed_over.update(add_counts(counts))


def _of_jsonl(path: Path) -> Iterator[LabelledSample]:
    """One sample a line; a missing picture file is an unreadable picture, not an error."""
    for number, line in text_lines(path, UsageError):
        if line is None:
            raise UsageError(f"{path} line {number} is not UTF-8 text; save it as UTF-8")
        if line.strip():
            yield _of_line(path, number, line)


def _of_line(path: Path, number: int, line: str) -> LabelledSample:
    where = f"{path} line {number}"
    try:
        row = loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON; each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise UsageError(f"{where} is not an object; each line must be one JSON object")
    image = row.get(first_column(PATH_COLUMNS, list(row)) or "")
    if not isinstance(image, str) or not image or "\0" in image:
        raise UsageError(f"{where} names no picture; give its path as {', '.join(PATH_COLUMNS)}")
    return LabelledSample(
        storable(image),
        _label_of(where, row.get("label")),
        partial(_load_named, path.parent, image),
    )


def _load_named(folder: Path, name: str) -> bytes:
    return read_picture_file(resolve_picture(folder, name))


def _label_of(where: str, label: object) -> str | int:
    if isinstance(label, int) and not isinstance(label, bool):
        return label
    if isinstance(label, str) and label.strip():
        return storable(label.strip())
    raise UsageError(f'{where} has no "label"; give the name of its class')


def _tar_part(path: Path, name: str) -> LabelledPart:
    classes = _class_list(path)
    survey = survey_tar(path, ("cls",), UsageError)
    samples = partial(_of_tar, path, survey)
    return LabelledPart(path, name, samples, classes, True, (), survey.passed_over)


def _class_list(path: Path) -> tuple[str, ...]:
    """The list of classes beside a tar, or one folder above; empty if there is none."""
    beside = (path.parent / name for name in CLASS_LISTS)
    above = (path.resolve().parent.parent / name for name in CLASS_LISTS)
    for file in (*beside, *above):
        if file.is_file():
            try:
                names = read_name_list(file)
            except UsageError as error:
                raise UsageError(f"list of classes {error}") from error
            if names.first is not None and len(names.present) < len(names.names):
                raise UsageError(
                    f"the list of classes {file} leaves out numbers; give the whole list by "
                    "--labels FILE"
                )
            return names.present
    return ()


def _of_tar(path: Path, survey: TarSurvey) -> Iterator[LabelledSample]:
    """One sample a key; without a picture it is unreadable, without a class it is an error."""
    for key, members in read_samples(path, survey, UsageError):
        source = storable(f"{path.name}/{key}")
        label: str | int | None = None
        picture: TarMember | None = None
        for member in members:
            if member.ending == "cls":
                label = _class_of(source, member)
            elif picture is None:
                picture = member
        if label is None:
            raise UsageError(f"{source} has no .cls; each picture needs one, its number or name")
        yield LabelledSample(source, label, partial(_picture, picture))


def _class_of(source: str, member: TarMember) -> str | int:
    try:
        text = member.read().decode().strip() if member.size <= _MAX_CLASS_BYTES else ""
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise UsageError(f"{source}.cls holds no class; write its number or name as text")
    return int(text) if text.isascii() and text.isdecimal() else storable(text)


def _picture(member: TarMember | None) -> bytes:
    if member is None:
        raise PictureError("no picture beside its .cls")
    if member.size > MAX_PICTURE_BYTES:
        raise PictureError(
            f"{member.size / 2**20:,.0f} MiB; at most {MAX_PICTURE_BYTES // 2**20} are read"
        )
    return member.read()

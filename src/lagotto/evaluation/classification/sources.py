"""A path comes in; streams of labelled pictures go out.

These forms are read:

- a folder of class sub-folders: CLASS/**/PICTURE
- a jsonl: {"image": path beside the file, "label": name}, or a folder that has a labels.jsonl
- a webdataset: a tar with KEY.jpg and KEY.cls (class number or name), or a folder of such tars
  (also DATA/test/*.tar); a list of classes is beside it or one folder above
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from json import loads
from pathlib import Path

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import IMAGE_SUFFIXES, MAX_PICTURE_BYTES, read_picture_file
from lagotto.core.parsing.captioned_tables import PATH_COLUMNS, storable
from lagotto.core.parsing.name_list import read_name_list
from lagotto.core.parsing.tar import (
    PICTURE_ENDINGS,
    TarMember,
    read_members,
)

LABELS_NAME = "labels.jsonl"
CLASS_LISTS = ("classes.txt", "classnames.txt")
"""Names of a list of classes, one a line; the second is what CLIP_benchmark writes."""

_SPLITS = ("test", "val", "validation")
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
    indices into that list.
    """

    path: Path
    name: str
    samples: Callable[[], Iterator[LabelledSample]]
    classes: tuple[str, ...] = ()
    ordered: bool = field(default=False)


def find_labelled_parts(path: Path) -> list[LabelledPart]:
    """The parts of the data set at a path; UsageError if there is none."""
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
        return find_labelled_parts(path / LABELS_NAME)
    name = storable(path.resolve().name)
    for folder in (path, *(path / split for split in _SPLITS)):
        tars = sorted(folder.glob("*.tar"), key=lambda tar: (len(tar.name), tar.name))
        if tars:
            return [_tar_part(tar, name) for tar in tars]
    classes = [folder.name for folder in _subfolders(path)]
    if not classes:
        raise UsageError(f"labelled pictures {path}: no class sub-folders in it; {allowed}")
    return [LabelledPart(path, name, partial(_of_folder, path), tuple(map(storable, classes)))]


def _subfolders(path: Path) -> list[Path]:
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read the folder {path}: {error.strerror}") from error
    return [path for path in inside if path.is_dir() and not path.name.startswith(".")]


def _of_folder(path: Path) -> Iterator[LabelledSample]:
    """Every picture under each class folder, by name; one class in memory at a time."""
    for folder in _subfolders(path):
        label = storable(folder.name)
        for file in sorted(_pictures_under(folder)):
            source = storable(file.relative_to(path).as_posix())
            yield LabelledSample(source, label, partial(read_picture_file, file))


def _pictures_under(folder: Path) -> Iterator[Path]:
    for parent, subfolders, files in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name)


def _of_jsonl(path: Path) -> Iterator[LabelledSample]:
    """One sample a line; a missing picture file is an unreadable picture, not an error."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _of_line(path, number, line)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text; save it as UTF-8") from error


def _of_line(path: Path, number: int, line: str) -> LabelledSample:
    where = f"{path} line {number}"
    try:
        row = loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON; each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise UsageError(f"{where} is not an object; each line must be one JSON object")
    image = next((row[key] for key in PATH_COLUMNS if key in row), None)
    if not isinstance(image, str) or not image or "\0" in image:
        raise UsageError(f"{where} names no picture; give its path as {', '.join(PATH_COLUMNS)}")
    return LabelledSample(
        storable(image),
        _label_of(where, row.get("label")),
        partial(read_picture_file, path.parent / image),
    )


def _label_of(where: str, label: object) -> str | int:
    if isinstance(label, int) and not isinstance(label, bool):
        return label
    if isinstance(label, str) and label.strip():
        return storable(label.strip())
    raise UsageError(f'{where} has no "label"; give the name of its class')


def _tar_part(path: Path, name: str) -> LabelledPart:
    classes = _class_list(path)
    return LabelledPart(path, name, partial(_of_tar, path), classes, ordered=True)


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


def _of_tar(path: Path) -> Iterator[LabelledSample]:
    """One sample a key; without a picture it is unreadable, without a class it is an error."""
    members = read_members(path, (*PICTURE_ENDINGS, "cls"), UsageError)
    for key, group in groupby(members, key=lambda member: member.key):
        source = storable(f"{path.name}/{key}")
        label: str | int | None = None
        picture: TarMember | None = None
        for member in group:
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

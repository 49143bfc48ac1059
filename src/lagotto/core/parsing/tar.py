"""The path of a tar comes in; its members go out, in order.

Nothing is unpacked to disk, and memory does not grow with the tar.
"""

import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.images import IMAGE_SUFFIXES
from lagotto.core.parsing.not_downloaded import what_lies_at

PICTURE_ENDINGS = tuple(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
"""Endings of members that are pictures, in lower case."""

MAX_APART_MEMBERS = 1_000_000
"""Members of a tar whose samples are apart, at most: their places are held in memory."""

_MAX_KEY = 1000
_MAX_NAME_BYTES = 1 << 20
_HEADER_TYPES = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """A regular file in a tar; `read` returns its bytes, at any time.

    `key` is its path up to the first dot of its name, and `ending` the rest in lower case; where
    `TarSurvey` says so, up to the last dot. `size` is its number of bytes, and `end` the offset in
    the tar where they end.
    """

    key: str
    ending: str
    size: int
    end: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class TarSurvey:
    """What the names in a tar say: how members make samples, and which ones make none.

    `whole_keys` are the keys, by webdataset's rule (up to the first dot of the name), that have a
    member with a known ending. A member with another ending belongs to them as a further field,
    as `photo.seg.png` to `photo.jpg`, and is passed over. Where there is no such key, the last dot
    decides: `v1.5.jpg` and `v1.5.txt` are one sample. With `by_name` the folder is no part of the
    key: `images/1.jpg` and `texts/1.txt` are one sample. `apart` says that members of one sample
    do not follow each other. `pictures`, `others` and `paired` are the numbers of samples with a
    picture, with another member, and with both; `passed_over` counts members by kind.
    """

    endings: frozenset[str]
    whole_keys: frozenset[int]
    by_name: bool
    apart: bool
    samples: int
    pictures: int
    others: int
    paired: int
    passed_over: dict[str, int]

    def key_of(self, name: str) -> tuple[str, str] | None:
        """(key, ending) of a member that belongs to a sample; None for one that does not."""
        key, ending = _split(name, "first")
        if ending not in self.endings:
            is_field = hash(key) in self.whole_keys
            key, ending = _split(name, "last")
            if is_field or ending not in self.endings:
                return None
        return (key.rpartition("/")[2] if self.by_name else key), ending


def survey_tar(path: Path, others: Collection[str], error: type[LagottoError]) -> TarSurvey:
    """Reads all names in a tar; where no picture has another member, folders are left out of keys.

    Args:
        path: The tar; it must not be compressed.
        others: The endings of members to read beside pictures, in lower case, without a dot.
        error: The class of the error to raise.

    Raises:
        error: The file is no plain, whole tar.
    """
    endings = frozenset((*PICTURE_ENDINGS, *others))
    firsts = (_split(member.name, "first") for member, _ in _headers(path, error) if member)
    whole_keys = frozenset(hash(key) for key, ending in firsts if ending in endings)
    survey = _survey(path, TarSurvey(endings, whole_keys, False, False, 0, 0, 0, 0, {}), error)
    if survey.pictures and survey.others and not survey.paired:
        by_name = _survey(path, replace(survey, by_name=True), error)
        if by_name.paired and by_name.pictures == survey.pictures:
            return by_name
    return survey


def _survey(path: Path, rules: TarSurvey, error: type[LagottoError]) -> TarSurvey:
    """The survey with its numbers, by the rules for keys in `rules`."""
    passed_over: Counter[str] = Counter()
    masks: dict[int, int] = {}
    previous, apart = None, False
    for member, kind in _headers(path, error):
        key = None if member is None else rules.key_of(member.name)
        if key is None:
            passed_over[kind] += 1
            continue
        place = hash(key[0])
        apart = apart or (key[0] != previous and place in masks)
        previous = key[0]
        masks[place] = masks.get(place, 0) | (1 if key[1] in PICTURE_ENDINGS else 2)
    return replace(
        rules,
        apart=apart,
        samples=len(masks),
        pictures=sum(mask & 1 for mask in masks.values()),
        others=sum(mask >> 1 for mask in masks.values()),
        paired=sum(mask == 3 for mask in masks.values()),
        passed_over=dict(passed_over),
    )


def read_samples(
    path: Path, survey: TarSurvey, error: type[LagottoError]
) -> Iterator[tuple[str, list[TarMember]]]:
    """The samples of a tar: (key, its members), by the first place of each key.

    Memory is that of one sample; where samples are apart, that of all names.

    Raises:
        error: The file is no plain, whole tar, or has over MAX_APART_MEMBERS members apart.
    """
    members = _sample_members(path, survey, error)
    if not survey.apart:
        for key, group in groupby(members, key=lambda member: member.key):
            yield key, list(group)
        return
    samples: dict[str, list[TarMember]] = {}
    for number, member in enumerate(members):
        if number >= MAX_APART_MEMBERS:
            raise error(
                f"{path} has samples whose members do not follow each other, and over "
                f"{MAX_APART_MEMBERS:,} members; sort its members by name"
            )
        samples.setdefault(member.key, []).append(member)
    yield from samples.items()


def _sample_members(
    path: Path, survey: TarSurvey, error: type[LagottoError]
) -> Iterator[TarMember]:
    for member, _ in _headers(path, error):
        if member is None:
            continue
        key = survey.key_of(member.name)
        if key is not None:
            yield _tar_member(path, member, key, error)


def read_members(
    path: Path, endings: Collection[str], error: type[LagottoError]
) -> Iterator[TarMember]:
    """The members of a tar that are plain regular files with one of some endings, in order.

    Args:
        path: The tar; it must not be compressed.
        endings: The endings in lower case, without a dot.
        error: The class of the error to raise.

    Raises:
        error: The file is no plain, whole tar.
    """
    for member, _ in _headers(path, error):
        if member is not None:
            key = _split(member.name, "first")
            if key[1] in endings:
                yield _tar_member(path, member, key, error)


def _headers(path: Path, error: type[LagottoError]) -> Iterator[tuple[tarfile.TarInfo | None, str]]:
    """(member, the kind under which it is counted if it gives nothing) of each regular file.

    Other members are (None, kind): links are of a kind, folders of none.
    """
    with _reading(path, error), tarfile.open(path, "r:", tarinfo=_Member) as archive:
        end = 0
        while (member := archive.next()) is not None:
            if archive.offset <= end:  # a negative size: the same bytes would be read over and over
                raise EOFError(f"it is damaged at byte {end}")
            end = archive.offset
            archive.members = []  # type: ignore[attr-defined]  # it would hold every member
            stem, ending = _split(member.name, "last")
            is_plain = member.isreg() and not member.issparse()
            if is_plain and stem.rpartition("/")[2]:
                yield member, f".{ending}" if ending else "without an ending"
            elif not member.isdir():
                yield None, "hidden file" if is_plain else "link or special member"
        _check_end(archive)


def _split(name: str, dot: str) -> tuple[str, str]:
    """(key, ending in lower case) of a member's name, at the first or the last dot of the file."""
    folder, _, file = name.rpartition("/")
    if dot == "first":
        stem, _, ending = file.partition(".")
    else:
        stem, _, ending = file.rpartition(".") if "." in file else (file, "", "")
    return f"{folder}/{stem}"[-_MAX_KEY:].removeprefix("/"), ending.lower()


def _tar_member(
    path: Path, member: tarfile.TarInfo, key: tuple[str, str], error: type[LagottoError]
) -> TarMember:
    content = partial(_content, path, member.name, member.offset_data, member.size, error)
    return TarMember(*key, member.size, member.offset_data + member.size, content)


class _Member(tarfile.TarInfo):
    """A member whose extra headers (a long name, pax records) have a bounded size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADER_TYPES and not 0 <= self.size <= _MAX_NAME_BYTES:
            raise EOFError(f"a header of {self.size} bytes")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def _content(path: Path, name: str, start: int, size: int, error: type[LagottoError]) -> bytes:
    with _reading(path, error), path.open("rb") as file:
        file.seek(start)
        data = file.read(size)
        if len(data) != size:
            raise EOFError(f"{name} is cut short")
        return data


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises EOFError unless the reading stopped at the end mark of a tar."""
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        block = file.read(_BLOCK_BYTES)
        if block and (len(block) < _BLOCK_BYTES or block.strip(b"\0")):
            raise EOFError(f"it is cut or damaged at byte {archive.offset}")


@contextmanager
def _reading(path: Path, error: type[LagottoError]) -> Iterator[None]:
    """Turns the errors of a damaged tar into one line."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, RecursionError, ValueError) as reason:
        clause = what_lies_at(path)
        if clause is not None and not clause.startswith("compressed"):
            raise error(f"{path} is {clause}") from reason
        raise error(
            f"cannot read {path} as tar: {' '.join(str(reason).split())[:200]}; give a plain, "
            "whole .tar (unpack a compressed one with gunzip first)"
        ) from reason

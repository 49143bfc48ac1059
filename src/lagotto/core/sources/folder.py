"""A folder comes in; its picture files, sorted, and a count of all other files go out."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import LagottoError, PictureError
from lagotto.core.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from lagotto.core.parsing.captioned_tables import storable
from lagotto.core.parsing.picture_form import SIGNATURE_BYTES, picture_form

SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information"}
    | {"__pycache__"}
)
"""Names (lower case) of folders that systems make; they hold nothing of a person's own."""

OTHER_SUFFIXES = frozenset(
    {".bin", ".cap", ".caption", ".captions", ".cfg", ".cls", ".csv", ".db", ".doc", ".docx"}
    | {".gz", ".h5", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".mat", ".md"}
    | {".mov", ".mp3", ".mp4", ".ndjson", ".npy", ".npz", ".onnx", ".parquet", ".pdf", ".pkl"}
    | {".pt", ".pth", ".py", ".rst", ".safetensors", ".tar", ".tgz", ".tflite", ".token", ".tsv"}
    | {".txt", ".wav", ".xlsx", ".xml", ".xmp", ".yaml", ".yml", ".zip"}
)
"""Endings of files that are no pictures: they are not opened to find out."""

OUTSIDE = "a link that leaves the folder; copy the picture into the folder"
"""Why a picture in `PictureFolder.outside` is not read."""

_MAX_ENDING = 20


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The picture files under a folder, sorted by path, and how many other files it holds by kind.

    A file is a picture by its ending, or, where the ending says nothing, by its first bytes.
    `outside` are pictures that are links out of the folder: they are not read.
    """

    pictures: tuple[Path, ...]
    outside: tuple[Path, ...]
    passed_over: dict[str, int]


def list_pictures(folder: Path, error: type[LagottoError]) -> PictureFolder:
    """Lists the pictures under a folder; files of hidden and system folders are passed over.

    Args:
        folder: The folder; links to folders in it are not followed.
        error: The class of the error to raise.

    Raises:
        error: A folder cannot be read.
    """
    passed_over: Counter[str] = Counter()
    pictures: list[Path] = []
    outside: list[Path] = []
    roots = link_roots(folder)
    for parent, subfolders, files in _walk(folder, error):
        for name in list(subfolders):
            subfolder = Path(parent, name)
            reason = _why_not_entered(subfolder)
            if reason:
                subfolders.remove(name)
                is_link = subfolder.is_symlink()
                passed_over[reason] += 1 if is_link else count_files(subfolder, error)
        for name in files:
            file = Path(parent, name)
            if name.startswith("."):
                passed_over["hidden file"] += 1
            elif file.is_symlink() and not stays_inside(file, roots):
                if file.suffix.lower() in IMAGE_SUFFIXES:
                    outside.append(file)
                else:
                    passed_over["link out of the folder"] += 1
            elif is_picture_file(file):
                pictures.append(file)
            else:
                passed_over[ending_of(name)] += 1
    return PictureFolder(tuple(sorted(pictures)), tuple(sorted(outside)), dict(passed_over))


def count_rest(
    listing: PictureFolder, files: Collection[Path] = (), with_pictures: bool = True
) -> dict[str, int]:
    """How many files of a folder are none of some files that were read, by kind.

    Args:
        listing: What the folder holds.
        files: The files that were read, other than pictures.
        with_pictures: Whether its pictures are part of the rest.
    """
    rest = Counter(listing.passed_over)
    if with_pictures:
        rest.update(ending_of(path.name) for path in (*listing.pictures, *listing.outside))
    rest.subtract(ending_of(path.name) for path in files)
    return {kind: number for kind, number in rest.items() if number > 0}


def refuse_outside() -> bytes:
    """What reading a link out of the folder gives: a PictureError that says what to do."""
    raise PictureError(OUTSIDE)


def is_picture_file(file: Path) -> bool:
    """Whether a file is a picture by its ending, or by its first bytes if the ending is foreign."""
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in UNREAD_SUFFIXES:
        return True
    if suffix in OTHER_SUFFIXES:
        return False
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            return picture_form(opened.read(SIGNATURE_BYTES)) is not None
    except OSError:
        return False


def count_files(folder: Path, error: type[LagottoError]) -> int:
    """The number of files anywhere under a folder."""
    return sum(len(files) for _, _, files in _walk(folder, error))


def ending_of(name: str) -> str:
    """The kind under which a file that is passed over is counted: its ending in lower case.

    >>> ending_of("labels.JSON"), ending_of("README")
    ('.json', 'without an ending')
    """
    suffix = Path(name).suffix.lower()
    if not suffix or len(suffix) > _MAX_ENDING or not suffix.isprintable():
        return "without an ending" if not suffix else "with an odd ending"
    return storable(suffix)


def visible_subfolders(folder: Path, error: type[LagottoError]) -> list[Path]:
    """The sub-folders of a folder by name, without hidden ones and those that systems make."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as reason:
        raise _unreadable(reason, error) from reason
    return [path for path in inside if path.is_dir() and not _is_hidden(path)]


def _is_hidden(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name.lower() in SYSTEM_FOLDERS


def _why_not_entered(folder: Path) -> str:
    """The kind under which the files of a folder are passed over; empty for a folder to enter."""
    if folder.name.startswith("."):
        return "in a hidden folder"
    if folder.name.lower() in SYSTEM_FOLDERS:
        return "in a folder of the system"
    return "linked folder" if folder.is_symlink() else ""


def _walk(folder: Path, error: type[LagottoError]) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(reason: OSError) -> None:
        raise _unreadable(reason, error) from reason

    return os.walk(folder, onerror=refuse)


def _unreadable(reason: OSError, error: type[LagottoError]) -> LagottoError:
    return error(
        f"cannot read the folder {reason.filename}: {reason.strerror}; check its permissions"
    )

"""Tars of a stranger's hub come in; its files go out, each with the digest that was listed."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from lagotto.core.errors import HubError
from lagotto.core.files import sync, writing
from lagotto.core.progress import Progress
from lagotto.hub.publish.listing import (
    LISTING_NAME,
    MAX_LISTING_BYTES,
    Listing,
    PublishedFile,
    read_listing,
)
from lagotto.hub.publish.tar_stream import CHANGED_NS, check_end, read_content, read_member


def unpack(
    stream: BinaryIO, files: Sequence[PublishedFile], folder: Path, progress: Progress
) -> None:
    """Writes the next members of a tar to a folder: exactly some files, in their order.

    Raises:
        ValueError: The tar holds something else there; the text says what.
        HubError: A file cannot be written.
    """
    for file in files:
        member = read_member(stream)
        if member.name != file.path:
            raise ValueError(f"it holds {member.name[:120]!r} in the place of {file.path!r}")
        if member.size != file.size:
            raise ValueError(f"{file.path} has {member.size} bytes, and {file.size} are listed")
        target = folder / file.path
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.part")
            with draft.open("wb") as out:
                digest = read_content(stream, file.size, out.write)
            if digest != file.sha256:
                draft.unlink()
                listed = file.sha256[:12]
                raise ValueError(
                    f"{file.path} has the digest {digest[:12]}, and {listed} is listed"
                )
            os.utime(draft, ns=(CHANGED_NS, CHANGED_NS))
            sync(draft)
            os.replace(draft, target)
        progress.advance(file.size)


def unpack_listing(stream: BinaryIO, place: Path, name: str) -> Listing:
    """The listing that an archive begins with, by way of a folder for temporary files.

    Raises:
        ValueError: The archive does not begin with one.
        HubError: It is not understood, or of a newer version.
    """
    member = read_member(stream)
    if member.name != LISTING_NAME:
        raise ValueError(f"it does not begin with {LISTING_NAME}")
    if member.size > MAX_LISTING_BYTES:
        raise ValueError(f"its {LISTING_NAME} of {member.size} bytes is too large")
    with (place / LISTING_NAME).open("wb") as out:
        read_content(stream, member.size, out.write)
    return read_listing(place, name)


def unpack_pack(
    path: Path, files: Sequence[PublishedFile], folder: Path, progress: Progress, place: str
) -> None:
    """Unpacks a whole pack; raises HubError, which names the place, if it is not as listed."""
    try:
        with path.open("rb") as stream:
            unpack(stream, files, folder, progress)
            check_end(stream)
    except (ValueError, OSError) as error:
        raise not_taken(place, error) from error


def not_taken(place: str, error: Exception) -> HubError:
    """The error for a published hub that is not as its listing says."""
    return HubError(f"{place} is not taken: {error}; ask its maker for another copy")


def check_room(listing: Listing, folder: Path, place: str) -> None:
    """Raises HubError if the files of a hub do not fit on the disk."""
    there = next(item for item in (folder, *folder.absolute().parents) if item.exists())
    free = shutil.disk_usage(there).free
    if listing.size > free:
        raise HubError(
            f"{place} takes {listing.size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in "
            f"{there}; free some, or choose another disk"
        )

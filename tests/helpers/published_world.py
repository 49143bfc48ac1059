"""A hub of the world of colours, published by others: as a tar, and in parts that tests forge."""

import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from lagotto.core.progress import Silent
from lagotto.hub.publish.archive import export_hub
from lagotto.hub.publish.listing import (
    LISTING_NAME,
    Listing,
    PublishedFile,
    read_listing,
    write_listing,
)

Members = dict[str, bytes]
"""The content of an export by name, in order, without its listing."""


def export(hub: Path, file: Path, *, pictures: bool = True) -> Path:
    """The tar of a hub."""
    export_hub(hub, file, Silent(), pictures=pictures)
    return file


def take_apart(file: Path, room: Path) -> tuple[Listing, Members]:
    """The listing and the members of an export, to be forged."""
    with tarfile.open(file) as archive:
        members = {item.name: archive.extractfile(item).read() for item in archive}  # type: ignore[union-attr]
    (room / LISTING_NAME).write_bytes(members.pop(LISTING_NAME))
    return read_listing(room, str(file)), members


def relisted(listing: Listing, members: Members) -> Listing:
    """The listing with the sizes and digests of members that were forged, as a liar writes it."""
    files = [PublishedFile(n, len(data), sha256(data).hexdigest()) for n, data in members.items()]
    return replace(listing, files=tuple(files))


def listing_bytes(listing: Listing, room: Path) -> bytes:
    """What a listing is in a file; nothing of it is checked."""
    write_listing(room, listing)
    return (room / LISTING_NAME).read_bytes()


def put_together(
    file: Path,
    head: bytes,
    members: Members,
    change: Callable[[tarfile.TarInfo], None] = lambda member: None,
    more: Iterable[tarfile.TarInfo] = (),
) -> Path:
    """A tar of a listing and of members, in which headers may be forged."""
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in ({LISTING_NAME: head} | members).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            change(member)
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
        for member in more:
            archive.addfile(member)
    return file

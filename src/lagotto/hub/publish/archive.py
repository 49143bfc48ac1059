"""A hub comes in; one tar with all of it goes out. A stranger's tar comes in; a hub goes out."""

from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.errors import HubError, UsageError, advice_on
from lagotto.core.files import replacing, sha256_file
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.progress import Progress
from lagotto.core.temporary.draft import drafted
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.hub.publish.contents import published_contents
from lagotto.hub.publish.listing import (
    LISTING_NAME,
    PublishedFile,
    PublishedListing,
    write_listing,
)
from lagotto.hub.publish.soundness import check_sound
from lagotto.hub.publish.tar_stream import check_end, write_end, write_member
from lagotto.hub.publish.unpack import check_room, not_taken, unpack_listing, unpack_members
from lagotto.hub.store.copies.origin import CopyOrigin, write_origin
from lagotto.hub.store.manifest import read_hub_manifest, write_hub_manifest


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: where, how much of what, and what its readers need to know.

    Attributes:
        place: the file, or the address.
        models: how many models it describes.
        files: how many files of the hub it has.
        bytes: the size of these files.
        pictures: whether the pictures of the probes are among them.
        sent: the bytes that were written or sent; less where they were there already.
        licences: of the datasets of the probes, as "SOURCE: LICENCE".
        notes: what its readers need, or what was left out.
    """

    place: str
    models: int
    files: int
    bytes: int
    pictures: bool
    sent: int
    licences: tuple[str, ...]
    notes: tuple[str, ...]


def export_hub(folder: Path, file: Path, progress: Progress, *, pictures: bool = True) -> Published:
    """Writes a hub to one tar, whole or not at all; equal content gives equal bytes.

    Raises:
        UsageError: Something is at that path already.
        HubError: There is no hub, it is damaged, or the file cannot be written.
    """
    if file.exists():
        raise UsageError(f"{file} is there already; choose another name, or remove it")
    with published_contents(folder, progress, pictures=pictures) as contents:
        listing = contents.listing
        with temporary_folder("listing") as place, replacing(file) as draft:
            write_listing(place, listing)
            listed = place / LISTING_NAME
            head = PublishedFile(LISTING_NAME, listed.stat().st_size, sha256_file(listed))
            progress.start("writing the tar", listing.size, "bytes")
            with draft.open("wb") as out:
                write_member(out, head, listed)
                for item, source in zip(listing.files, contents.sources, strict=True):
                    write_member(out, item, source)
                    progress.advance(item.size)
                write_end(out)
            progress.finish()
        return summary(str(file), listing, file.stat().st_size, contents.notes)


def summary(place: str, listing: PublishedListing, sent: int, notes: tuple[str, ...]) -> Published:
    """What was published, by its listing."""
    licences = tuple(f"{item.source}: {item.licence or 'none'}" for item in listing.licences)
    counts = (listing.models, len(listing.files), listing.size, listing.pictures)
    return Published(place, *counts, sent, licences, notes)


def import_archive(
    file: Path, folder: Path, progress: Progress, *, encoder: str | None = None
) -> PublishedListing:
    """Makes a hub of an exported tar, whole or not at all; nothing of the tar is believed.

    Args:
        file: The tar; anybody may have made it.
        folder: Where the hub is made; nothing may be there.
        progress: Told of the work.
        encoder: Where the hub's encoder is on this machine; None: as its maker named it, if that is
            one of the known encoders.

    Raises:
        UsageError: Something is at `folder` already, or `file` is missing.
        HubError: It is no export of a hub, it is damaged, of a newer version, or holds anything
            that no hub has.
    """
    check_new_folder(folder)
    if not file.is_file():
        raise UsageError(f"no file at {file}; give a tar that lagotto hub export has written")
    name = str(file)
    try:
        with file.open("rb") as stream, temporary_folder("import") as place:
            try:
                listing = unpack_listing(stream, place, name)
                check_room(listing, folder, name)
                with drafted(folder) as draft:
                    progress.start("reading the tar", listing.size, "bytes")
                    unpack_members(stream, listing.files, draft, progress)
                    check_end(stream)
                    progress.finish()
                    settle(
                        draft, listing, CopyOrigin(file.name, False, listing.pictures, ""), encoder
                    )
            except ValueError as error:
                lies = what_lies_at(file)
                raise not_taken(name, ValueError(f"it is {lies}") if lies else error) from error
    except OSError as error:
        advice = advice_on(error) or "check the path"
        raise HubError(f"cannot read {file}: {error.strerror}; {advice}") from error
    return listing


def check_new_folder(folder: Path) -> None:
    """Raises UsageError if something is where a hub is to be made."""
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another folder, or remove it")


def settle(
    folder: Path, listing: PublishedListing, origin: CopyOrigin, encoder: str | None
) -> None:
    """Checks the files of a stranger's hub, and writes where it is from.

    Raises HubError if they are no hub; the message says who wrote it, where that helps.
    """
    try:
        check_sound(folder, listing)
    except HubError as error:
        version = "has format version"
        maker = f"(published with lagotto {listing.lagotto[:20]}) {version}"
        told = str(error).replace(version, maker)
        raise type(error)(told) from error
    manifest = read_hub_manifest(folder)
    if encoder is not None:
        write_hub_manifest(folder, replace(manifest, encoder_spec=encoder))
    write_origin(folder, replace(origin, encoder_spec="" if encoder else manifest.encoder_spec))

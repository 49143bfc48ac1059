"""A hub as a user names it, by folder or by address, comes in; its folder on this disk goes out."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.lock import LOCK_NAME
from lagotto.core.progress import Progress, Silent
from lagotto.core.temporary.draft import drafted
from lagotto.hub.publish.archive import check_new_folder, import_archive
from lagotto.hub.publish.fetch import fetch_hub
from lagotto.hub.publish.listing import LISTING_NAME
from lagotto.hub.publish.places import is_hub_address, parse_address
from lagotto.hub.store.copies.origin import read_origin, write_origin
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest, write_hub_manifest


@dataclass(frozen=True, slots=True)
class LocalHub:
    """A hub on this disk.

    Attributes:
        folder: where it is.
        name: its folder, or the address that it was fetched from, pinned to one state.
        fetched: how many bytes were fetched for it now.
        notes: what its reader should know of where it is from.
    """

    folder: Path
    name: str
    fetched: int = 0
    notes: tuple[str, ...] = ()


def local_hub(given: Path | str, progress: Progress | None = None) -> LocalHub:
    """The folder of a hub; one that is given by its address is fetched, or found in the cache.

    Args:
        given: A folder, `hf:datasets/ORG/NAME[@REV]` or `s3://BUCKET/PREFIX`.
        progress: Told of the transfer.

    Raises:
        UsageError: The address is not understood.
        HubError: There is no hub at the address, or one that is not taken.
        SourceError: The place is out of reach, and the hub was never fetched.
    """
    if not is_hub_address(given):
        return LocalHub(Path(given), str(given))
    found = fetch_hub(parse_address(given), progress or Silent())
    notes = (found.note,) if found.note else ()
    return LocalHub(found.folder, found.address, found.new, notes)


def check_folder(given: Path | str) -> None:
    """Raises HubError, before anything is fetched, for an address where a hub is to be written."""
    if is_hub_address(given):
        address = parse_address(given)
        raise HubError(
            f"{address} stays as it was published; make a copy that is yours, and change that: "
            f"lagotto hub import {address} DIR"
        )


def import_hub(
    source: Path | str, folder: Path, progress: Progress, *, encoder: str | None = None
) -> Path:
    """Makes a hub of one's own from an exported tar, or from the address of a published hub.

    Raises as `import_archive`, `local_hub` and `check_folder`.
    """
    check_folder(folder)
    if not is_hub_address(source):
        import_archive(Path(source), folder, progress, encoder=encoder)
        return folder
    check_new_folder(folder)
    fetched = local_hub(source, progress).folder
    origin = replace(read_origin(fetched), fetched=False)
    left_out = (LOCK_NAME, LISTING_NAME, HubLayout(fetched).map.name, HubLayout(fetched).cache.name)
    with drafted(folder) as draft:
        with writing(folder):
            shutil.copytree(
                *(fetched, draft), dirs_exist_ok=True, ignore=shutil.ignore_patterns(*left_out)
            )
        if encoder is not None:
            manifest = read_hub_manifest(draft)
            write_hub_manifest(draft, replace(manifest, encoder_spec=encoder))
            origin = replace(origin, encoder_spec="")
        write_origin(draft, origin)
    return folder

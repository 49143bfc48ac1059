"""The address of a published hub comes in; a verified copy in the cache goes out, for reading.

CACHE/PLACE/VERSION is a whole hub as it was published, CACHE/PLACE/states.json says which version
an address had when it was last asked for. What a version shares with another is one file on disk.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import HubError, SourceError
from lagotto.core.files import (
    canonical_json,
    read_json,
    sha256_file,
    sync,
    write_atomically,
    writing,
)
from lagotto.core.lock import folder_lock
from lagotto.core.progress import Progress
from lagotto.core.remote.retry import OutOfReachError
from lagotto.core.remote.spec import StoreSpec
from lagotto.core.remote.user_cache import user_cache
from lagotto.hub.publish.archive import settle
from lagotto.hub.publish.listing import LISTING_NAME, PublishedFile, PublishedListing, read_listing
from lagotto.hub.publish.places import HubAddress, Place, PlaceState, place_at
from lagotto.hub.publish.unpack import check_room, unpack_pack
from lagotto.hub.store.copies.origin import CopyOrigin, read_origin

_STATES = "states.json"
_VERSION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class FetchedHub:
    """A published hub in the cache.

    Attributes:
        folder: where it lies.
        address: the place it is from, pinned to one state.
        new: how many bytes were fetched for it now.
        note: why an older state may be read; "" if the place was asked.
    """

    folder: Path
    address: str
    new: int = 0
    note: str = ""


def hub_cache() -> Path:
    """The folder in which hubs that were fetched are kept; it may not exist."""
    return user_cache("hubs")


def fetch_hub(address: HubAddress, progress: Progress) -> FetchedHub:
    """A published hub, fetched if it is not in the cache in the state that the place has now.

    Where nothing may be asked (HF_HUB_OFFLINE) or nothing answers, the state that was last fetched
    is read, and the note says so. A fetch that was cut off is gone on with.

    Raises:
        HubError: The place holds no hub, half of one, one of a newer version, or one that is not as
            it says; or the disk is full.
        SourceError: The place is not there or refuses, or nothing answers and nothing was fetched.
    """
    from lagotto.core.remote.hugging_face import is_offline

    home = hub_cache() / _key(address)
    if not isinstance(address, StoreSpec) and is_offline():
        return _cached(home, address, "HF_HUB_OFFLINE is set")
    try:
        place = place_at(address)
        state = place.state()
    except OutOfReachError as error:
        try:
            return _cached(home, address, "nothing answers")
        except SourceError:
            raise error from None
    if not _VERSION.fullmatch(state.version):
        raise SourceError(f"{address} has a commit that is none: {state.version[:60]!r}")
    found = _fetch_state(home, place, state, progress)
    _remember(home, str(address), state)
    return found


def _cached(home: Path, address: HubAddress, why: str) -> FetchedHub:
    known = _states(home).get(str(address))
    revision = getattr(address, "revision", None) or ""
    version = known["version"] if known else revision
    if not _VERSION.fullmatch(version) or not (home / version).is_dir():
        raise SourceError(
            f"{address} is not in the cache ({home.parent}), and {why}; fetch it first where there "
            "is a network"
        )
    pinned = read_origin(home / version).address or str(address)
    return FetchedHub(home / version, pinned, note=f"{why}: {pinned} is read as it was fetched")


def _fetch_state(home: Path, place: Place, state: PlaceState, progress: Progress) -> FetchedHub:
    folder = home / state.version
    if folder.is_dir():
        return FetchedHub(folder, state.address)
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    with folder_lock(home, "cache of hubs", HubError):
        if folder.is_dir():
            return FetchedHub(folder, state.address)
        draft, room = home / f".{state.version}.part", home / f".{state.version}.packs"
        for begun in (*home.glob(".*.part"), *home.glob(".*.packs")):
            if begun not in (draft, room):  # of a state that the place has no more
                shutil.rmtree(begun, ignore_errors=True)
        with writing(draft):
            draft.mkdir(exist_ok=True)
            room.mkdir(exist_ok=True)
        place.fetch_listing(room)
        listing = read_listing(room, state.address)
        check_room(listing, home, state.address)
        try:
            new = _fill(home, draft, room, place, listing, state.address, progress)
            settle(draft, listing, CopyOrigin(state.address, True, listing.pictures, ""), None)
            with writing(draft):
                shutil.copyfile(room / LISTING_NAME, draft / LISTING_NAME)
        except HubError as error:
            text = str(error).replace(str(draft), state.address)
            shutil.rmtree(draft, ignore_errors=True)  # of what is not believed nothing is kept
            shutil.rmtree(room, ignore_errors=True)
            raise type(error)(text) from error
        with writing(folder):
            draft.rename(folder)
            sync(home)
        shutil.rmtree(room, ignore_errors=True)
    return FetchedHub(folder, state.address, new)


def _fill(
    home: Path,
    draft: Path,
    room: Path,
    place: Place,
    listing: PublishedListing,
    address: str,
    progress: Progress,
) -> int:
    """Puts every file of a listing into a folder; how many bytes were transferred for that."""
    if not listing.packs:
        raise HubError(f"{address} is not taken: its listing names no packs")
    olders = [path for path in sorted(home.iterdir()) if _VERSION.fullmatch(path.name)]
    known: dict[tuple[str, str], Path] = {}
    for older in olders:
        known |= _known_files(older)
    progress.start("fetching the hub", listing.size, "bytes")
    new = 0
    for pack, files in listing.in_packs():
        missing = [file for file in files if not _has(draft, file, known)]
        progress.advance(sum(file.size for file in files) if not missing else 0)
        if missing:
            path = place.fetch_pack(pack, room)
            unpack_pack(path, files, draft, progress, address)
            with writing(path):
                path.unlink()
            new += pack.size
    progress.finish()
    return new


def _known_files(folder: Path) -> dict[tuple[str, str], Path]:
    """By path and digest, the files of a version that was fetched before."""
    try:
        listing = read_listing(folder, str(folder))
    except HubError:
        return {}
    return {(file.path, file.sha256): folder / file.path for file in listing.files}


def _has(draft: Path, file: PublishedFile, known: Mapping[tuple[str, str], Path]) -> bool:
    """Whether a file is there whole: from a fetch that was cut off, or from another version."""
    target, older = draft / file.path, known.get((file.path, file.sha256))
    if target.is_file():
        return _is_as_listed(target, file)
    if older is None or not _is_as_listed(older, file):
        return False
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(older, target)
        except OSError:  # a file system without links
            shutil.copy2(older, target)
    return True


def _is_as_listed(path: Path, file: PublishedFile) -> bool:
    """Whether a file in the cache still has the bytes that were published."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return sha256_file(path, HubError) == file.sha256


def _key(address: HubAddress) -> str:
    """The name of the folder of a place, without its revision."""
    if isinstance(address, StoreSpec):
        text, name = str(address), f"{address.bucket}--{address.prefix.replace('/', '--')}"
        return f"s3--{name[:100]}--{sha256(text.encode()).hexdigest()[:8]}"
    return f"hf--{address.name.replace('/', '--')}"


def _states(home: Path) -> dict[str, dict[str, str]]:
    try:
        content = read_json(home / _STATES, "list of states", HubError)
    except HubError:
        return {}
    return {
        key: {"version": str(value.get("version")), "address": str(value.get("address"))}
        for key, value in content.items()
        if isinstance(value, dict)
    }


def _remember(home: Path, address: str, state: PlaceState) -> None:
    known = _states(home)
    new = {"version": state.version, "address": state.address}
    if known.get(address) != new:
        content = canonical_json({**known, address: new})  # type: ignore[dict-item]
        write_atomically(home / _STATES, content)

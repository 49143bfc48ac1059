"""The address of a place for hubs comes in; its listing and packs go out, and new ones go in.

A place is a dataset on the Hugging Face Hub or a prefix in an object store.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from lagotto.core.errors import HubError, UsageError
from lagotto.core.files import writing
from lagotto.core.remote.spec import (
    DATASET,
    STORE,
    DatasetSpec,
    StoreSpec,
    parse_dataset,
    parse_store,
)
from lagotto.hub.publish.listing import LISTING_NAME, MAX_LISTING_BYTES, Pack

if TYPE_CHECKING:
    from lagotto.core.remote.files import Repository

HubAddress: TypeAlias = DatasetSpec | StoreSpec
_PACKS = "packs/"
_FORMS = f"{DATASET}ORG/NAME[@REV] or {STORE}BUCKET/PREFIX"


@dataclass(frozen=True, slots=True)
class PlaceState:
    """One state of a place: what tells it from others, and the address of exactly it."""

    version: str
    address: str


@runtime_checkable
class Place(Protocol):
    """Where a hub is published."""

    def state(self) -> PlaceState:
        """The state that the place has now; all that is read afterwards is of this state.

        Raises:
            HubError: It holds no hub, or only a part of one.
            SourceError: It is not there or refuses; OutOfReachError if nothing answers.
        """

    def fetch_listing(self, folder: Path) -> None:
        """Writes its listing to a folder."""

    def fetch_pack(self, pack: Pack, folder: Path) -> Path:
        """Downloads a pack below a folder; what is there already is gone on with."""

    def publish(
        self,
        packs: Iterable[tuple[Pack, Path]],
        last: Callable[[], Mapping[str, Path]],
        *,
        private: bool,
    ) -> "Sent":
        """Stores the packs that the place lacks, one after the other; each is there until the next.

        When all are stored, `last` is asked for the files that say so, and these are stored.
        """


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent to a place: the address of its new state, and the bytes of new packs."""

    address: str
    bytes: int


def is_address(given: Path | str) -> bool:
    """Whether a hub is given by the address of a place, and not by its folder.

    >>> is_address("hf:datasets/org/birds"), is_address("my-hub")
    (True, False)
    """
    text = str(given)
    return text.startswith(("hf:", "s3:/")) and not Path(text).exists()


def parse_address(given: Path | str) -> HubAddress:
    """The address of a place for hubs; raises UsageError for what is none."""
    text = str(given)
    if text.startswith("s3:/"):
        return parse_store(text)
    if not text.startswith(DATASET):
        raise UsageError(f"{text!r} is no place for a hub; give {_FORMS}")
    spec = parse_dataset(text)
    if spec.config or spec.split:
        raise UsageError(f"{text!r} names a part of a dataset; give {_FORMS}")
    return spec


def place_at(address: HubAddress) -> Place:
    """The place at an address; raises MissingExtraError where an extra is needed for it."""
    return StorePlace(address) if isinstance(address, StoreSpec) else DatasetPlace(address)


class DatasetPlace:
    """A dataset on the Hugging Face Hub; its states are its commits."""

    def __init__(self, spec: DatasetSpec) -> None:
        from lagotto.core.remote.hugging_face import HuggingFace

        self._spec = spec
        self._hub = HuggingFace()

    @cached_property
    def _repository(self) -> "Repository":
        return self._hub.dataset(self._spec)

    def state(self) -> PlaceState:
        """Its commit."""
        _check_whole(str(self._spec), {file.path for file in self._repository.files})
        commit = self._repository.commit
        return PlaceState(commit, str(DatasetSpec(self._spec.name, commit)))

    def fetch_listing(self, folder: Path) -> None:
        """Downloads published.json."""
        self._fetch(LISTING_NAME, MAX_LISTING_BYTES, folder)

    def fetch_pack(self, pack: Pack, folder: Path) -> Path:
        """Downloads a pack."""
        return self._fetch(pack.name, pack.size, folder)

    def _fetch(self, name: str, most: int, folder: Path) -> Path:
        file = self._repository.file(name)
        if file is None:
            raise HubError(_half_pushed(str(self._spec), f"its listing names {name}"))
        if file.size > most:
            raise HubError(
                f"{self._spec} is not taken: {name} has {file.size} bytes, and {most} are allowed; "
                "ask its maker to push it again"
            )
        self._hub.fetch(self._repository, [file], folder)
        return folder / name

    def publish(
        self,
        packs: Iterable[tuple[Pack, Path]],
        last: Callable[[], Mapping[str, Path]],
        *,
        private: bool,
    ) -> Sent:
        """One commit for each new pack; then one with the last files, without what is not used."""
        from lagotto.core.remote.dataset_upload import DatasetUpload

        upload = DatasetUpload(DatasetSpec(self._spec.name), self._hub)
        upload.create(private=private)
        present = upload.names()
        used, sent = set(), 0
        for pack, path in packs:
            used.add(pack.name)
            if pack.name not in present:
                upload.commit({pack.name: path}, [], "A part of the hub")
                sent += pack.size
        gone = sorted(name for name in present - used if name.startswith(_PACKS))
        address = upload.commit(last(), gone, "The hub, whole")
        return Sent(address, sent)


class StorePlace:
    """A prefix in an object store; its states are told apart by the digest of its listing."""

    def __init__(self, spec: StoreSpec) -> None:
        from lagotto.core.remote.object_store import ObjectStore

        self._spec = spec
        self._objects = ObjectStore(spec)
        self._listing = b""

    def state(self) -> PlaceState:
        """The digest of its listing."""
        data = self._objects.read(LISTING_NAME, MAX_LISTING_BYTES)
        if data is None:
            _check_whole(str(self._spec), self._objects.sizes())
        self._listing = data or b""
        return PlaceState(sha256(self._listing).hexdigest()[:40], str(self._spec))

    def fetch_listing(self, folder: Path) -> None:
        """Writes the listing of which `state` read the digest."""
        path = folder / LISTING_NAME
        with writing(path):
            path.write_bytes(self._listing)

    def fetch_pack(self, pack: Pack, folder: Path) -> Path:
        """Downloads a pack."""
        path = folder / pack.name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._objects.fetch(pack.name, pack.size, path)
        return path

    def publish(
        self,
        packs: Iterable[tuple[Pack, Path]],
        last: Callable[[], Mapping[str, Path]],
        *,
        private: bool,
    ) -> Sent:
        """New packs, then the last files; packs that were unused before are deleted.

        Those of the state before stay until the next time: somebody may be reading it. Who may read
        is a matter of the bucket, so `private` changes nothing.
        """
        present, before = self._objects.sizes(), self._objects.read(LISTING_NAME, MAX_LISTING_BYTES)
        used, sent = set(), 0
        for pack, path in packs:
            used.add(pack.name)
            if present.get(pack.name) != pack.size:
                self._objects.put(pack.name, path)
                sent += pack.size
        for name, path in last().items():
            self._objects.put(name, path)
        text = (before or b"").decode("utf-8", "replace")
        self._objects.delete(
            [
                name
                for name in sorted(present)
                if name.startswith(_PACKS) and name not in used and Path(name).stem not in text
            ]
        )
        return Sent(str(self._spec), sent)


def _check_whole(place: str, names: Mapping[str, int] | set[str]) -> None:
    """Raises HubError unless a place has a listing, which is written last."""
    if LISTING_NAME in names:
        return
    if any(name.startswith(_PACKS) for name in names):
        raise HubError(_half_pushed(place, f"it holds packs, and no {LISTING_NAME}"))
    raise HubError(f"{place} holds no hub: no {LISTING_NAME}; publish one with: lagotto hub push")


def _half_pushed(place: str, why: str) -> str:
    return f"{place} is half-pushed, and not taken: {why}; its maker runs lagotto hub push again"

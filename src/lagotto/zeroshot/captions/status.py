"""A caption store comes in; its counts, encoder and size on disk go out."""

from dataclasses import asdict, dataclass

from lagotto.core.temporary.leftovers import Leftover
from lagotto.core.types import JsonObject
from lagotto.zeroshot.captions.manifest import STORE_VERSION
from lagotto.zeroshot.captions.store import CaptionStore

_REASONS = 10


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The status of a store, as `lagotto captions status --json` prints it.

    `first_set_aside` has the first items that were set aside, with their reasons. `leftovers` are
    temporary files and unfinished rows of runs that were killed.
    """

    store: str
    format_version: int
    encoder: str
    encoder_fingerprint: str
    dim: int
    pictures: int
    captions: int
    text_only: int
    shards: int
    digest: str
    disk_bytes: int
    set_aside: int
    first_set_aside: tuple[dict[str, str], ...]
    leftovers: tuple[Leftover, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


def read_store_status(store: CaptionStore) -> StoreStatus:
    """Reads the status of a store; writes nothing."""
    committed = store.committed
    skipped = store.skipped()[:_REASONS]
    return StoreStatus(
        store=store.name,
        format_version=STORE_VERSION,
        encoder=store.manifest.encoder_name,
        encoder_fingerprint=store.manifest.encoder_fingerprint,
        dim=store.manifest.dim,
        pictures=committed.pictures,
        captions=committed.captions,
        text_only=committed.text_only,
        shards=committed.shards,
        digest=committed.chain,
        disk_bytes=store.content.disk_bytes(),
        set_aside=committed.skipped,
        first_set_aside=tuple({"source": row.source, "reason": row.reason} for row in skipped),
        leftovers=store.content.leftovers(),
    )

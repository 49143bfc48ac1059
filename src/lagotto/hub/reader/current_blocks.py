"""A hub comes in; blocks of exactly its models go out, and nothing is written to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.lock import LOCK_NAME
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.hub.completion.stored import HubCompletion, read_completion
from lagotto.hub.descriptors.blocks import Block, open_blocks
from lagotto.hub.ingest.add import rebuild_blocks
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import ModelRecord

_TRIES = 3
"""How often the models of a hub may change while its blocks are read, until that is an error."""


@dataclass(frozen=True, slots=True)
class CurrentBlocks:
    """The blocks of all models that were probed, their records, the completion, and notes."""

    blocks: list[Block]
    records: tuple[ModelRecord, ...]
    completion: HubCompletion | None
    notes: tuple[str, ...] = ()


def current_blocks(layout: HubLayout, probe_digest: str) -> CurrentBlocks:
    """The blocks of the models that are done.

    Where those in the hub are out of date (an `add` was cut off or is running, or the hub is of an
    older version), what they lack is made for this reader alone, in a temporary folder that is gone
    when this returns; the blocks stay mapped. A note says so.

    Raises:
        HubError: Responses cannot be read, or the temporary folder cannot be written.
    """
    for attempt in range(_TRIES):
        with Catalog(layout.catalogue) as catalogue:
            records = catalogue.models("done")
        try:
            blocks = open_blocks(layout.blocks, probe_digest)
        except HubError:
            blocks = []
        present = [(m.behaviour_digest, m.responses_sha256) for b in blocks for m in b.models]
        expected = [(record.digest, record.responses_sha256) for record in records]
        if present == expected:
            return CurrentBlocks(blocks, records, read_completion(layout, probe_digest))
        try:
            blocks, completion = _made_outside(layout, records, probe_digest)
        except HubError:
            if attempt + 1 == _TRIES:
                raise
            continue  # a model was removed meanwhile, or its responses are damaged
        kept = sum(ours == theirs for ours, theirs in zip(present, expected, strict=False))
        note = (
            f"the descriptors of {len(expected) - kept} models are not kept in the hub and were "
            "made for this search alone; run lagotto hub add again, or wait for it"
        )
        return CurrentBlocks(blocks, records, completion, (note,))
    raise AssertionError("the last attempt returns or raises")


def _made_outside(
    layout: HubLayout, records: Sequence[ModelRecord], probe_digest: str
) -> tuple[list[Block], HubCompletion | None]:
    """Blocks and completion made in a temporary folder that looks like the hub.

    Everything there is a link to the hub's own file until it is replaced by a new one.
    """
    with temporary_folder("blocks") as folder:
        outside = HubLayout(folder)
        with writing(outside.folder):
            for entry in layout.folder.iterdir():
                if entry.name not in (LOCK_NAME, layout.blocks.name):
                    (outside.folder / entry.name).symlink_to(entry.absolute())
            outside.blocks.mkdir()
            if layout.blocks.is_dir():
                for block in layout.blocks.iterdir():
                    (outside.blocks / block.name).symlink_to(block.absolute())
        rebuild_blocks(outside, records, probe_digest)
        return open_blocks(outside.blocks, probe_digest), read_completion(outside, probe_digest)

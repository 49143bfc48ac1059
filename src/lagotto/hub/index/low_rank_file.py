"""Descriptor blocks come in; HUB/low_rank.safetensors, a low-rank index on disk, goes out.

The file is derived from the blocks and made on request. It holds the digest of the blocks that it
was made from, and is used as long as the hub has exactly these. See docs/how-to/large-hubs.md and
docs/reference/formats.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.temporary.leftovers import TEMPORARY_SUFFIX
from lagotto.hub.descriptors.block_models import model_firsts
from lagotto.hub.descriptors.blocks import Block
from lagotto.hub.index.low_rank import (
    Approximation,
    LowRankIndex,
    find_directions,
    fold_descriptors,
)
from lagotto.hub.kernels.kernel import Table
from lagotto.hub.kernels.spans import block_ends, join_columns
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.tensorfile import (
    Array,
    check_readable,
    header_text,
    is_intact,
    open_tensors,
    write_tensors,
)

LOW_RANK_FORMAT = "lagotto-low-rank"
LOW_RANK_VERSION = 1

State: TypeAlias = Literal["fresh", "stale", "unreadable"]


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """A hub's index as its file holds it, memory-mapped.

    `captured` is the share of the descriptors' squares that it keeps; `blocks` is the digest of the
    blocks that it was made from.
    """

    index: LowRankIndex
    captured: float
    blocks: str


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The size of an index, in bytes, beside that of the descriptors, and whether it can be used.

    `ratio` is how many times smaller the index is. `state` is "stale" if the hub has changed since,
    and "unreadable" if the file is damaged or of another Lagotto; `reason` says why. Only a fresh
    index is used.
    """

    state: State
    reason: str
    rank: int
    logits: int
    bytes: int
    descriptor_bytes: int
    ratio: float
    captured: float


def write_index(
    layout: HubLayout,
    blocks: Sequence[Block],
    probe_digest: str,
    rank: int,
    progress: Progress,
) -> None:
    """Writes the index of these blocks; an older one stays until the new one is complete.

    In memory are some thousand descriptors, and a few times probes x probes numbers.

    Args:
        layout: Where the hub's files are.
        blocks: All blocks of the hub, in order.
        probe_digest: The hub's probe set.
        rank: Numbers a logit.
        progress: Hears of every logit.

    Raises:
        UsageError: The rank is not one of 1 to the number of probes.
        HubError: The folder cannot be written.
    """
    tables = _WholeTables(blocks)
    _clear_drafts(layout.low_rank)
    directions = find_directions(tables, rank)
    logits = sum(block.steps.size for block in blocks)

    def fill(arrays: Mapping[str, Array]) -> None:
        factors = directions.factors
        arrays["probes"][...] = factors
        fold_descriptors(tables, factors, arrays["values"], arrays["steps"], progress.advance)

    progress.start("folding descriptors", logits, "logits")
    try:
        write_tensors(
            layout.low_rank,
            {
                "format": LOW_RANK_FORMAT,
                "version": LOW_RANK_VERSION,
                "probe_digest": probe_digest,
                "blocks": _digest(blocks),
                "captured": directions.captured,
            },
            {
                "probes": ("F32", directions.factors.shape),
                "steps": ("F32", (logits,)),
                "values": ("I8", (rank, logits)),
            },
            fill,
        )
    finally:
        progress.finish()


class _WholeTables(Sequence[Table]):
    """The tables of a hub that was made at once; one is put together when it is asked for."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        starts = np.cumsum([0, *(block.steps.size for block in blocks)])
        parts = [start + model_firsts(b.models) for start, b in zip(starts, blocks, strict=False)]
        self._tables = [(block.values, block.steps) for block in blocks]
        self._ends = block_ends(np.concatenate(parts), int(starts[-1]))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Table: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Table]: ...
    def __getitem__(self, index: int | slice) -> Table | Sequence[Table]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        first = self._ends[index - 1] if index else 0
        return join_columns(self._tables, first, self._ends[index])


def remove_index(layout: HubLayout) -> bool:
    """Deletes a hub's index; False if there was none."""
    present = layout.low_rank.exists()
    _clear_drafts(layout.low_rank)
    with writing(layout.low_rank):
        layout.low_rank.unlink(missing_ok=True)
    return present


def read_index(path: Path, probe_digest: str) -> StoredIndex:
    """The index in a file; raises HubError if it is damaged, of a newer version or other probes."""
    try:
        file = open_tensors(path, LOW_RANK_FORMAT, LOW_RANK_VERSION)
        made_on, blocks = header_text(file, "probe_digest"), header_text(file, "blocks")
    except HubError as error:
        raise HubError(f"{str(error).partition(';')[0]}; {_remedy(path)}") from error
    if made_on != probe_digest:
        raise HubError(f"{path} was made on other probes; {_remedy(path)}")
    captured = file.header.get("captured")
    probes, values, steps = (file.arrays.get(name) for name in ("probes", "values", "steps"))
    if (
        not isinstance(captured, float)
        or probes is None
        or values is None
        or steps is None
        or probes.shape[1:] != values.shape[:1]
        or values.shape[1:] != steps.shape
        or [str(array.dtype) for array in (probes, values, steps)] != ["float32", "int8", "float32"]
    ):
        raise HubError(f"{path} is damaged (shapes); {_remedy(path)}")
    return StoredIndex(LowRankIndex(probes, values, steps), captured, blocks)


def open_approximation(
    layout: HubLayout, blocks: Sequence[Block], probe_digest: str
) -> Approximation | None:
    """A hub's index as a search of these blocks may use it; None in a hub without an index."""
    if not layout.low_rank.exists():
        return None
    try:
        stored = read_index(layout.low_rank, probe_digest)
    except HubError as error:
        return Approximation(None, f"the low-rank index is not used: {error}")
    if not _is_fresh(stored, blocks):
        again = f"run lagotto hub index {layout.folder} to make it anew"
        return Approximation(None, f"the low-rank index is not used, the hub has changed; {again}")
    return Approximation(stored.index)


def index_status(
    layout: HubLayout, blocks: Sequence[Block], probe_digest: str
) -> IndexStatus | None:
    """The size and state of the index of a hub that has these blocks; None if there is none."""
    if not layout.low_rank.exists():
        return None
    size = layout.low_rank.stat().st_size
    descriptors = sum(block.values.nbytes + block.steps.nbytes for block in blocks)
    try:
        stored = read_index(layout.low_rank, probe_digest)
    except HubError as error:
        return IndexStatus("unreadable", str(error), 0, 0, size, descriptors, 0.0, 0.0)
    fresh = _is_fresh(stored, blocks)
    return IndexStatus(
        state="fresh" if fresh else "stale",
        reason="" if fresh else "the hub has changed since it was made",
        rank=stored.index.rank,
        logits=stored.index.steps.size,
        bytes=size,
        descriptor_bytes=descriptors,
        ratio=round(descriptors / size, 2),
        captured=round(stored.captured, 4),
    )


def index_damage(path: Path, probe_digest: str) -> tuple[str, str] | None:
    """What is wrong with an index's file and what to do; None if it is intact or absent."""
    if not path.exists():
        return None
    try:
        check_readable(path)
    except HubError as error:
        return str(error), "make it readable, or run the command again"
    try:
        read_index(path, probe_digest)
    except HubError as error:
        return str(error), _remedy(path)
    if not is_intact(path):
        return "altered: its bytes do not give its checksum", _remedy(path)
    return None


def _digest(blocks: Sequence[Block]) -> str:
    """One digest of the checksums of blocks, in order."""
    return sha256("\n".join(block.sha256 for block in blocks).encode()).hexdigest()


def _is_fresh(stored: StoredIndex, blocks: Sequence[Block]) -> bool:
    """Whether an index was made from exactly these blocks, and has their shapes."""
    logits = sum(block.steps.size for block in blocks)
    return (
        bool(blocks)
        and stored.blocks == _digest(blocks)
        and stored.index.steps.size == logits
        and len(stored.index.probes) == blocks[0].values.shape[0]
    )


def _remedy(path: Path) -> str:
    return f"delete {path} and run lagotto hub index {path.parent} to make it anew"


def _clear_drafts(path: Path) -> None:
    """Removes drafts that a killed writer left; each is as large as an index."""
    with writing(path):
        for draft in path.parent.glob(f".{path.name}.*{TEMPORARY_SUFFIX}"):
            draft.unlink(missing_ok=True)

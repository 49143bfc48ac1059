"""A hub's logits come in; its low-rank index and the recall of that index go out."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from lagotto.core.errors import HubError, UsageError
from lagotto.core.progress import Progress
from lagotto.core.types import JsonObject
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import LowRankIndex, default_rank
from lagotto.hub.index.low_rank_file import (
    IndexStatus,
    index_status,
    read_index,
    write_index,
)
from lagotto.hub.search.approximate import approximate_by_distance
from lagotto.hub.search.rerank import HitRequest, rank_by_distance
from lagotto.hub.store.layout import HubLayout

TOP = 10
_QUERIES = 32


@dataclass(frozen=True, slots=True)
class IndexReport:
    """An index as it was made, and its recall.

    `recall_at_10` is the share of the ten nearest logits that it finds, over `queries` queries that
    are logits of the hub.
    """

    index: IndexStatus
    recall_at_10: float
    queries: int

    def as_json(self) -> JsonObject:
        """The fields by name, those of the index first."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        index = fields.pop("index")
        return {**index, **fields} if isinstance(index, dict) else fields


def make_index(
    layout: HubLayout,
    logit_index: LogitIndex,
    probe_digest: str,
    rank: int | None,
    progress: Progress,
) -> IndexReport:
    """Writes the low-rank index of all logits, and measures its recall; see `Hub.build_index`."""
    if not logit_index.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    used_rank = default_rank(logit_index.blocks[0].values.shape[0]) if rank is None else rank
    write_index(layout, logit_index.blocks, probe_digest, used_rank, progress)
    status = index_status(layout, logit_index.blocks, probe_digest)
    if status is None:
        raise HubError(f"{layout.low_rank} was removed while it was made; run hub index again")
    index = read_index(layout.low_rank, probe_digest).index
    return IndexReport(status, *index_recall(index, logit_index, progress))


def index_recall(
    index: LowRankIndex, logit_index: LogitIndex, progress: Progress
) -> tuple[float, int]:
    """Recall of the ten nearest logits, and over how many queries: evenly spaced known logits."""
    sample = logit_index.sample
    positions = np.linspace(0, len(sample) - 1, min(_QUERIES, len(sample)))
    queries = np.unique(sample[positions.round().astype(np.int64)])
    probes = np.arange(logit_index.blocks[0].values.shape[0])
    progress.start("measuring recall", len(queries), "queries")
    shares = []
    for column in queries.tolist():
        values = logit_index.descriptors(np.array([column]))[:, 0]
        request = HitRequest(TOP, excluded=column)
        exact = rank_by_distance(logit_index, probes, values, request)
        approximate = approximate_by_distance(index, logit_index, probes, values, request)
        best = set(exact.columns.tolist())
        shares.append(len(best & set(approximate.columns.tolist())) / len(best) if best else 1.0)
        progress.advance(1)
    progress.finish()
    return (float(np.mean(shares)) if shares else 1.0), len(queries)

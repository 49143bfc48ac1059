"""The models of a hub in, groups of models that are nearly the same or of one training out.

Candidates come from a search with a few outputs of every model; only they are compared in full, by
the correlation of their descriptors under the best pairing of outputs, so that neither the order
of the outputs nor their scale matters.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.assignment import best_assignment
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.reader.reader import HubReader

DUPLICATE = 0.9
"""Matched correlation from which two models are nearly the same."""

RELATED = 0.5
"""Matched correlation from which two models are of one label space or one training."""

_OUTPUTS_QUERIED = 6
_PROBES_COMPARED = 256
_CANDIDATES = 12
_CANDIDATE = 0.3
_QUERIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class ModelPair:
    """Two models: mean correlation of paired outputs, those without a partner counted as 0.

    `weakest` is the lowest correlation of a pair; `same_order`: every output has its own number.
    """

    first: str
    second: str
    correlation: float
    weakest: float
    same_order: bool


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """Groups of models, by name in the hub's order.

    Attributes:
        duplicate_groups: models that are nearly the same; each is in a related group too.
        related_groups: models of one label space or one training.
        pairs: the compared pairs that are at least related, best first.
        copies: files that are byte for byte the same: (name, name in the hub).
    """

    duplicate_groups: tuple[tuple[str, ...], ...]
    related_groups: tuple[tuple[str, ...], ...]
    pairs: tuple[ModelPair, ...]
    copies: tuple[tuple[str, str], ...]

    def as_json(self) -> JsonObject:
        """The answer of `lagotto duplicates --json`."""
        pairs: list[JsonValue] = []
        for pair in self.pairs:
            fields: JsonObject = asdict(pair)
            fields["correlation"], fields["weakest"] = (
                round(pair.correlation, 4),
                round(pair.weakest, 4),
            )
            pairs.append(fields)
        return {
            "twins": [list(group) for group in self.duplicate_groups],
            "families": [list(group) for group in self.related_groups],
            "pairs": pairs,
            "copies": [list(copy) for copy in self.copies],
        }


def find_duplicates(hub: HubReader, progress: Progress | None = None) -> DuplicateReport:
    """The groups of models that are nearly the same, or related, among the probed ones of a hub."""
    meter = progress or Silent()
    copies = hub.status().copies
    logit_index = hub.logit_index()
    if not logit_index.blocks:
        return DuplicateReport((), (), (), copies)
    firsts, digests = logit_index.firsts, logit_index.digests
    names = [logit_index.names[digest] for digest in digests]
    pairs = []
    candidates = list(_candidates(logit_index, firsts, meter))
    meter.start("comparing models", len(candidates), "pairs")
    for one, other in candidates:
        pair = _compare(hub, names[one], names[other])
        if pair is not None:
            pairs.append(pair)
        meter.advance(1)
    meter.finish()
    pairs.sort(key=lambda pair: (-pair.correlation, pair.first, pair.second))
    duplicates = _groups(names, [p for p in pairs if p.correlation >= DUPLICATE])
    return DuplicateReport(duplicates, _groups(names, pairs), tuple(pairs), copies)


def matched_correlation(
    first: Float32[np.ndarray, "probes outputs"],
    second: Float32[np.ndarray, "probes others"],
    least: float = 0.0,
) -> tuple[float, Float32[np.ndarray, " pairs"], Int64[np.ndarray, " outputs"]] | None:
    """The mean over the larger number of outputs, each pair's correlation, the partner of each.

    Partners are -1 for an output without one. None if the mean cannot reach `least`.
    """
    correlations = first.T @ second / np.float32(len(first))
    larger = max(correlations.shape)
    if min(correlations.max(axis=1).sum(), correlations.max(axis=0).sum()) < least * larger:
        return None
    favourite = correlations.argmax(axis=1)
    clear = len(np.unique(favourite)) == len(favourite)
    partner = favourite.astype(np.int64) if clear else best_assignment(correlations)
    paired = np.flatnonzero(partner >= 0)
    matched = correlations[paired, partner[paired]]
    return float(matched.sum() / larger), matched, partner


def _compare(hub: HubReader, first: str, second: str) -> ModelPair | None:
    """The pair if it is at least related."""
    one, other = (standardize(hub.responses(model)).values for model in (first, second))
    match = matched_correlation(one, other, RELATED)
    if match is None or match[0] < RELATED:
        return None
    mean, matched, partner = match
    same = bool((partner == np.arange(len(partner))).all())
    return ModelPair(first, second, mean, float(matched.min()), same)


def _candidates(
    logit_index: LogitIndex, firsts: Int64[np.ndarray, " models"], progress: Progress
) -> Iterator[tuple[int, int]]:
    """Pairs of models (by place) worth comparing: the nearest few of each, by some outputs."""
    ends = np.append(firsts[1:], logit_index.steps.size)
    counts = ends - firsts
    queried = [
        np.unique(np.linspace(first, end - 1, min(_OUTPUTS_QUERIED, end - first)).astype(np.int64))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True)
    ]
    owners = np.repeat(np.arange(len(queried)), [len(columns) for columns in queried])
    columns = np.concatenate(queried)
    probes = len(logit_index.blocks[0].values)
    rows = np.unique(np.linspace(0, probes - 1, min(probes, _PROBES_COMPARED)).astype(np.int64))
    queries = _unit_columns(logit_index, rows, columns)
    candidates: set[tuple[int, int]] = set()
    progress.start("searching", len(columns), "outputs")
    for start in range(0, len(columns), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        best = _best_by_model(logit_index, rows, queries[:, part], firsts)
        for owner in np.unique(owners[part]).tolist():
            likeness = best[owners[part] == owner].mean(axis=0)
            close = np.minimum(counts, counts[owner]) >= RELATED * np.maximum(counts, counts[owner])
            likeness[~close] = -1.0
            likeness[owner] = -1.0
            for other in np.argsort(-likeness, kind="stable")[:_CANDIDATES].tolist():
                if likeness[other] >= _CANDIDATE:
                    candidates.add((min(owner, other), max(owner, other)))
        progress.advance(best.shape[0])
    progress.finish()
    yield from sorted(candidates)


def _unit_columns(
    logit_index: LogitIndex,
    rows: Int64[np.ndarray, " rows"],
    columns: Int64[np.ndarray, " columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """Some outputs' descriptors on some probes, centred there, of unit length."""
    parts, offset = [], 0
    for values, steps in logit_index.whole_tables():
        inside = columns[(columns >= offset) & (columns < offset + steps.size)] - offset
        parts.append(_unit(values[np.ix_(rows, inside)].astype(np.float32)))
        offset += steps.size
    return np.concatenate(parts, axis=1)


def _best_by_model(
    logit_index: LogitIndex,
    rows: Int64[np.ndarray, " rows"],
    queries: Float32[np.ndarray, "rows queries"],
    firsts: Int64[np.ndarray, " models"],
) -> Float32[np.ndarray, "queries models"]:
    """Each query's highest correlation with an output of each model."""
    parts, offset = [], 0
    for values, steps in logit_index.whole_tables():
        correlations = queries.T @ _unit(values[rows].astype(np.float32))
        inside = firsts[(firsts >= offset) & (firsts < offset + steps.size)] - offset
        parts.append(np.maximum.reduceat(correlations, inside, axis=1))
        offset += steps.size
    return np.concatenate(parts, axis=1)


def _unit(values: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    values = values - values.mean(axis=0)
    lengths: Float64[np.ndarray, " columns"] = np.linalg.norm(values, axis=0)
    return np.asarray(values / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _groups(names: Sequence[str], pairs: Iterable[ModelPair]) -> tuple[tuple[str, ...], ...]:
    """Names joined by pairs, directly or over others, in the order of `names`."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for pair in pairs:
        parent[root(pair.second)] = root(pair.first)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)

"""Models of a hub that are nearly the same, or of one training: descriptors × descriptors → groups.

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

TWINS = 0.9
"""Matched correlation from which two models are folded into one."""

FAMILY = 0.5
"""And from which they are taken for models of one label space or training."""

_OUTPUTS_ASKED = 6
_PROBES_ASKED = 256
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
    """Groups of names in the hub's order: `twins` are nearly one model, `families` of one kind.

    Twins are in one family too. `copies` are byte-for-byte the same: (name, name in the hub).
    """

    twins: tuple[tuple[str, ...], ...]
    families: tuple[tuple[str, ...], ...]
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
            "twins": [list(group) for group in self.twins],
            "families": [list(group) for group in self.families],
            "pairs": pairs,
            "copies": [list(copy) for copy in self.copies],
        }


def find_duplicates(hub: HubReader, progress: Progress | None = None) -> DuplicateReport:
    """Twins and families among the probed models of a hub."""
    meter = progress or Silent()
    copies = hub.status().copies
    logit_index = hub.logit_index()
    if not logit_index.blocks:
        return DuplicateReport((), (), (), copies)
    firsts, digests = logit_index.firsts, logit_index.digests
    names = [logit_index.names[digest] for digest in digests]
    pairs = []
    wanted = list(_candidates(logit_index, firsts, meter))
    meter.start("comparing models", len(wanted), "pairs")
    for one, other in wanted:
        pair = _compare(hub, names[one], names[other])
        if pair is not None:
            pairs.append(pair)
        meter.advance(1)
    meter.finish()
    pairs.sort(key=lambda pair: (-pair.correlation, pair.first, pair.second))
    twins = _groups(names, [p for p in pairs if p.correlation >= TWINS])
    return DuplicateReport(twins, _groups(names, pairs), tuple(pairs), copies)


def matched_correlation(
    first: Float32[np.ndarray, "probes outputs"],
    second: Float32[np.ndarray, "probes others"],
    least: float = 0.0,
) -> tuple[float, Float32[np.ndarray, " pairs"], Int64[np.ndarray, " outputs"]] | None:
    """The mean over the larger number of outputs, each pair's correlation, the partner of each.

    Partners are -1 for an output without one. None if the mean cannot reach `least`.
    """
    alike = first.T @ second / np.float32(len(first))
    larger = max(alike.shape)
    if min(alike.max(axis=1).sum(), alike.max(axis=0).sum()) < least * larger:
        return None
    favourite = alike.argmax(axis=1)
    clear = len(np.unique(favourite)) == len(favourite)
    partner = favourite.astype(np.int64) if clear else best_assignment(alike)
    paired = np.flatnonzero(partner >= 0)
    matched = alike[paired, partner[paired]]
    return float(matched.sum() / larger), matched, partner


def _compare(hub: HubReader, first: str, second: str) -> ModelPair | None:
    """The pair if it is at least of one family."""
    found = matched_correlation(
        standardize(hub.responses(first)).values, standardize(hub.responses(second)).values, FAMILY
    )
    if found is None or found[0] < FAMILY:
        return None
    mean, matched, partner = found
    same = bool((partner == np.arange(len(partner))).all())
    return ModelPair(first, second, mean, float(matched.min()), same)


def _candidates(
    logit_index: LogitIndex, firsts: Int64[np.ndarray, " models"], progress: Progress
) -> Iterator[tuple[int, int]]:
    """Pairs of models (by place) worth comparing: the nearest few of each, by some outputs."""
    ends = np.append(firsts[1:], sum(block.steps.size for block in logit_index.blocks))
    counts = ends - firsts
    asked = [
        np.unique(np.linspace(first, end - 1, min(_OUTPUTS_ASKED, end - first)).astype(np.int64))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True)
    ]
    owners = np.repeat(np.arange(len(asked)), [len(columns) for columns in asked])
    columns = np.concatenate(asked)
    probes = len(logit_index.blocks[0].values)
    rows = np.unique(np.linspace(0, probes - 1, min(probes, _PROBES_ASKED)).astype(np.int64))
    queries = _unit_columns(logit_index, rows, columns)
    seen: set[tuple[int, int]] = set()
    progress.start("searching", len(columns), "outputs")
    for start in range(0, len(columns), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        best = _best_by_model(logit_index, rows, queries[:, part], firsts)
        for owner in np.unique(owners[part]).tolist():
            mine = best[owners[part] == owner].mean(axis=0)
            close = np.minimum(counts, counts[owner]) >= FAMILY * np.maximum(counts, counts[owner])
            mine[~close] = -1.0
            mine[owner] = -1.0
            for other in np.argsort(-mine, kind="stable")[:_CANDIDATES].tolist():
                if mine[other] >= _CANDIDATE:
                    seen.add((min(owner, other), max(owner, other)))
        progress.advance(best.shape[0])
    progress.finish()
    yield from sorted(seen)


def _unit_columns(
    logit_index: LogitIndex,
    rows: Int64[np.ndarray, " rows"],
    columns: Int64[np.ndarray, " columns"],
) -> Float32[np.ndarray, "rows columns"]:
    """Some outputs' descriptors on some probes, centred there, of unit length."""
    parts, offset = [], 0
    for block in logit_index.blocks:
        inside = columns[(columns >= offset) & (columns < offset + block.steps.size)] - offset
        parts.append(_unit(block.values[np.ix_(rows, inside)].astype(np.float32)))
        offset += block.steps.size
    return np.concatenate(parts, axis=1)


def _best_by_model(
    logit_index: LogitIndex,
    rows: Int64[np.ndarray, " rows"],
    queries: Float32[np.ndarray, "rows queries"],
    firsts: Int64[np.ndarray, " models"],
) -> Float32[np.ndarray, "queries models"]:
    """Each query's highest correlation with an output of each model."""
    parts, offset = [], 0
    for block in logit_index.blocks:
        alike = queries.T @ _unit(block.values[rows].astype(np.float32))
        inside = firsts[(firsts >= offset) & (firsts < offset + block.steps.size)] - offset
        parts.append(np.maximum.reduceat(alike, inside, axis=1))
        offset += block.steps.size
    return np.concatenate(parts, axis=1)


def _unit(values: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    values = values - values.mean(axis=0)
    lengths: Float64[np.ndarray, " columns"] = np.linalg.norm(values, axis=0)
    return np.asarray(values / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _groups(names: Sequence[str], pairs: Iterable[ModelPair]) -> tuple[tuple[str, ...], ...]:
    """Names joined by pairs, directly or over others, in the order of `names`."""
    leader = {name: name for name in names}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for pair in pairs:
        leader[lead(pair.second)] = lead(pair.first)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(lead(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)

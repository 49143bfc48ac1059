"""Query vector × descriptor blocks → Hits: the paper's rule, exact over all logits.

The distance compares query and descriptor on the query's k surest probes only (ProbeLog, section
3.2). Blocks are scanned as int8; what could be among the nearest is measured again from the raw
responses, so that the order is that of a full float sort.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.types import Hit, Hits, Query
from lagotto.hubsearch.blocks import Answers, Block, exact_descriptors
from lagotto.hubsearch.kernel import error_bounds, exact_distances, rerank, scan
from lagotto.hubsearch.queries import surest_probes
from lagotto.hubsearch.seen_part import SeenPart, part_distances

DEFAULT_K = 50


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A concept in words; `template` has one {} for it (default: the encoder's own)."""

    text: str
    template: str | None = None


@dataclass(frozen=True, slots=True)
class LogitQuery:
    """An output of a model of the hub, by name, or of a model file outside it, by path."""

    model: str
    index: int

    @classmethod
    def parse(cls, text: str) -> "LogitQuery":
        """From MODEL:INDEX; raises UsageError for another form."""
        model, colon, index = text.rpartition(":")
        if not colon or not model or not index.isdecimal() or len(index) > 9:
            raise UsageError(
                f"{text!r} does not name a logit; write MODEL:INDEX, for example exp_final_v3:7"
            )
        return cls(model, int(index))


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """One or more example pictures of the concept."""

    files: tuple[Path, ...]


AnyQuery: TypeAlias = TextQuery | LogitQuery | ImageQuery


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query as standardised values over the probes, ready to be compared with descriptors.

    `itself` is the (model name, logit) that must not be found again.
    """

    query: Query
    values: Float32[np.ndarray, " probes"]
    itself: tuple[str, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """All searchable logits of a hub: blocks, and each model's name and labels by digest.

    `notes` tell what is missing; `parts` are the models that are compared on what they saw.
    """

    blocks: Sequence[Block]
    names: Mapping[str, str]
    labels: Callable[[str], Sequence[str | None]]
    read: Callable[[str], Answers]
    notes: tuple[str, ...] = ()
    parts: Sequence[SeenPart] = ()

    def places(self) -> tuple[Int64[np.ndarray, " models"], list[str]]:
        """First column of each model over all blocks joined, and its behaviour digest."""
        firsts, digests, offset = [], [], 0
        for block in self.blocks:
            firsts += [offset + model.first for model in block.models]
            digests += [model.behaviour_digest for model in block.models]
            offset += block.steps.size
        return np.array(firsts, dtype=np.int64), digests


def find_nearest(
    gallery: Gallery, vector: QueryVector, *, top: int, k: int | None, by_model: bool
) -> Hits:
    """The `top` nearest logits, or the nearest logit of each of the `top` nearest models.

    Without k the default of 50 is used, or all probes of a smaller hub. Raises UsageError for a k
    that the hub cannot have, top below 1, or a hub without searchable logits.
    """
    if top < 1:
        raise UsageError(f"top {top} was asked for; give 1 or more")
    if not gallery.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    used_k = min(DEFAULT_K, len(vector.values)) if k is None else k
    probes = surest_probes(vector.values, used_k)
    query = vector.values[probes]
    scanned = scan([(block.values, block.steps) for block in gallery.blocks], probes, query)
    own = _mark_parts(gallery, vector.values, used_k, scanned)
    steps = np.concatenate([block.steps for block in gallery.blocks])
    steps[~np.isnan(own)] = 0  # these are exact already
    firsts, digests = gallery.places()
    if vector.itself is not None:
        _leave_out(scanned, firsts, digests, gallery.names, vector.itself)
    confidence = _confidence(scanned)
    ends = np.cumsum([block.steps.size for block in gallery.blocks])

    def exact(columns: Int64[np.ndarray, " columns"]) -> Float64[np.ndarray, " columns"]:
        found: Float64[np.ndarray, " columns"] = own[columns]
        rest = np.isnan(found)
        found[rest] = _exact(gallery, ends, columns[rest], probes, query)
        return found

    bounds = error_bounds(scanned, steps, used_k)
    wanted = top
    while True:
        columns, distances = rerank(scanned, bounds, exact, wanted)
        owners = np.searchsorted(firsts, columns, side="right") - 1
        kept = _first_of_each(owners) if by_model else np.arange(len(columns))
        if len(kept) >= top or len(columns) < wanted:
            break
        wanted *= 4
    hits = []
    for rank, place in enumerate(kept[:top].tolist(), start=1):
        digest = digests[owners[place]]
        logit = int(columns[place] - firsts[owners[place]])
        distance = float(distances[place])
        hits.append(
            Hit(
                rank=rank,
                model=gallery.names[digest],
                logit=logit,
                label=gallery.labels(digest)[logit],
                distance=distance,
                score=_score(distance, used_k),
                confidence=confidence(distance),
            )
        )
    notes = (*vector.notes, *gallery.notes)
    return Hits(vector.query, used_k, tuple(hits), tuple(probes.tolist()), notes)


def _leave_out(
    scanned: Float32[np.ndarray, " logits"],
    firsts: Int64[np.ndarray, " models"],
    digests: Sequence[str],
    names: Mapping[str, str],
    itself: tuple[str, int],
) -> None:
    """Puts the logit that asks infinitely far away."""
    for first, digest in zip(firsts.tolist(), digests, strict=True):
        if names[digest] == itself[0]:
            scanned[first + itself[1]] = np.inf


def _mark_parts(
    gallery: Gallery,
    query: Float32[np.ndarray, " probes"],
    k: int,
    scanned: Float32[np.ndarray, " logits"],
) -> Float64[np.ndarray, " logits"]:
    """Exact distances of models compared on what they saw, put into the scan; NaN for others."""
    own = np.full(scanned.size, np.nan)
    for part in gallery.parts:
        columns = slice(part.first, part.first + part.logits)
        own[columns] = part_distances(part, query, k, gallery.read)
        scanned[columns] = own[columns]
    return own


def _exact(
    gallery: Gallery,
    ends: Int64[np.ndarray, " blocks"],
    columns: Int64[np.ndarray, " columns"],
    probes: Int64[np.ndarray, " k"],
    query: Float32[np.ndarray, " k"],
) -> Float64[np.ndarray, " columns"]:
    """Distances of some logits (columns of all blocks joined) from their raw responses."""
    distances = np.empty(len(columns))
    owners = np.searchsorted(ends, columns, side="right")
    for owner in np.unique(owners).tolist():
        block = gallery.blocks[owner]
        mine = owners == owner
        local = columns[mine] - (int(ends[owner]) - block.steps.size)
        descriptors = exact_descriptors(block, local, probes, gallery.read)
        distances[mine] = exact_distances(descriptors, query)
    return distances


def _first_of_each(owners: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " models"]:
    """Places of the first (nearest) column of each model, in order of distance."""
    _, places = np.unique(owners, return_index=True)
    return np.sort(places).astype(np.int64)


def _score(distance: float, k: int) -> float:
    """1 for the same behaviour, 1/2 where query and logit differ by one standard deviation."""
    return 1.0 / (1.0 + distance / math.sqrt(k))


def _confidence(
    scanned: Float32[np.ndarray, " logits"],
) -> Callable[[float], float]:
    """How sure it is that a distance is no accident of a hub of this size; not a precision.

    The distances of most logits, which do not know the concept, are summarised by their median and
    median absolute deviation; a normal tail gives the chance that one of so many is as near by
    accident, and the confidence is one minus the chance that any is (Šidák).
    """
    finite = scanned[np.isfinite(scanned)].astype(np.float64)
    centre = float(np.median(finite)) if finite.size else 0.0
    spread = 1.4826 * float(np.median(np.abs(finite - centre))) if finite.size else 0.0

    def confidence(distance: float) -> float:
        if spread <= 0.0:
            return 0.0
        chance = 0.5 * math.erfc((centre - distance) / spread / math.sqrt(2.0))
        return float(math.exp(finite.size * math.log1p(-min(chance, 1.0 - 1e-16))))

    return confidence

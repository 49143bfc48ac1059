"""Stage 5a of hub search: descriptor blocks, and what is asked of them, as one table of logits.

Columns count over all blocks. Nothing is read before it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from lagotto.hub.descriptors.blocks import (
    Answers,
    Block,
    standardize_answers,
)
from lagotto.hub.descriptors.rank_blend import KNOTS
from lagotto.hub.index.low_rank import Approximation
from lagotto.hub.index.partial import PartiallyProbedModel, partial_distances
from lagotto.hub.index.row_cache import RowCache
from lagotto.hub.index.scoring import sample_columns
from lagotto.hub.index.topk import exact_distances, widest_steps
from lagotto.hub.kernels.gather import (
    Places,
    blend_codes,
    gather_codes,
    split_columns,
    weighted_scores,
)


class LogitIndex:
    """All searchable logits of a hub: blocks, and each model's name and labels by digest.

    `notes` tell what is missing; `parts` are the models that are compared on what they saw;
    `first_pass` is what a search may go through instead of scanning all blocks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        names: Mapping[str, str],
        labels: Callable[[str], Sequence[str | None]],
        read: Callable[[str], Answers],
        notes: tuple[str, ...] = (),
        parts: Sequence[PartiallyProbedModel] = (),
        first_pass: Approximation | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.first_pass = first_pass
        self.blocks = tuple(blocks)
        self.names = names
        self.labels = labels
        self.notes = notes
        self._read = read
        self._widths = [block.steps.size for block in blocks]
        self.tables = [(block.values, block.steps) for block in self.blocks]
        self._whole = [
            (block.values, block.steps, block.knots, block.directions, block.direction_steps)
            for block in self.blocks
        ]
        self.steps = np.concatenate([np.zeros(0, np.float32), *(b.steps for b in self.blocks)])
        starts = (np.cumsum(self._widths, dtype=np.int64) - self._widths).tolist()
        placed = [
            (start + model.first, model.behaviour_digest)
            for start, block in zip(starts, self.blocks, strict=True)
            for model in block.models
        ]
        self.firsts = np.array([first for first, _ in placed], dtype=np.int64)
        self.digests = [digest for _, digest in placed]
        self._first_of = {names[digest]: first for first, digest in placed}
        self.flawed = np.flatnonzero(self.steps == 0)
        usable = np.flatnonzero(self.steps > 0)
        self.usable = len(usable)
        self.sample = sample_columns(usable)
        self.widest_steps = cache(lambda: widest_steps(self.steps))
        self.sample_codes = cache(lambda: self.codes(self.sample))
        self.sample_directions = cache(lambda: self.directions(self.sample))
        probes = self.blocks[0].values.shape[0] if self.blocks else 0
        self._sample_blended = RowCache(
            (probes, len(self.sample)), lambda rows: self.blended(self.sample, rows)
        )

    def read(self, digest: str) -> Answers:
        """A model's raw responses, completed where the hub completes them."""
        return self._read(digest)

    def owners(self, columns: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " columns"]:
        """The place in `firsts` and `digests` of the model that each column belongs to."""
        return np.asarray(np.searchsorted(self.firsts, columns, side="right") - 1)

    def column(self, model: str, logit: int) -> int | None:
        """The column of a model's logit, by the model's name; None where it is not searched."""
        first = self._first_of.get(model)
        return None if first is None else first + logit

    def distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        query: Float32[np.ndarray, " k"],
    ) -> Float64[np.ndarray, " columns"]:
        """The paper's distance of some logits, from their raw responses."""
        owners = self.owners(columns)
        raw = np.empty((len(probes), len(columns)), dtype=np.float32)
        for owner in np.unique(owners).tolist():
            own = np.flatnonzero(owners == owner)
            logits = columns[own] - int(self.firsts[owner])
            raw[:, own] = self._read(self.digests[owner]).rows(probes, logits)
        mean, std = np.empty(len(columns)), np.empty(len(columns))
        for block, mine, local in self._by_block(columns):
            mean[mine], std[mine] = block.mean[local], block.std[local]
        return exact_distances(standardize_answers(raw, mean, std), query)

    def shown_distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        values: Float32[np.ndarray, " probes"],
    ) -> Float64[np.ndarray, " columns"]:
        """Distances of some logits from a query: on what they saw, where that is compared."""
        distances = self.distances(columns, probes, values[probes])
        for part in self.parts:
            mine = (columns >= part.first) & (columns < part.first + part.logits)
            if mine.any():
                own = partial_distances(part, values, len(probes), self._read)
                distances[mine] = own[columns[mine] - part.first]
        return distances

    def through(self, first_pass: Approximation | None) -> "LogitIndex":
        """The same logits, to be searched through another first pass or none."""
        other = copy(self)
        other.first_pass = first_pass
        return other

    def codes(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
        """Some logits as the blocks hold them, on some probes or all: to be scanned again."""
        rows = np.arange(self.tables[0][0].shape[0]) if probes is None else probes
        return gather_codes(self.tables, columns, rows)

    def directions(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "columns dim"]:
        """The directions of some logits in the encoder's space."""
        found = np.empty((len(columns), self.blocks[0].directions.shape[1]), np.float32)
        for block, mine, local in self._by_block(columns):
            found[mine] = block.directions_of(local)
        return found

    def weighted_scores(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        weights: Float32[np.ndarray, " k"],
        direction: Float32[np.ndarray, " dim"],
    ) -> tuple[Float32[np.ndarray, " columns"], Float32[np.ndarray, " columns"]]:
        """Of some logits, the weighted sums of their blended descriptors on some probes, and how
        far their directions go along one: dot products with it."""
        return weighted_scores(self._whole, columns, probes, weights, direction)

    def descriptors(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "probes columns"]:
        """The descriptors of some logits on all probes, as the blocks hold them (8 bits)."""
        values, steps = self.codes(columns)
        return np.asarray(values * steps, dtype=np.float32)

    def blended(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> Float32[np.ndarray, "k columns"]:
        """The blended descriptors of some logits, on some probes or all (see blending.py)."""
        return self._blend(columns, *self.codes(columns, probes))

    def plain_and_blended(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> tuple[Float32[np.ndarray, "probes columns"], Float32[np.ndarray, "probes columns"]]:
        """`descriptors` and `blended` of some logits, for which the blocks are read once."""
        values, steps = self.codes(columns)
        plain = np.asarray(values * steps, dtype=np.float32)
        return plain, self._blend(columns, values, steps)

    def sample_blended(self, probes: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k sample"]:
        """The blended descriptors of the sample; what was read once is kept, 4 KB a probe."""
        return self._sample_blended(probes)

    def outputs(self, owners: Int64[np.ndarray, " owners"]) -> Int64[np.ndarray, " owners"]:
        """How many outputs some models have, by their places in `firsts`."""
        widths = np.diff(np.append(self.firsts, len(self.steps)))
        return np.asarray(widths[owners], dtype=np.int64)

    def _blend(
        self,
        columns: Int64[np.ndarray, " columns"],
        values: Int8[np.ndarray, "k columns"],
        steps: Float32[np.ndarray, " columns"],
    ) -> Float32[np.ndarray, "k columns"]:
        knots = np.empty((len(columns), KNOTS), np.int8)
        for block, mine, local in self._by_block(columns):
            knots[mine] = block.knots[local]
        return blend_codes(values, knots, self.tables[0][0].shape[0], steps)

    def _by_block(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Iterator[tuple[Block, Places, Int64[np.ndarray, " local"]]]:
        """Each block that holds some of the columns, which ones, and their places in it."""
        for table, mine, local in split_columns(self._widths, columns):
            yield self.blocks[table], mine, local

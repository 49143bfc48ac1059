"""Descriptor blocks come in; one table of all logits, from which a search reads, goes out.

Columns are numbered over all blocks. Blocks are memory-mapped: nothing is read before it is used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64

from lagotto.hub.descriptors.block_models import model_digests, model_firsts
from lagotto.hub.descriptors.blocks import SEEN_ONLY, Answers, Block
from lagotto.hub.descriptors.exact import exact_descriptors
from lagotto.hub.descriptors.quantize import quantize_by
from lagotto.hub.descriptors.rank_blend import QUANTILES
from lagotto.hub.descriptors.standardize import standardize_answers
from lagotto.hub.index.low_rank import Approximation
from lagotto.hub.index.model_names import digest_of
from lagotto.hub.index.partial import PartiallyProbedModel, partial_distances
from lagotto.hub.index.row_cache import RowCache
from lagotto.hub.index.scoring import sample_columns
from lagotto.hub.index.topk import exact_distances, widest_steps
from lagotto.hub.kernels.gather import (
    Positions,
    blend_values,
    gather_values,
    split_columns,
    weighted_scores,
)
from lagotto.hub.kernels.kernel import Table
from lagotto.hub.kernels.pages import (
    MappedPages,
    is_large,
    read_ahead,
    read_scattered,
    take_rows,
)
from lagotto.hub.kernels.spans import block_ends, whole_tables
from lagotto.hub.store.tensorfile import Array


def _plain_rows(table: Array, rows: Int64[np.ndarray, " rows"]) -> Array:
    return np.asarray(table[rows])


def _rows_apart(table: Array, rows: Int64[np.ndarray, " rows"]) -> Array:
    """Rows of a table of a large hub, which the disk is asked for at once."""
    read_scattered(table, rows)
    return take_rows(table, rows)


class LogitIndex:
    """All searchable logits of a hub.

    A LogitIndex is not changed after it was made, and several threads may read it at once.

    Args:
        blocks: The descriptor blocks, in order; how the logits lie in blocks does not matter.
        names: Each model's name, by its behaviour digest.
        labels: Gives a model's published labels, one a logit, by its behaviour digest.
        read: Gives a model's raw responses by its behaviour digest.
        notes: What a user has to know of every search, such as models that are missing.
        partial_models: The models that are compared on the probes that they saw.
        approximation: The low-rank index that a search may use instead of a scan of all blocks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        names: Mapping[str, str],
        labels: Callable[[str], Sequence[str | None]],
        read: Callable[[str], Answers],
        notes: tuple[str, ...] = (),
        partial_models: Sequence[PartiallyProbedModel] = (),
        approximation: Approximation | None = None,
    ) -> None:
        self.partial_models = tuple(partial_models)
        self.approximation = approximation
        self.blocks = tuple(blocks)
        self.names = names
        self.labels = labels
        self.notes = notes
        self._read = read
        self._widths = [block.steps.size for block in blocks]
        self.tables = [(block.values, block.steps) for block in self.blocks]
        self._whole = [
            (block.values, block.steps, block.quantiles, block.directions, block.direction_steps)
            for block in self.blocks
        ]
        self._pages = MappedPages(array for whole in self._whole for array in whole)
        self._is_large = is_large(self._whole)
        self._take = _rows_apart if self._is_large else _plain_rows
        self.steps = np.concatenate([np.zeros(0, np.float32), *(b.steps for b in self.blocks)])
        starts = (np.cumsum(self._widths, dtype=np.int64) - self._widths).tolist()
        firsts = [start + model_firsts(b.models) for start, b in zip(starts, blocks, strict=True)]
        self.firsts = np.concatenate([np.zeros(0, np.int64), *firsts])
        self.digests = [digest for block in blocks for digest in model_digests(block.models)]
        self.ends = block_ends(self.firsts, self.steps.size)
        self.invalid = np.flatnonzero(self.steps == 0)
        usable = np.flatnonzero(self.steps > 0)
        self.usable = len(usable)
        self.sample = sample_columns(usable)
        plain = copy(self)  # caches that hold the index itself would keep its files open after use
        self._owner_of = cache(lambda: {digest: row for row, digest in enumerate(plain.digests)})
        self.widest_steps = cache(lambda: widest_steps(plain.steps))
        self.sample_codes = cache(lambda: plain.codes(plain.sample))
        self.sample_directions = cache(lambda: plain.directions(plain.sample))
        probes = self.blocks[0].values.shape[0] if self.blocks else 0
        self._sample_blended = RowCache(
            (probes, len(self.sample)), lambda rows: plain.blended(plain.sample, rows)
        )

    def read(self, digest: str) -> Answers:
        """A model's raw responses, completed where the hub completes them."""
        return self._read(digest)

    def owners(self, columns: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " columns"]:
        """The index in `firsts` and `digests` of the model that each column belongs to."""
        return np.asarray(np.searchsorted(self.firsts, columns, side="right") - 1)

    def column(self, model: str, logit: int) -> int | None:
        """The column of a model's logit, by the model's name; None where it is not searched."""
        first = self._first_of(model)
        return None if first is None else first + logit

    def columns_of(self, model: str) -> slice:
        """The columns of a model, by its name; none where it is not searched."""
        first = self._first_of(model)
        if first is None:
            return slice(0, 0)
        return slice(first, first + int(self.outputs(self.owners(np.array([first])))[0]))

    def _first_of(self, model: str) -> int | None:
        digest = digest_of(self.names, model)
        owner = None if digest is None else self._owner_of().get(digest)
        return None if owner is None else int(self.firsts[owner])

    def read_ahead(self, probes: Int64[np.ndarray, " k"]) -> None:
        """Has the system read the rows of some probes that are still on the disk only."""
        read_ahead((values for values, _ in self.tables), probes)

    def whole_tables(self) -> Iterator[Table]:
        """Values and steps of all logits, in the blocks of a hub that was made at once.

        Sums over many logits are rounded as these blocks have it, however the hub grew.
        """
        return whole_tables(self.tables, self.ends)

    def distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        query: Float32[np.ndarray, " k"],
    ) -> Float64[np.ndarray, " columns"]:
        """The paper's distance of some logits on some probes, from their raw responses.

        `query` has the query's values on `probes`, in their order.
        """
        owners = self.owners(columns)
        raw = np.empty((len(probes), len(columns)), dtype=np.float32)
        for owner in np.unique(owners).tolist():
            mask = owners == owner
            logits = columns[mask] - int(self.firsts[owner])
            raw[:, mask] = self._read(self.digests[owner]).rows(probes, logits)
        mean, std = np.empty(len(columns)), np.empty(len(columns))
        for block, positions, local in self._by_block(columns):
            mean[positions], std[positions] = block.mean[local], block.std[local]
        self._pages.trim()
        return exact_distances(standardize_answers(raw, mean, std), query)

    def comparable_distances(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        values: Float32[np.ndarray, " probes"],
    ) -> Float64[np.ndarray, " columns"]:
        """As `distances`, but for partly probed models on the top k of the probes that they saw.

        `values` has the query's value on every probe.
        """
        distances = self.distances(columns, probes, values[probes])
        for model in self.partial_models:
            mask = (columns >= model.first) & (columns < model.first + model.logits)
            if mask.any():
                model_distances = partial_distances(model, values, len(probes), self._read)
                distances[mask] = model_distances[columns[mask] - model.first]
        return distances

    def with_index(self, approximation: Approximation | None) -> "LogitIndex":
        """The same logits with another low-rank index, or with none."""
        other = copy(self)
        other.approximation = approximation
        return other

    def codes(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> tuple[Int8[np.ndarray, "k columns"], Float32[np.ndarray, " columns"]]:
        """The values and steps of some logits, on some probes or all, as a block has them."""
        rows = np.arange(self.tables[0][0].shape[0]) if probes is None else probes
        values = np.empty((len(rows), len(columns)), np.int8)
        steps = self.steps[columns]
        for part in self._pages.parts(len(rows), len(columns), self.steps.size):
            values[part], _ = gather_values(self.tables, columns, rows[part])
            self._pages.trim()
        return values, steps

    def directions(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "columns dim"]:
        """The directions of some logits in the encoder's space."""
        directions = np.empty((len(columns), self.blocks[0].directions.shape[1]), np.float32)
        for block, positions, local in self._by_block(columns):
            codes = self._take(block.directions, local)
            directions[positions] = codes * block.direction_steps[local, None]
        return directions

    def weighted_scores(
        self,
        columns: Int64[np.ndarray, " columns"],
        probes: Int64[np.ndarray, " k"],
        weights: Float32[np.ndarray, " k"],
        direction: Float32[np.ndarray, " dim"],
    ) -> tuple[Float32[np.ndarray, " columns"], Float32[np.ndarray, " columns"]]:
        """Weighted sums of some logits' blended descriptors, and their direction scores.

        `weights` are those of `probes`, in their order. A direction score is the dot product of the
        logit's direction with `direction`.
        """
        scores = weighted_scores(
            self._whole,
            columns,
            probes,
            weights,
            direction,
            ends=self.ends,
        )
        self._pages.trim()
        return scores

    def descriptors(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "probes columns"]:
        """The descriptors of some logits on all probes, rounded as the blocks hold them."""
        values, steps = self.codes(columns)
        return np.asarray(values * steps, dtype=np.float32)

    def blended(
        self, columns: Int64[np.ndarray, " columns"], probes: Int64[np.ndarray, " k"] | None = None
    ) -> Float32[np.ndarray, "k columns"]:
        """The blended descriptors of some logits, on some probes or all (see rank_blend.py)."""
        return self._blend(columns, *self.codes(columns, probes))

    def plain_and_blended(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> tuple[Float32[np.ndarray, "probes columns"], Float32[np.ndarray, "probes columns"]]:
        """`descriptors` and `blended` of some logits, a few; the blocks are read once for both."""
        values, steps = self._few_codes(columns) if self._is_large else self.codes(columns)
        plain = np.asarray(values * steps, dtype=np.float32)
        return plain, self._blend(columns, values, steps)

    def sample_blended(self, probes: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k sample"]:
        """The blended descriptors of the sample; a probe's row is cached at first use, in 4 KB."""
        return self._sample_blended(probes)

    def outputs(self, owners: Int64[np.ndarray, " owners"]) -> Int64[np.ndarray, " owners"]:
        """How many outputs some models have, by their index in `firsts`."""
        widths = np.diff(np.append(self.firsts, len(self.steps)))
        return np.asarray(widths[owners], dtype=np.int64)

    def _blend(
        self,
        columns: Int64[np.ndarray, " columns"],
        values: Int8[np.ndarray, "k columns"],
        steps: Float32[np.ndarray, " columns"],
    ) -> Float32[np.ndarray, "k columns"]:
        quantiles = np.empty((len(columns), QUANTILES), np.int8)
        for block, positions, local in self._by_block(columns):
            quantiles[positions] = self._take(block.quantiles, local)
        return blend_values(values, quantiles, self.tables[0][0].shape[0], steps)

    def _few_codes(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> tuple[Int8[np.ndarray, "probes columns"], Float32[np.ndarray, " columns"]]:
        """`codes` of a few logits on all probes, from the responses of their models.

        In a block each value of a column lies in a page of its own; the responses of a model lie
        together. Predicted responses are not computed anew: they are read from the block.
        """
        probes = np.arange(self.tables[0][0].shape[0])
        values = np.empty((len(probes), len(columns)), np.int8)
        for block, positions, local in self._by_block(columns):
            models = block.models
            owners = np.searchsorted(model_firsts(models), local, side="right") - 1
            made = np.array([models[owner].made_with for owner in owners.tolist()])
            predicted = (made != "") & (made != SEEN_ONLY)
            part = np.empty((len(probes), len(local)), np.int8)
            seen, rest = local[~predicted], local[predicted]
            exact = exact_descriptors(block, seen, probes, self._read)
            part[:, ~predicted] = quantize_by(exact, block.steps[seen])
            part[:, predicted] = block.values[:, rest]
            values[:, positions] = part
        return values, self.steps[columns]

    def _by_block(
        self, columns: Int64[np.ndarray, " columns"]
    ) -> Iterator[tuple[Block, Positions, Int64[np.ndarray, " local"]]]:
        """Each block that holds some of the columns, which of them, and their columns in it."""
        for table, positions, local in split_columns(self._widths, columns):
            yield self.blocks[table], positions, local

"""Labelled outputs that are believed come in; which other outputs recognize the same go out.

Two outputs of one concept answer the probes alike, whatever their models: their blended descriptors
correlate. An output that is far more like one labelled output than like those of other names, and
that no other output of its model is more like, is that output's *twin*. How likely it is of the
same concept was fitted (`TwinConfig.weights`). What a label says of its own output, it says of the
twins with this probability.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.twins.probability import (
    TWINS,
    TwinConfig,
    twin_features,
    twin_probability,
)
from lagotto.hub.labels.twins.table import Teachers, Twins, join_twins

_ROWS_AT_ONCE = 2048


class TwinFinder:
    """Finds the twins of some labelled outputs among the outputs of one model after another."""

    def __init__(
        self, logit_index: LogitIndex, teachers: Teachers, config: TwinConfig = TWINS
    ) -> None:
        usable = logit_index.steps[teachers.columns] > 0
        self._index = logit_index
        self._config = config
        self._columns = teachers.columns[usable]
        self._names = teachers.names[usable]
        self._owners = logit_index.owners(self._columns)
        self._seen = {
            int(logit_index.owners(np.array([model.first]))[0]): model.seen
            for model in logit_index.partial_models
        }
        rows = list(self._teacher_rows())
        self._rows = np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)
        partial = [owner for owner in np.unique(self._owners).tolist() if owner in self._seen]
        self._mask: Float32[np.ndarray, "teachers probes"] | None = None
        if partial:
            self._mask = np.ones_like(self._rows)
            for owner in partial:
                self._mask[self._owners == owner] = self._seen_mask(owner)

    def of_model(
        self,
        owner: int,
        wanted: Int64[np.ndarray, " columns"],
        absent: Int64[np.ndarray, " columns"] | None = None,
    ) -> Twins:
        """The twins among some columns of a model.

        Args:
            owner: the model, by its index in the logit index.
            wanted: the columns that may be twins; all usable columns of the model compete for
                being the most alike.
            absent: columns that compete for nothing, as if the model lacked them.
        """
        index = self._index
        first = int(index.firsts[owner])
        columns = first + np.arange(int(index.outputs(np.array([owner]))[0]))
        columns = columns[index.steps[columns] > 0]
        columns = columns if absent is None else np.setdiff1d(columns, absent)
        tables = (self._correlations(owner, part) for part in _parts(columns))
        rows, positions, probability = self._find(tables, len(columns), self._owners != owner)
        keep = np.isin(columns[rows], wanted)
        return join_twins(
            [Twins(self._columns[positions[keep]], columns[rows[keep]], probability[keep])]
        )

    def of_responses(
        self, descriptors: Float32[np.ndarray, "probes outputs"], model: int | None = None
    ) -> Twins:
        """The twins among the outputs of a model that need not be in the hub.

        Args:
            descriptors: its standardized responses on all probes; zeros for an invalid output.
            model: the model in the hub whose labelled outputs are not compared, being its own.

        Returns:
            The twins; their columns are numbers of outputs.
        """
        valid = np.flatnonzero(descriptors.any(axis=0))
        tables = (self._against(_unit(descriptors[:, part])) for part in _parts(valid))
        found = self._find(tables, len(valid), self._owners != model)
        rows, positions, probability = found
        return join_twins([Twins(self._columns[positions], valid[rows], probability)])

    def _find(
        self,
        tables: Iterable[Float32[np.ndarray, "some teachers"]],
        outputs: int,
        others: Bool[np.ndarray, " teachers"],
    ) -> tuple[
        Int64[np.ndarray, " twins"], Int64[np.ndarray, " twins"], Float32[np.ndarray, " twins"]
    ]:
        """Rows, teachers and probabilities of the twins among all outputs of one model.

        The arguments are those of `pairs`.
        """
        rows, positions, features = self.pairs(tables, outputs, others)
        probability = twin_probability(features, self._config)
        likely = probability >= self._config.least_probability
        return rows[likely], positions[likely], probability[likely]

    def pairs(
        self,
        tables: Iterable[Float32[np.ndarray, "some teachers"]],
        outputs: int,
        others: Bool[np.ndarray, " teachers"],
    ) -> tuple[
        Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"], Float64[np.ndarray, "pairs 6"]
    ]:
        """Rows with their nearest teachers of several names, and the features of each such pair.

        Args:
            tables: the correlations of the outputs with the teachers, some rows at a time.
            outputs: how many rows there are in all.
            others: which teachers are of another model.
        """
        config = self._config
        count = min(config.nearest, int(others.sum()))
        if not count or not outputs:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, twin_features(np.zeros((0, 3), np.float32), 1, 1, config)
        best = np.full((2, len(self._columns)), -1.0, np.float32)
        nearest, alike = [], []
        for table in tables:
            table[:, ~others] = -1.0
            best = _best_two(best, table)
            top = np.argpartition(-table, count - 1, axis=1)[:, :count]
            values = np.take_along_axis(table, top, axis=1)
            order = np.argsort(-values, axis=1, kind="stable")
            nearest.append(np.take_along_axis(top, order, axis=1))
            alike.append(np.take_along_axis(values, order, axis=1))
        rows, positions, leads = self._leads(np.concatenate(nearest), np.concatenate(alike), best)
        return rows, positions, twin_features(leads, int(others.sum()), outputs, config)

    def disagreements(self) -> Iterator[tuple[int, int, int, int]]:
        """Models whose names disagree: (model, model, names of both, names that behave alike).

        A name of two models behaves alike if each one's output of that name is more like the
        other's than like the other's outputs of all names that both have.
        """
        owners = np.unique(self._owners).tolist()
        for place, one in enumerate(owners):
            for other in owners[place + 1 :]:
                sides = [np.flatnonzero(self._owners == owner) for owner in (one, other)]
                _, rows, columns = np.intersect1d(
                    *(self._names[side] for side in sides), return_indices=True
                )
                table = self._rows[sides[0][rows]] @ self._rows[sides[1][columns]].T
                everyone = np.arange(len(table))
                if len(table) >= self._config.least_shared:
                    best = (table.argmax(axis=1) == everyone) & (table.argmax(axis=0) == everyone)
                    alike = int(best.sum())
                    if alike < self._config.agreement * len(table):
                        yield one, other, len(table), alike

    def _leads(
        self,
        nearest: Int64[np.ndarray, "rows nearest"],
        alike: Float32[np.ndarray, "rows nearest"],
        best: Float32[np.ndarray, "2 teachers"],
    ) -> tuple[
        Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"], Float32[np.ndarray, "pairs 3"]
    ]:
        """Rows with their nearest teacher of each name, and the leads of each such pair."""
        names, everyone = self._names[nearest], np.arange(len(alike))
        left = np.ones(alike.shape, bool)
        rows, positions, features = [], [], []
        for _ in range(min(self._config.most_names, alike.shape[1])):
            place = left.argmax(axis=1)
            live = left[everyone, place]
            same = names == names[everyone, place][:, None]
            rival = np.where(same, -np.inf, alike).max(axis=1)
            rival = np.where(np.isfinite(rival), rival, alike[:, -1])
            teacher, value = nearest[everyone, place], alike[everyone, place]
            first, second = best[0, teacher], best[1, teacher]
            next_best = np.where(value >= first - 1e-6, second, first)
            rows.append(everyone[live])
            positions.append(teacher[live])
            features.append(np.stack([value, value - rival, value - next_best], axis=1)[live])
            left &= ~same
        table = np.concatenate(features).astype(np.float32)
        return np.concatenate(rows), np.concatenate(positions), table

    def _correlations(
        self, owner: int, columns: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows teachers"]:
        """Of each column with each teacher, on the probes that both saw."""
        rows = self._unit(owner, columns)
        seen = self._seen_mask(owner) if owner in self._seen else None
        return self._against(rows, seen)

    def _against(
        self,
        rows: Float32[np.ndarray, "rows probes"],
        seen: Float32[np.ndarray, " probes"] | None = None,
    ) -> Float32[np.ndarray, "rows teachers"]:
        """Correlations of unit rows, zero where a probe was not seen, with the teachers."""
        table: Float32[np.ndarray, "rows teachers"] = rows @ self._rows.T
        if rows.shape[1] < self._config.least_common:
            table[:] = -1.0
        if seen is None and self._mask is None:
            return table
        seen = np.ones(rows.shape[1], np.float32) if seen is None else seen
        mask = np.ones((1, rows.shape[1]), np.float32) if self._mask is None else self._mask
        common = mask @ seen
        table /= np.sqrt(np.maximum((rows**2) @ mask.T, 1e-9))
        table /= np.sqrt(np.maximum((self._rows**2) @ seen, 1e-9))
        fewer = common < rows.shape[1]
        table *= np.where(fewer, common / (common + self._config.shrinkage), 1.0)
        table[:, np.broadcast_to(common < self._config.least_common, len(self._rows))] = -1.0
        return table

    def _teacher_rows(self) -> Iterator[Float32[np.ndarray, "some probes"]]:
        for owner in np.unique(self._owners).tolist():
            for part in _parts(self._columns[self._owners == owner]):
                yield self._unit(owner, part)

    def _unit(
        self, owner: int, columns: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows probes"]:
        """Blended descriptors, centred and of unit length, over the probes that the model saw."""
        seen = self._seen.get(owner)
        if seen is None:
            return _centred(self._index.blended(columns))
        plain = self._index.descriptors(columns)
        rows = np.zeros((len(columns), len(plain)), np.float32)
        rows[:, seen] = _unit(plain[seen])
        return rows

    def _seen_mask(self, owner: int) -> Float32[np.ndarray, " probes"]:
        mask = np.zeros(self._rows.shape[1], np.float32)
        mask[self._seen.get(owner, slice(None))] = 1.0
        return mask


def _unit(
    descriptors: Float32[np.ndarray, "probes outputs"],
) -> Float32[np.ndarray, "outputs probes"]:
    """Blended descriptors, centred and of unit length."""
    return _centred(blend(np.ascontiguousarray(descriptors)))


def _centred(
    blended: Float32[np.ndarray, "probes outputs"],
) -> Float32[np.ndarray, "outputs probes"]:
    return unit_rows((blended - blended.mean(axis=0)).T)


def _best_two(
    best: Float32[np.ndarray, "2 teachers"], table: Float32[np.ndarray, "rows teachers"]
) -> Float32[np.ndarray, "2 teachers"]:
    """The two highest correlations of each teacher so far."""
    joined = np.concatenate([best, table])
    top = np.partition(joined, len(joined) - 2, axis=0)[-2:]
    return np.ascontiguousarray(top[::-1])


def _parts(columns: Int64[np.ndarray, " all"]) -> Iterator[Int64[np.ndarray, " some"]]:
    for first in range(0, len(columns), _ROWS_AT_ONCE):
        yield columns[first : first + _ROWS_AT_ONCE]

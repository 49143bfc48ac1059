"""Labelled outputs and the twins that were found of them come in; tables to look them up go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.text.names import first_name, name_words
from lagotto.hub.labels.twins.probability import TWINS, TwinConfig


@dataclass(frozen=True, slots=True)
class Teachers:
    """Believed labelled outputs, by the columns of the logit index, and a number for each name.

    `left_out` counts those beyond `TwinConfig.most_teachers`.
    """

    columns: Int64[np.ndarray, " teachers"]
    names: Int64[np.ndarray, " teachers"]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Twins:
    """Outputs with the labelled outputs whose twins they are, in the order of the teachers.

    Attributes:
        teachers: columns of the labelled outputs, ascending.
        columns: columns of their twins.
        probability: how likely each twin recognizes what its teacher's label says.
    """

    teachers: Int64[np.ndarray, " twins"]
    columns: Int64[np.ndarray, " twins"]
    probability: Float32[np.ndarray, " twins"]

    def of_teachers(self, columns: Int64[np.ndarray, " some"]) -> Int64[np.ndarray, " rows"]:
        """The rows of some labelled outputs."""
        first = np.searchsorted(self.teachers, columns, side="left")
        end = np.searchsorted(self.teachers, columns, side="right")
        parts = [np.arange(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def of_columns(self, columns: Int64[np.ndarray, " some"]) -> Int64[np.ndarray, " rows"]:
        """The rows of some twins."""
        return np.flatnonzero(np.isin(self.columns, columns)).astype(np.int64)


NO_TWINS = Twins(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def join_twins(parts: Sequence[Twins]) -> Twins:
    """One table of several, in the order of the teachers and then of the twins."""
    teachers, columns, probability = (
        np.concatenate([getattr(part, name) for part in (NO_TWINS, *parts)])
        for name in ("teachers", "columns", "probability")
    )
    order = np.lexsort((columns, teachers))
    return Twins(teachers[order], columns[order], probability[order])


def choose_teachers(
    labelled: Sequence[tuple[int, int, str]], config: TwinConfig = TWINS
) -> Teachers:
    """The labelled outputs that others are compared with.

    Args:
        labelled: (model, column, label) of each believed label; a model is any number.
        config: the thresholds.
    """
    of_model: dict[tuple[int, frozenset[str]], int] = {}
    keyed = []
    for model, column, label in labelled:
        key = name_words(first_name(label)) or frozenset([label])
        of_model[model, key] = of_model.get((model, key), 0) + 1
        keyed.append((model, column, key))
    rounds: dict[frozenset[str], int] = {}
    entries = []
    for model, column, key in keyed:
        if of_model[model, key] <= config.same_label:
            rounds[key] = rounds.get(key, 0) + 1
            entries.append((rounds[key], column, key))
    kept = sorted(sorted(entries, key=lambda entry: entry[0])[: config.most_teachers], key=_column)
    numbers = {key: number for number, key in enumerate(rounds)}
    return Teachers(
        np.array([column for _, column, _ in kept], np.int64),
        np.array([numbers[key] for _, _, key in kept], np.int64),
        len(entries) - len(kept),
    )


def _column(entry: tuple[int, int, frozenset[str]]) -> int:
    return entry[1]

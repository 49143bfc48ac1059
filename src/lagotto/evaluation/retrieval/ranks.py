"""Layer 3: the scores of a rule × the right answers → where in its ranking they stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.core.vectors import top_k
from lagotto.evaluation.retrieval.logit_table import LogitTable

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ranking:
    """How one rule answered some questions, an entry each.

    `first` is the rank of the best right logit, 0 where the rule does not reach one. `hits` are the
    first columns, -1 where there are fewer, and `right` says which of them are right.
    `model_recall` is the share of the models that know the concept among as many first models.
    """

    first: Int64[np.ndarray, " queries"]
    hits: Int64[np.ndarray, "queries shown"]
    right: Bool[np.ndarray, "queries shown"]
    model_recall: Float64[np.ndarray, " queries"]

    @property
    def top1(self) -> Bool[np.ndarray, " queries"]:
        """Whether a right logit is first."""
        return np.asarray(self.first == 1)

    @property
    def top5(self) -> Bool[np.ndarray, " queries"]:
        """Whether a right logit is among the first five."""
        return np.asarray((self.first >= 1) & (self.first <= SHOWN))

    @property
    def precision5(self) -> Float64[np.ndarray, " queries"]:
        """The share of right logits among the first five."""
        return np.asarray(self.right.sum(axis=1) / SHOWN)

    @property
    def reciprocal_rank(self) -> Float64[np.ndarray, " queries"]:
        """One over the rank of the best right logit, 0 where none is reached."""
        return np.where(self.first > 0, 1.0 / np.maximum(self.first, 1), 0.0)


def rank_answers(
    scores: Float[np.ndarray, "queries logits"],
    correct: Sequence[Int64[np.ndarray, " _"]],
    asking: Int64[np.ndarray, " queries"],
    table: LogitTable,
) -> Ranking:
    """The ranking by scores, highest first; ties go to the lower column.

    Logits that are not usable, and those of the model that asks, are no answers; neither are those
    whose score is minus infinity, by which a rule says that they do not answer at all.
    """
    owners = table.owners
    own = np.where(asking >= 0, owners[asking], -1)
    masked = np.where(table.usable & (owners != own[:, None]), scores, -np.inf).astype(np.float32)
    right = np.zeros(masked.shape, dtype=bool)
    for row, columns in enumerate(correct):
        right[row, columns] = True
    hits = top_k(masked, SHOWN)
    reached = np.take_along_axis(masked, hits, axis=1) > -np.inf
    good = np.take_along_axis(right, hits, axis=1) & reached
    missing = SHOWN - hits.shape[1]
    return Ranking(
        _first_rank(masked, right),
        np.pad(np.where(reached, hits, -1), ((0, 0), (0, missing)), constant_values=-1),
        np.pad(good, ((0, 0), (0, missing))),
        _model_recall(masked, right, table.firsts),
    )


def join(parts: Sequence[Ranking]) -> Ranking:
    """The rankings of several batches as one."""
    return Ranking(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.hits for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.model_recall for part in parts]),
    )


def _first_rank(
    scores: Float32[np.ndarray, "queries logits"], right: Bool[np.ndarray, "queries logits"]
) -> Int64[np.ndarray, " queries"]:
    """One and all that stand before the best right logit."""
    of_right = np.where(right, scores, -np.inf)
    place = of_right.argmax(axis=1)[:, None]
    best = np.take_along_axis(of_right, place, axis=1)
    before = (scores > best) | ((scores == best) & (np.arange(scores.shape[1]) < place))
    rank = np.where(best[:, 0] > -np.inf, 1 + before.sum(axis=1), 0)
    return np.asarray(rank.astype(np.int64))


def _model_recall(
    scores: Float32[np.ndarray, "queries logits"],
    right: Bool[np.ndarray, "queries logits"],
    firsts: Int64[np.ndarray, " models"],
) -> Float64[np.ndarray, " queries"]:
    """Models by their best logit; of those that hold a right one, the share among as many first."""
    best = np.maximum.reduceat(scores, firsts, axis=1)
    knows = np.logical_or.reduceat(right, firsts, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    reached = np.take_along_axis(knows & (best > -np.inf), order, axis=1)
    known = knows.sum(axis=1)
    found = np.where(np.arange(len(firsts)) < known[:, None], reached, False).sum(axis=1)
    return np.where(known > 0, found / np.maximum(known, 1), 0.0)

"""The scores of a rule and the right logits come in; the ranks of the right logits go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from lagotto.core.vectors import top_k
from lagotto.evaluation.retrieval.logit_table import LogitTable

TOP_HITS = 5


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of one rule for some queries, an entry each.

    `first` is the rank of the best right logit, 0 if the rule scores none. `hits` are the columns
    of the first TOP_HITS logits, -1 where there are fewer; `right` says which of them are right.
    `model_recall` is the recall of models at n, for the n models that have a right logit.
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
        return np.asarray((self.first >= 1) & (self.first <= TOP_HITS))

    @property
    def precision5(self) -> Float64[np.ndarray, " queries"]:
        """The precision at 5."""
        return np.asarray(self.right.sum(axis=1) / TOP_HITS)

    @property
    def reciprocal_rank(self) -> Float64[np.ndarray, " queries"]:
        """One over the rank of the best right logit; 0 if the rule scores none."""
        return np.where(self.first > 0, 1.0 / np.maximum(self.first, 1), 0.0)


def rank_logits(
    scores: Float[np.ndarray, "queries logits"],
    correct: Sequence[Int64[np.ndarray, " _"]],
    query_columns: Int64[np.ndarray, " queries"],
    table: LogitTable,
) -> Ranking:
    """Ranks logits by their scores, highest first; ties go to the lower column.

    Logits that are not usable are excluded, and so are all logits of the query's own model, and
    logits with a score of minus infinity.

    Args:
        scores: The score of each logit for each query.
        correct: The columns of the right logits of each query.
        query_columns: The column of each query's own logit; -1 for a text.
        table: The logits.
    """
    owners = table.owners
    query_models = np.where(query_columns >= 0, owners[query_columns], -1)
    allowed = table.usable & (owners != query_models[:, None])
    masked = np.where(allowed, scores, -np.inf).astype(np.float32)
    right = np.zeros(masked.shape, dtype=bool)
    for row, columns in enumerate(correct):
        right[row, columns] = True
    hits = top_k(masked, TOP_HITS)
    is_ranked = np.take_along_axis(masked, hits, axis=1) > -np.inf
    is_right = np.take_along_axis(right, hits, axis=1) & is_ranked
    missing = TOP_HITS - hits.shape[1]
    return Ranking(
        _first_rank(masked, right),
        np.pad(np.where(is_ranked, hits, -1), ((0, 0), (0, missing)), constant_values=-1),
        np.pad(is_right, ((0, 0), (0, missing))),
        _model_recall(masked, right, table.firsts),
    )


def join(parts: Sequence[Ranking]) -> Ranking:
    """Concatenates the rankings of several batches."""
    return Ranking(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.hits for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.model_recall for part in parts]),
    )


def _first_rank(
    scores: Float32[np.ndarray, "queries logits"], right: Bool[np.ndarray, "queries logits"]
) -> Int64[np.ndarray, " queries"]:
    """The rank of the best right logit, from 1; 0 if there is none."""
    of_right = np.where(right, scores, -np.inf)
    position = of_right.argmax(axis=1)[:, None]
    best = np.take_along_axis(of_right, position, axis=1)
    ranked_before = (scores > best) | ((scores == best) & (np.arange(scores.shape[1]) < position))
    rank = np.where(best[:, 0] > -np.inf, 1 + ranked_before.sum(axis=1), 0)
    return np.asarray(rank.astype(np.int64))


def _model_recall(
    scores: Float32[np.ndarray, "queries logits"],
    right: Bool[np.ndarray, "queries logits"],
    firsts: Int64[np.ndarray, " models"],
) -> Float64[np.ndarray, " queries"]:
    """The recall at n of models ranked by their best logit, n being those with a right logit."""
    best = np.maximum.reduceat(scores, firsts, axis=1)
    knows = np.logical_or.reduceat(right, firsts, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    is_ranked = np.take_along_axis(knows & (best > -np.inf), order, axis=1)
    known = knows.sum(axis=1)
    known_among_first = np.where(np.arange(len(firsts)) < known[:, None], is_ranked, False).sum(
        axis=1
    )
    return np.where(known > 0, known_among_first / np.maximum(known, 1), 0.0)

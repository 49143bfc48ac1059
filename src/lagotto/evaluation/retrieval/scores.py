"""Queries and rules come in; accuracy by rule and kind of query, with intervals, goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lagotto.core.progress import Progress, Silent
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.queries import ALL, Queries
from lagotto.evaluation.retrieval.ranks import (
    Ranking,
    join,
    rank_logits,
)
from lagotto.evaluation.retrieval.rules import PAPER, Rule

_MAX_SCORES = 2**22


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """The accuracy of a rule on the queries of a kind; shares with 95 % intervals.

    `precision5` is the precision at 5, `mrr` the mean reciprocal rank of the best right logit, and
    `model_recall` the recall at n of the n models that know the concept. `to_paper` is top1 minus
    that of the paper's rule on the same queries, resampled in pairs.
    """

    rule: str
    kind: str
    queries: int
    top1: Estimate
    top5: Estimate
    precision5: Estimate
    mrr: Estimate
    model_recall: Estimate
    to_paper: Estimate


@dataclass(frozen=True, slots=True)
class RetrievalEvaluation:
    """The queries, and the rankings of every rule: one for each kind of query, in order.

    A rule that cannot score a kind has None there, and no row.
    """

    queries: tuple[Queries, ...]
    rankings: Mapping[str, tuple[Ranking | None, ...]]
    rows: tuple[RetrievalScores, ...]

    def row(self, rule: str, kind: str) -> RetrievalScores:
        """The scores of a rule on a kind of queries; LookupError if there are none."""
        for row in self.rows:
            if (row.rule, row.kind) == (rule, kind):
                return row
        raise LookupError(f"no row of rule {rule!r} and kind {kind!r}")

    @property
    def main_kind(self) -> str:
        """The kind of the headline figures: all texts, or the only kind of text, or logits."""
        return next(iter(_kinds(self.queries)))


def evaluate_retrieval(
    table: LogitTable,
    queries: Sequence[Queries],
    rules: Sequence[Rule],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> RetrievalEvaluation:
    """Evaluates every rule on all queries.

    Rows are ordered by kind, then by rule. If there are several kinds of texts, all texts together
    come first.

    Args:
        table: The logits.
        queries: The queries, one object a kind.
        rules: The rules; the paper's must be among them.
        seed: The seed of the bootstrap intervals.
        progress: Receives the progress of the work.
    """
    meter = progress or Silent()
    meter.start("ranking", sum(map(len, queries)) * len(rules), "queries")
    rankings = {
        rule.name: tuple(
            _rank_or_none(table, kind_queries, rule, meter) for kind_queries in queries
        )
        for rule in rules
    }
    meter.finish()
    rows = []
    for kind, positions in _kinds(queries).items():
        for rule in rules:
            ranked = [position for position in positions if rankings[rule.name][position]]
            if ranked:
                ranking, paper = _join(rankings[rule.name], ranked), _join(rankings[PAPER], ranked)
                rows.append(_scores(rule.name, kind, ranking, paper, seed))
    return RetrievalEvaluation(tuple(queries), rankings, tuple(rows))


def rank_queries(
    table: LogitTable, queries: Queries, rule: Rule, progress: Progress | None = None
) -> Ranking:
    """The ranking of one rule for the queries of one kind, computed in batches."""
    step = max(1, _MAX_SCORES // len(table.labels))
    parts = []
    for start in range(0, len(queries), step):
        batch = queries.take(range(start, min(start + step, len(queries))))
        parts.append(rank_logits(rule.score(batch), batch.correct, batch.asking, table))
        if progress is not None:
            progress.advance(len(batch), rule.name)
    return join(parts)


def _rank_or_none(
    table: LogitTable, queries: Queries, rule: Rule, progress: Progress
) -> Ranking | None:
    if not rule.answers(queries):
        progress.advance(len(queries))
        return None
    return rank_queries(table, queries, rule, progress)


def _kinds(queries: Sequence[Queries]) -> dict[str, tuple[int, ...]]:
    """The kinds of the rows, each with the positions of its queries."""
    kinds: dict[str, tuple[int, ...]] = {}
    texts = tuple(position for position, item in enumerate(queries) if item.are_texts)
    if len(texts) > 1:
        kinds[ALL] = texts
    return kinds | {item.kind: (position,) for position, item in enumerate(queries)}


def _join(rankings: Sequence[Ranking | None], positions: Sequence[int]) -> Ranking:
    return join([ranking for position in positions if (ranking := rankings[position]) is not None])


def _scores(
    rule: str, kind: str, ranking: Ranking, reference: Ranking, seed: int
) -> RetrievalScores:
    def estimate(values: Float64[np.ndarray, " queries"]) -> Estimate:
        return mean_interval(values, seed=seed)

    top1 = ranking.top1.astype(np.float64)
    return RetrievalScores(
        rule=rule,
        kind=kind,
        queries=len(top1),
        top1=estimate(top1),
        top5=estimate(ranking.top5.astype(np.float64)),
        precision5=estimate(ranking.precision5),
        mrr=estimate(ranking.reciprocal_rank),
        model_recall=estimate(ranking.model_recall),
        to_paper=estimate(top1 - reference.top1.astype(np.float64)),
    )

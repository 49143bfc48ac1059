"""Layer 3: questions × rules → accuracy by rule and kind, with intervals and the paper beside."""

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
    rank_answers,
)
from lagotto.evaluation.retrieval.rules import PAPER, Rule

_SCORES_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """How often a rule is right on the questions of a kind; shares, with 95 % intervals.

    `precision5`: right logits among the first five. `mrr`: mean of one over the rank of the best
    right logit. `model_recall`: of the models that know the concept, those among as many first.
    `to_paper`: top1 less that of the paper's rule on the same questions, resampled in pairs.
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
    """What was asked, and how every rule answered: `rankings` by rule, one for each kind in order.

    A rule that cannot answer a kind has None there, and no row.
    """

    questions: tuple[Queries, ...]
    rankings: Mapping[str, tuple[Ranking | None, ...]]
    rows: tuple[RetrievalScores, ...]

    def row(self, rule: str, kind: str) -> RetrievalScores:
        """The scores of a rule on a kind of questions; KeyError if it was not asked."""
        for row in self.rows:
            if (row.rule, row.kind) == (rule, kind):
                return row
        raise LookupError(f"no row of rule {rule!r} and kind {kind!r}")

    @property
    def whole(self) -> str:
        """The kind that stands for the rest: all texts, or the only kind of text, or logits."""
        return next(iter(_kinds(self.questions)))


def evaluate_retrieval(
    table: LogitTable,
    questions: Sequence[Queries],
    rules: Sequence[Rule],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> RetrievalEvaluation:
    """Every rule on all questions; the rules must have the paper's among them.

    Rows come by kind, rules in their order; where texts are of several kinds, all texts first.
    """
    shown = progress or Silent()
    shown.start("ranking", sum(map(len, questions)) * len(rules), "queries")
    rankings = {
        rule.name: tuple(_answered(table, asked, rule, shown) for asked in questions)
        for rule in rules
    }
    shown.finish()
    rows = []
    for kind, places in _kinds(questions).items():
        for rule in rules:
            answered = [place for place in places if rankings[rule.name][place] is not None]
            if answered:
                mine = _joined(rankings[rule.name], answered)
                rows.append(
                    _scores(rule.name, kind, mine, _joined(rankings[PAPER], answered), seed)
                )
    return RetrievalEvaluation(tuple(questions), rankings, tuple(rows))


def rank_questions(
    table: LogitTable, questions: Queries, rule: Rule, progress: Progress | None = None
) -> Ranking:
    """One rule's ranking for questions of one kind, a few hundred at a time."""
    step = max(1, _SCORES_AT_ONCE // len(table.labels))
    parts = []
    for start in range(0, len(questions), step):
        batch = questions.take(range(start, min(start + step, len(questions))))
        parts.append(rank_answers(rule.score(batch), batch.correct, batch.asking, table))
        if progress is not None:
            progress.advance(len(batch), rule.name)
    return join(parts)


def _answered(
    table: LogitTable, questions: Queries, rule: Rule, progress: Progress
) -> Ranking | None:
    if not rule.answers(questions):
        progress.advance(len(questions))
        return None
    return rank_questions(table, questions, rule, progress)


def _kinds(questions: Sequence[Queries]) -> dict[str, tuple[int, ...]]:
    """The kinds that rows are of, and the places of their questions."""
    kinds: dict[str, tuple[int, ...]] = {}
    texts = tuple(place for place, asked in enumerate(questions) if asked.are_texts)
    if len(texts) > 1:
        kinds[ALL] = texts
    return kinds | {asked.kind: (place,) for place, asked in enumerate(questions)}


def _joined(rankings: Sequence[Ranking | None], places: Sequence[int]) -> Ranking:
    return join([ranking for place in places if (ranking := rankings[place]) is not None])


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

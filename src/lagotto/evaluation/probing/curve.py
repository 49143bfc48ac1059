"""Fully probed models come in; search accuracy by the number of probes per model goes out.

This is the curve of ProbeLog's Figure 7, for any hub. For each number of probes per model it
compares a fixed subset (the same for all models), completed responses, the guarded choice between
the two, and the paper's rule on completed responses. All responses are known; a share of them is
hidden for each point.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.evaluation.probing.scores import (
    PartialResponses,
    PartScorer,
    join_evidence,
    scores_on_the_same_probes,
    subspace,
)
from lagotto.evaluation.retrieval.raw_responses import RawModel
from lagotto.hub.completion.columns import (
    ColumnScale,
    SeenColumns,
    to_columns,
)
from lagotto.hub.completion.fit import (
    FittedCompletion,
    completed_responses,
    fit_completion,
)
from lagotto.hub.completion.holdout import HyperparameterSearch
from lagotto.hub.index.scoring import RuleName
from lagotto.hub.probes.subset import Choosing, Share
from lagotto.hub.query.probe_weights import ProbeSpace

METHODS = ("fixed", "seen", "completed", "guarded", "paper_rule_fixed", "paper_rule_completed")


@dataclass(frozen=True, slots=True)
class ProbingQueries:
    """Queries as unit embeddings, the probes' space, and the right columns of each query.

    Columns count the logits of all models, in order.
    """

    space: ProbeSpace
    concepts: Float32[np.ndarray, "queries dim"]
    right: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class BudgetAccuracy:
    """Top-1 and Top-5 accuracy: means over seeds, with the lowest and highest value."""

    top1: float
    top5: float
    top1_range: tuple[float, float]
    top5_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One number of probes per model: accuracies by method, and the guard's figures.

    `completed_models` is the share of models that the guard searches by completed responses.
    `skill` is the explained share of held-out responses. `rank` and `side_weight` are the selected
    hyperparameters. All are means over seeds.
    """

    probes: int
    accuracies: dict[str, BudgetAccuracy]
    skill: float
    completed_models: float
    rank: float
    side_weight: float

    def as_json(self) -> JsonObject:
        """The accuracies by method, beside the other fields."""
        return {
            "probes": self.probes,
            **{name: _rounded(accuracy) for name, accuracy in self.accuracies.items()},
            "guard": {
                "skill": round(self.skill, 4),
                "completed_models": round(self.completed_models, 4),
                "rank": round(self.rank, 2),
                "side_weight": round(self.side_weight, 3),
            },
        }


@dataclass(frozen=True, slots=True)
class ProbingCurve:
    """One row for each number of probes, and the accuracies with all probes."""

    rows: tuple[BudgetRow, ...]
    all_probes: dict[str, BudgetAccuracy]
    seeds: int
    queries: int

    def as_json(self) -> JsonObject:
        """`{"rows": [{"probes", "fixed": {"top1", "top5"}, ...}], "all_probes": {...}}`."""
        return {
            "rows": [row.as_json() for row in self.rows],
            "all_probes": {name: _rounded(accuracy) for name, accuracy in self.all_probes.items()},
            "seeds": self.seeds,
            "queries": self.queries,
        }


def label_queries(
    models: Sequence[RawModel],
    space: ProbeSpace,
    embed: Callable[[list[str]], Float32[np.ndarray, "texts dim"]],
) -> ProbingQueries:
    """One query for each distinct label of the models; the right logits are those with it."""
    columns: dict[str, list[int]] = {}
    labels = [label for model in models for label in model.labels]
    for column, label in enumerate(labels):
        if label:
            columns.setdefault(label, []).append(column)
    if not columns:
        raise UsageError("no model has labels, so nothing says which answers are right")
    names = sorted(columns)
    return ProbingQueries(space, embed(names), tuple(frozenset(columns[name]) for name in names))


def probing_curve(
    models: Sequence[RawModel],
    queries: ProbingQueries,
    counts: Sequence[int],
    seeds: int,
    strategy: Choosing = "spread",
    progress: Progress | None = None,
) -> ProbingCurve:
    """Measures search accuracy at each number of probes per model.

    Args:
        models: Fully probed models.
        queries: The queries.
        counts: Numbers of probes per model; each at least 2 and below the number of probes.
        seeds: Draws of the probes for each number.
        strategy: How the probes of a model are drawn.
        progress: Receives the progress of the work.

    Raises:
        UsageError: A count or the number of seeds is out of range.
    """
    meter = progress or Silent()
    probes = len(queries.space.probes)
    for count in counts:
        if not 2 <= count < probes:
            raise UsageError(
                f"{count} probes a model cannot be measured: give 2 to {probes - 1}, fewer than all"
            )
    if seeds < 1:
        raise UsageError(f"{seeds} seeds were asked for; give 1 or more")
    bench = _Bench(models, queries)
    meter.start("probing by shares", len(counts) * seeds, "draws")
    rows = []
    for count in counts:
        draws: list[_Draw] = []
        for seed in range(seeds):
            choice = draws[0].completion.search if draws else None
            draws.append(_draw(bench, count, seed, strategy, choice))
            meter.advance(1)
        rows.append(_row(count, draws))
    meter.finish()
    all_probes = np.arange(probes, dtype=np.int64)
    accuracy_of_rule = {
        "default": bench.fixed("default", all_probes),
        "paper_rule": bench.fixed("paper", all_probes),
    }
    accuracies = {name: _accuracy([scored]) for name, scored in accuracy_of_rule.items()}
    return ProbingCurve(tuple(rows), accuracies, seeds, len(queries.right))


@dataclass(frozen=True, slots=True)
class _Draw:
    """Scores of one draw: (top1, top5) by method, and what the collaboration came to."""

    scored: dict[str, tuple[float, float]]
    completion: FittedCompletion


class _Bench:
    """Models with all their answers, and the queries: scores any way of looking at them."""

    def __init__(self, models: Sequence[RawModel], queries: ProbingQueries) -> None:
        self.models = models
        self.queries = queries
        self.scorer = PartScorer(queries.space, queries.concepts)

    def fixed(self, rule: RuleName, probes: Int64[np.ndarray, " seen"]) -> tuple[float, float]:
        """All models on the same probes."""
        responses = [model.values[probes] for model in self.models]
        return self.accuracy_on_same_probes(rule, subspace(self.queries.space, probes), responses)

    def accuracy_on_same_probes(
        self, rule: RuleName, space: ProbeSpace, responses: list[Float32[np.ndarray, "probes _"]]
    ) -> tuple[float, float]:
        """Accuracies where all models answered the same probes."""
        concepts = self.queries.concepts
        return self.accuracy(scores_on_the_same_probes(rule, space, concepts, responses))

    def accuracy(self, scores: Float32[np.ndarray, "queries logits"]) -> tuple[float, float]:
        """Shares of queries with a right logit first, and among the first five."""
        first = np.argsort(-scores, axis=1, kind="stable")[:, :5].tolist()
        hits = [
            [column in right for column in columns]
            for columns, right in zip(first, self.queries.right, strict=True)
        ]
        top1 = sum(any(row[:1]) for row in hits) / len(hits)
        return top1, sum(any(row) for row in hits) / len(hits)


def _draw(
    bench: _Bench, count: int, seed: int, strategy: Choosing, choice: HyperparameterSearch | None
) -> _Draw:
    """One draw of probes for every model, searched in every way; settings as chosen, if given."""
    space = bench.queries.space
    probes = len(space.probes)
    share = Share(count, space.probes, strategy)
    columns: list[SeenColumns] = []
    scales: list[ColumnScale] = []
    for model in bench.models:
        seen = share.select(f"{model.name} {seed}")
        seen_columns, scale = to_columns(np.ascontiguousarray(model.values[seen]), seen)
        columns.append(seen_columns)
        scales.append(scale)
    completion = fit_completion(columns, space.probes, seed, search=choice)
    full = [
        completed_responses(completion.factors, seen_columns, scale)
        for seen_columns, scale in zip(columns, scales, strict=True)
    ]
    all_probes = np.arange(probes, dtype=np.int64)
    completed = [
        bench.scorer.evidence(PartialResponses(all_probes, responses)) for responses in full
    ]
    parts = [
        bench.scorer.evidence(
            PartialResponses(seen_columns.probes, model.values[seen_columns.probes])
        )
        for model, seen_columns in zip(bench.models, columns, strict=True)
    ]
    on_parts = [verdict.use != "completed" for verdict in completion.verdict.models]
    guarded = [
        part if is_part else whole
        for part, whole, is_part in zip(parts, completed, on_parts, strict=True)
    ]
    subset = np.random.default_rng([seed, count]).choice(probes, count, replace=False)
    fixed = np.sort(subset).astype(np.int64)
    scored = {
        "fixed": bench.fixed("default", fixed),
        "seen": bench.accuracy(join_evidence(parts, [True] * len(parts))),
        "completed": bench.accuracy(join_evidence(completed, [False] * len(parts))),
        "guarded": bench.accuracy(join_evidence(guarded, on_parts)),
        "paper_rule_fixed": bench.fixed("paper", fixed),
        "paper_rule_completed": bench.accuracy_on_same_probes("paper", space, full),
    }
    return _Draw(scored, completion)


def _row(count: int, draws: Sequence[_Draw]) -> BudgetRow:
    verdicts = [draw.completion.verdict for draw in draws]
    completed = [np.mean([m.use == "completed" for m in v.models]) for v in verdicts]
    settings_of_draws = [draw.completion.search.settings for draw in draws]
    return BudgetRow(
        probes=count,
        accuracies={name: _accuracy([draw.scored[name] for draw in draws]) for name in METHODS},
        skill=float(np.mean([verdict.skill for verdict in verdicts])),
        completed_models=float(np.mean(completed)),
        rank=float(np.mean([settings.rank for settings in settings_of_draws])),
        side_weight=float(np.mean([settings.side_weight for settings in settings_of_draws])),
    )


def _accuracy(scored: Sequence[tuple[float, float]]) -> BudgetAccuracy:
    top1 = [accuracy[0] for accuracy in scored]
    top5 = [accuracy[1] for accuracy in scored]
    return BudgetAccuracy(
        top1=float(np.mean(top1)),
        top5=float(np.mean(top5)),
        top1_range=(min(top1), max(top1)),
        top5_range=(min(top5), max(top5)),
    )


def _rounded(accuracy: BudgetAccuracy) -> JsonObject:
    return {
        name: [round(part, 4) for part in value] if isinstance(value, tuple) else round(value, 4)
        for name, value in asdict(accuracy).items()
    }

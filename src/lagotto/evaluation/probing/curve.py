"""Layer 3: fully probed models → how well search works when each had seen a share of the probes.

The curve of ProbeLog's Figure 7 on any hub: for each number of probes a model, the fixed subset
(all models see the same), the completed answers, the guarded choice, and the paper's rule on
completed answers. The answers are there, so a share is taken by looking away.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.evaluation.probing.scores import (
    PartScorer,
    SeenResponses,
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
    """Concepts as unit embeddings, where they meet the probes, and the columns that are right.

    Columns are of all models joined.
    """

    space: ProbeSpace
    concepts: Float32[np.ndarray, "queries dim"]
    right: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class BudgetAccuracy:
    """Top-1 and Top-5, means over seeds, and the lowest and highest of them."""

    top1: float
    top5: float
    top1_range: tuple[float, float]
    top5_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One number of probes a model: accuracies by method, and what the guard found.

    `completed_models` is the share of models that the guard searches by completed answers, `skill`
    the share of held-back answers that are predicted, rank and side weight as chosen: means over
    seeds.
    """

    probes: int
    accuracies: dict[str, BudgetAccuracy]
    skill: float
    completed_models: float
    rank: float
    side_weight: float

    def as_json(self) -> JsonObject:
        """The accuracies by their names beside the other fields."""
        return {
            "probes": self.probes,
            **{name: _rounded(each) for name, each in self.accuracies.items()},
            "guard": {
                "skill": round(self.skill, 4),
                "completed_models": round(self.completed_models, 4),
                "rank": round(self.rank, 2),
                "side_weight": round(self.side_weight, 3),
            },
        }


@dataclass(frozen=True, slots=True)
class ProbingCurve:
    """A row a number of probes, and the accuracies with all of them."""

    rows: tuple[BudgetRow, ...]
    all_probes: dict[str, BudgetAccuracy]
    seeds: int
    queries: int

    def as_json(self) -> JsonObject:
        """`{"rows": [{"probes", "fixed": {"top1", "top5"}, ...}], "all_probes": {...}}`."""
        return {
            "rows": [row.as_json() for row in self.rows],
            "all_probes": {name: _rounded(each) for name, each in self.all_probes.items()},
            "seeds": self.seeds,
            "queries": self.queries,
        }


def label_questions(
    models: Sequence[RawModel],
    space: ProbeSpace,
    embed: Callable[[list[str]], Float32[np.ndarray, "texts dim"]],
) -> ProbingQueries:
    """Every label of the models, once, is a query; right is any logit that carries it."""
    places: dict[str, list[int]] = {}
    labels = [label for model in models for label in model.labels]
    for place, label in enumerate(labels):
        if label:
            places.setdefault(label, []).append(place)
    if not places:
        raise UsageError("no model has labels, so nothing says which answers are right")
    names = sorted(places)
    return ProbingQueries(space, embed(names), tuple(frozenset(places[name]) for name in names))


def probing_curve(
    models: Sequence[RawModel],
    questions: ProbingQueries,
    counts: Sequence[int],
    seeds: int,
    choosing: Choosing = "spread",
    progress: Progress | None = None,
) -> ProbingCurve:
    """Accuracies at each number of probes a model, over `seeds` draws of who sees what.

    Raises UsageError for a number that is not below that of the probes, or no seed.
    """
    meter = progress or Silent()
    probes = len(questions.space.probes)
    for count in counts:
        if not 2 <= count < probes:
            raise UsageError(
                f"{count} probes a model cannot be measured: give 2 to {probes - 1}, fewer than all"
            )
    if seeds < 1:
        raise UsageError(f"{seeds} seeds were asked for; give 1 or more")
    bench = _Bench(models, questions)
    meter.start("probing by shares", len(counts) * seeds, "draws")
    rows = []
    for count in counts:
        draws: list[_Draw] = []
        for seed in range(seeds):
            choice = draws[0].found.search if draws else None
            draws.append(_draw(bench, count, seed, choosing, choice))
            meter.advance(1)
        rows.append(_row(count, draws))
    meter.finish()
    everything = np.arange(probes, dtype=np.int64)
    whole = {
        "default": bench.fixed("default", everything),
        "paper_rule": bench.fixed("paper", everything),
    }
    accuracies = {name: _accuracy([scored]) for name, scored in whole.items()}
    return ProbingCurve(tuple(rows), accuracies, seeds, len(questions.right))


@dataclass(frozen=True, slots=True)
class _Draw:
    """Scores of one draw: (top1, top5) by method, and what the collaboration came to."""

    scored: dict[str, tuple[float, float]]
    found: FittedCompletion


class _Bench:
    """Models with all their answers, and the queries: scores any way of looking at them."""

    def __init__(self, models: Sequence[RawModel], questions: ProbingQueries) -> None:
        self.models = models
        self.questions = questions
        self.scorer = PartScorer(questions.space, questions.concepts)

    def fixed(self, rule: RuleName, seen: Int64[np.ndarray, " seen"]) -> tuple[float, float]:
        """All models on the same probes."""
        responses = [model.values[seen] for model in self.models]
        return self.whole(rule, subspace(self.questions.space, seen), responses)

    def whole(
        self, rule: RuleName, space: ProbeSpace, responses: list[Float32[np.ndarray, "probes _"]]
    ) -> tuple[float, float]:
        """Accuracies where all models answered the same probes."""
        concepts = self.questions.concepts
        return self.accuracy(scores_on_the_same_probes(rule, space, concepts, responses))

    def accuracy(self, scores: Float32[np.ndarray, "queries logits"]) -> tuple[float, float]:
        """Shares of queries with a right logit first, and among the first five."""
        first = np.argsort(-scores, axis=1, kind="stable")[:, :5].tolist()
        found = [
            [place in right for place in places]
            for places, right in zip(first, self.questions.right, strict=True)
        ]
        top1 = sum(any(row[:1]) for row in found) / len(found)
        return top1, sum(any(row) for row in found) / len(found)


def _draw(
    bench: _Bench, count: int, seed: int, choosing: Choosing, choice: HyperparameterSearch | None
) -> _Draw:
    """One draw of probes for every model, searched in every way; settings as chosen, if given."""
    space = bench.questions.space
    probes = len(space.probes)
    share = Share(count, space.probes, choosing)
    columns: list[SeenColumns] = []
    scales: list[ColumnScale] = []
    for model in bench.models:
        seen = share.select(f"{model.name} {seed}")
        own, scale = to_columns(np.ascontiguousarray(model.values[seen]), seen)
        columns.append(own)
        scales.append(scale)
    found = fit_completion(columns, space.probes, seed, search=choice)
    full = [
        completed_responses(found.factors, own, scale)
        for own, scale in zip(columns, scales, strict=True)
    ]
    everything = np.arange(probes, dtype=np.int64)
    completed = [bench.scorer.evidence(SeenResponses(everything, each)) for each in full]
    parts = [
        bench.scorer.evidence(SeenResponses(own.probes, model.values[own.probes]))
        for model, own in zip(bench.models, columns, strict=True)
    ]
    on_parts = [verdict.use != "completed" for verdict in found.verdict.models]
    guarded = [
        part if own else whole for part, whole, own in zip(parts, completed, on_parts, strict=True)
    ]
    subset = np.random.default_rng([seed, count]).choice(probes, count, replace=False)
    fixed = np.sort(subset).astype(np.int64)
    scored = {
        "fixed": bench.fixed("default", fixed),
        "seen": bench.accuracy(join_evidence(parts, [True] * len(parts))),
        "completed": bench.accuracy(join_evidence(completed, [False] * len(parts))),
        "guarded": bench.accuracy(join_evidence(guarded, on_parts)),
        "paper_rule_fixed": bench.fixed("paper", fixed),
        "paper_rule_completed": bench.whole("paper", space, full),
    }
    return _Draw(scored, found)


def _row(count: int, draws: Sequence[_Draw]) -> BudgetRow:
    verdicts = [draw.found.verdict for draw in draws]
    completed = [np.mean([m.use == "completed" for m in v.models]) for v in verdicts]
    chosen = [draw.found.search.settings for draw in draws]
    return BudgetRow(
        probes=count,
        accuracies={name: _accuracy([draw.scored[name] for draw in draws]) for name in METHODS},
        skill=float(np.mean([verdict.skill for verdict in verdicts])),
        completed_models=float(np.mean(completed)),
        rank=float(np.mean([settings.rank for settings in chosen])),
        side_weight=float(np.mean([settings.side_weight for settings in chosen])),
    )


def _accuracy(scored: Sequence[tuple[float, float]]) -> BudgetAccuracy:
    top1 = [each[0] for each in scored]
    top5 = [each[1] for each in scored]
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

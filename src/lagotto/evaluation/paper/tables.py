"""A table of logits and queries come in; the tables of the ProbeLog paper, on these data, go out.

They compare rules, probe sources, selections of probes, values of k and numbers of probes, all with
the paper's distance.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.registry import suggest
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.paper_rules import selected, standardize_rows
from lagotto.evaluation.retrieval.probe_selection import SelectionName
from lagotto.evaluation.retrieval.queries import Queries
from lagotto.evaluation.retrieval.ranks import Ranking
from lagotto.evaluation.retrieval.rules import Rule, rules_of
from lagotto.evaluation.retrieval.scores import rank_queries

SELECTIONS: tuple[SelectionName, ...] = ("bottom-k", "random-k", "quantiles", "all", "top-k")
REPEATS = 3
"""Random probe sets for each number of probes."""

_STEPS_OF_K = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_STEPS_OF_PROBES = (20, 50, 100, 200, 400, 800, 1600, 3200)


@dataclass(frozen=True, slots=True)
class Cell:
    """Accuracy on the queries of a kind.

    `repeat_deviation` is the standard deviation of top1 over the repeats. Intervals are over
    queries, each with its mean over the repeats.
    """

    kind: str
    queries: int
    top1: Estimate
    top5: Estimate
    repeat_deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One setting: the number of probes, and the number of them that are compared."""

    name: str
    probes: int
    k: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table; `name` is the factor that varies (rules, sources, ...), `what` describes it."""

    name: str
    what: str
    rows: tuple[PaperRow, ...]
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Bench:
    """The data of all tables: the logits, the queries, the paper's k and a seed."""

    table: LogitTable
    queries: tuple[Queries, ...]
    k: int
    seed: int = 0

    @property
    def probes(self) -> int:
        """The number of probes."""
        return len(self.table.embeddings)

    def on_probes(self, rows: Int64[np.ndarray, " rows"]) -> "Bench":
        """The same data restricted to some of the probes; k is at most their number."""
        queries = tuple(kind_queries.on_probes(rows) for kind_queries in self.queries)
        table = self.table.on_probes(rows)
        return replace(self, table=table, queries=queries, k=min(self.k, len(rows)))


PaperTrial: TypeAlias = Callable[[], tuple[Bench, Rule]]
"""Makes the data and the rule of one measurement; called late, because subsets take memory."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """One row to measure: the mean over its trials."""

    name: str
    trials: tuple[PaperTrial, ...]


def paper_tables(
    bench: Bench, progress: Progress | None = None, sources: Sequence[str] | None = None
) -> Iterator[PaperTable]:
    """Measures the tables one after the other: rules, sources, selections, k, probes.

    Args:
        bench: The data.
        progress: Told of the queries.
        sources: Measure the table of sources alone, on these collections of probes; all tables
            where it is None.

    Raises:
        UsageError: The probes are of no such collection.
    """
    meter = progress or Silent()
    bench = replace(bench, k=min(bench.k, bench.probes))
    total_queries = sum(map(len, bench.queries))
    of_sources = ("sources", "source of the probes", _sources(bench, sources), 1)
    every = (
        ("rules", "query -> hub, by rule", _rules(bench), 1),
        of_sources,
        ("selections", "probes that are compared, and normalisation", _selections(bench), 1),
        ("k", "number of probes that are compared", _steps_of_k(bench), 1),
        ("probes", "number of probes", _numbers_of_probes(bench), REPEATS),
    )
    for name, what, settings, repeats in every if sources is None else (of_sources,):
        trials = sum(len(setting.trials) for setting in settings)
        meter.start(f"table of {name}", total_queries * trials, "queries")
        yield PaperTable(name, what, tuple(_row(setting, meter) for setting in settings), repeats)
        meter.finish()


def _rules(bench: Bench) -> list[_Setting]:
    rules = rules_of(bench.table, bench.k, behaviour_only=True)
    return [_Setting(rule.name, (partial(_unchanged, bench, rule),)) for rule in rules]


def _sources(bench: Bench, wanted: Sequence[str] | None) -> list[_Setting]:
    """Each collection of probes alone, or each of those wanted; then all together."""
    sources = np.array(bench.table.sources)
    present = list(dict.fromkeys(bench.table.sources))
    for name in wanted or ():
        if name not in present:
            raise UsageError(
                f"no probes of a source {name!r}; there are: {', '.join(present)}."
                f"{suggest(name, present)}"
            )
    names = present if wanted is None else list(dict.fromkeys(wanted))
    rows_of_source = [np.flatnonzero(sources == name).astype(np.int64) for name in names]
    is_choice = len(present) > 1
    parts = zip(names, rows_of_source, strict=True) if is_choice else ()
    alone = [_Setting(name, (partial(_on_probes, bench, rows),)) for name, rows in parts]
    return [*alone, _Setting("all probes", (partial(_by_selection, bench, "top-k"),))]


def _selections(bench: Bench) -> list[_Setting]:
    return [
        _Setting("top-k, no normalisation", (partial(_unnormalized, bench),)),
        *(_Setting(name, (partial(_by_selection, bench, name),)) for name in SELECTIONS),
    ]


def _steps_of_k(bench: Bench) -> list[_Setting]:
    steps = sorted({*(k for k in _STEPS_OF_K if k < bench.probes), bench.k, bench.probes})
    return [
        _Setting(str(k), (partial(_by_selection, replace(bench, k=k), "top-k"),)) for k in steps
    ]


def _numbers_of_probes(bench: Bench) -> list[_Setting]:
    """Random subsets of the probes, REPEATS of each size; then all probes, once."""
    rng = np.random.default_rng(bench.seed)
    settings = []
    for size in (steps for steps in _STEPS_OF_PROBES if steps < bench.probes):
        subsets = [np.sort(rng.choice(bench.probes, size, replace=False)) for _ in range(REPEATS)]
        trials = tuple(partial(_on_probes, bench, rows) for rows in subsets)
        settings.append(_Setting(str(size), trials))
    all_probes = _Setting(str(bench.probes), (partial(_by_selection, bench, "top-k"),))
    return [*settings, all_probes]


def _unchanged(bench: Bench, rule: Rule) -> tuple[Bench, Rule]:
    return bench, rule


def _on_probes(bench: Bench, rows: Int64[np.ndarray, " rows"]) -> tuple[Bench, Rule]:
    return _by_selection(bench.on_probes(rows), "top-k")


def _by_selection(bench: Bench, selection: SelectionName) -> tuple[Bench, Rule]:
    """Standardized queries and descriptors on the probes of a selection."""
    bench = replace(bench, k=bench.probes) if selection == "all" else bench

    def score(queries: Queries) -> Float32[np.ndarray, "queries logits"]:
        rows = standardize_rows(queries.values)
        return selected(rows, bench.table.descriptors, bench.k, selection, bench.seed)

    return bench, Rule(selection, score)


def _unnormalized(bench: Bench) -> tuple[Bench, Rule]:
    """Raw cosines, or raw responses of a logit, against raw responses on the top-k probes."""
    standardized = np.where(bench.table.usable, bench.table.raw, np.float32(0))

    def score(queries: Queries) -> Float32[np.ndarray, "queries logits"]:
        return selected(queries.raw, standardized, bench.k, "top-k")

    return bench, Rule("top-k", score)


def _row(setting: _Setting, progress: Progress) -> PaperRow:
    """Measures a setting; each query counts with its mean over the trials."""

    outcomes: list[list[Ranking]] = []
    for trial in setting.trials:
        bench, rule = trial()
        outcomes.append(
            [rank_queries(bench.table, queries, rule, progress) for queries in bench.queries]
        )
    cells = tuple(
        _cell(queries.kind, [rankings[position] for rankings in outcomes], bench.seed)
        for position, queries in enumerate(bench.queries)
    )
    return PaperRow(setting.name, bench.probes, bench.k, cells)


def _cell(kind: str, repeats: Sequence[Ranking], seed: int) -> Cell:
    top1 = np.stack([ranking.top1 for ranking in repeats]).astype(np.float64)
    top5 = np.stack([ranking.top5 for ranking in repeats]).astype(np.float64)
    return Cell(
        kind,
        top1.shape[1],
        mean_interval(top1.mean(axis=0), seed=seed),
        mean_interval(top5.mean(axis=0), seed=seed),
        float(top1.mean(axis=1).std()),
    )

"""Layer 3: a table of logits × questions → the tables and figures of the ProbeLog paper, in form.

Rules, probe sources, selections of probes, k, number of probes: all by the paper's own distance.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.progress import Progress, Silent
from lagotto.evaluation.baselines import selected, standardise_rows
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.evaluation.logit_table import LogitTable
from lagotto.evaluation.questions import Questions
from lagotto.evaluation.retrieval_rules import Rule, rules_of
from lagotto.evaluation.retrieval_scores import rank_questions
from lagotto.evaluation.selection import Selection

Score: TypeAlias = Callable[[Questions], Float32[np.ndarray, "queries logits"]]

SELECTIONS: tuple[Selection, ...] = ("bottom-k", "random-k", "quantiles", "all", "top-k")
REPEATS = 3
"""Random probe sets drawn for each number of probes."""

_STEPS_OF_K = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_STEPS_OF_PROBES = (20, 50, 100, 200, 400, 800, 1600, 3200)


@dataclass(frozen=True, slots=True)
class Cell:
    """Accuracy on the questions of a kind; `spread` is the standard deviation over `repeats`.

    Intervals are over questions, each with its mean over the repeats.
    """

    kind: str
    queries: int
    top1: Estimate
    top5: Estimate
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One setting: how many probes there are, and how many of them are compared."""

    name: str
    probes: int
    k: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """`name` is what is varied: rules, sources, selections, k or probes; `paper` says where."""

    name: str
    paper: str
    rows: tuple[PaperRow, ...]
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Bench:
    """What all tables are measured on: the logits, the questions, the paper's k, a seed."""

    table: LogitTable
    questions: tuple[Questions, ...]
    k: int
    seed: int = 0

    @property
    def probes(self) -> int:
        """How many probes there are."""
        return len(self.table.embeddings)

    def on_probes(self, rows: Int64[np.ndarray, " rows"]) -> "Bench":
        """The same with some of the probes; k is at most their number."""
        asked = tuple(each.on_probes(rows) for each in self.questions)
        table = self.table.on_probes(rows)
        return replace(self, table=table, questions=asked, k=min(self.k, len(rows)))


def paper_tables(bench: Bench, progress: Progress | None = None) -> Iterator[PaperTable]:
    """The tables, one after the other, in the paper's order."""
    shown = progress or Silent()
    bench = replace(bench, k=min(bench.k, bench.probes))
    for make in (_rules, _sources, _selections, _ks, _numbers_of_probes):
        shown.start(make.__name__.strip("_").replace("_", " "), 0, "queries")
        yield make(bench, shown)
        shown.finish()


def _rules(bench: Bench, progress: Progress) -> PaperTable:
    rules = rules_of(bench.table, bench.k, behaviour_only=True)
    rows = [
        _row(bench, rule.name, lambda _, rule=rule: rule.score, progress)  # type: ignore[misc]
        for rule in rules
    ]
    return PaperTable("rules", "query -> hub, by rule", tuple(rows))


def _sources(bench: Bench, progress: Progress) -> PaperTable:
    """Every collection of probes alone, then all together."""
    sources = np.array(bench.table.sources)
    names = list(dict.fromkeys(bench.table.sources))
    rows = []
    for name in names if len(names) > 1 else []:
        part = bench.on_probes(np.flatnonzero(sources == name).astype(np.int64))
        rows.append(_row(part, name, _selection("top-k"), progress))
    rows.append(_row(bench, "all probes", _selection("top-k"), progress))
    return PaperTable("sources", "source of the probes", tuple(rows))


def _selections(bench: Bench, progress: Progress) -> PaperTable:
    rows = [
        _row(bench, "top-k, no normalisation", _raw, progress),
        *(_row(bench, name, _selection(name), progress) for name in SELECTIONS),
    ]
    return PaperTable("selections", "which probes are compared, and normalisation", tuple(rows))


def _ks(bench: Bench, progress: Progress) -> PaperTable:
    steps = sorted({*(k for k in _STEPS_OF_K if k < bench.probes), bench.k, bench.probes})
    rows = [_row(replace(bench, k=k), str(k), _selection("top-k"), progress) for k in steps]
    return PaperTable("k", "number of probes compared", tuple(rows))


def _numbers_of_probes(bench: Bench, progress: Progress) -> PaperTable:
    """Random subsets of the probes, REPEATS of each size; all of them once."""
    rng = np.random.default_rng(bench.seed)
    rows = []
    for size in (each for each in _STEPS_OF_PROBES if each < bench.probes):
        drawn = [
            bench.on_probes(np.sort(rng.choice(bench.probes, size, replace=False)))
            for _ in range(REPEATS)
        ]
        rows.append(_row_of_repeats(drawn, str(size), _selection("top-k"), progress))
    rows.append(_row(bench, str(bench.probes), _selection("top-k"), progress))
    return PaperTable("probes", "number of probes", tuple(rows), REPEATS)


Method: TypeAlias = Callable[[Bench], Score]


def _selection(name: Selection) -> Method:
    """Standardised queries and descriptors on the probes that a selection takes."""

    def method(bench: Bench) -> Score:
        k = bench.probes if name == "all" else bench.k
        return lambda asked: selected(
            standardise_rows(asked.values), bench.table.descriptors, k, name, bench.seed
        )

    return method


def _raw(bench: Bench) -> Score:
    """Raw cosines, or a logit's raw responses, against raw responses, on the top-k probes."""
    gallery = np.where(bench.table.usable, bench.table.raw, np.float32(0))

    def score(asked: Questions) -> Float32[np.ndarray, "queries logits"]:
        queries = asked.values if asked.are_texts else gallery[:, asked.asking].T
        return selected(np.ascontiguousarray(queries), gallery, bench.k, "top-k")

    return score


def _row(bench: Bench, name: str, method: Method, progress: Progress) -> PaperRow:
    return _row_of_repeats([bench], name, method, progress)


def _row_of_repeats(
    benches: Sequence[Bench], name: str, method: Method, progress: Progress
) -> PaperRow:
    """One row, each question's outcome its mean over several benches of the same questions."""
    rules = [Rule(name, method(bench)) for bench in benches]
    cells = []
    for place, questions in enumerate(benches[0].questions):
        rankings = [
            rank_questions(bench.table, bench.questions[place], rule, progress)
            for bench, rule in zip(benches, rules, strict=True)
        ]
        top1 = np.stack([ranking.top1 for ranking in rankings]).astype(np.float64)
        top5 = np.stack([ranking.top5 for ranking in rankings]).astype(np.float64)
        cells.append(_cell(questions.kind, top1, top5, benches[0].seed))
    return PaperRow(name, benches[0].probes, benches[0].k, tuple(cells))


def _cell(
    kind: str,
    top1: Float64[np.ndarray, "repeats queries"],
    top5: Float64[np.ndarray, "repeats queries"],
    seed: int,
) -> Cell:
    return Cell(
        kind,
        top1.shape[1],
        mean_interval(top1.mean(axis=0), seed=seed),
        mean_interval(top5.mean(axis=0), seed=seed),
        float(top1.mean(axis=1).std()),
    )

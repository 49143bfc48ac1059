"""All rules on all queries of the world of colours, and the form of the paper's tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colour_world import NAMES, planted
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.paper.tables import (
    REPEATS,
    Bench,
    PaperTable,
    paper_tables,
)
from lagotto.evaluation.retrieval.logit_table import LogitTable, responses_table
from lagotto.evaluation.retrieval.queries import (
    ALL,
    Queries,
    label_truth,
    logit_questions,
    text_questions,
)
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.evaluation.retrieval.rules import rules_of
from lagotto.evaluation.retrieval.scores import evaluate_retrieval
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.hub import Hub
from retrieval_makers import table


@pytest.fixture(scope="module")
def queries(hub: Hub, colours: LogitTable) -> tuple[Queries, ...]:
    """Two kinds of texts, and logits."""
    truth = [TruthQuery(name, f"{len(name) > 4}", planted(name)) for name in NAMES]
    logits = logit_questions(colours)
    assert logits is not None
    return (*text_questions(colours, truth, hub.encoder).questions, logits)


def test_the_planted_answers_are_found(colours: LogitTable, queries: tuple[Queries, ...]) -> None:
    evaluation = evaluate_retrieval(colours, queries, rules_of(colours, 5))
    assert evaluation.main_kind == ALL
    assert [row.kind for row in evaluation.rows if row.rule == "default"] == [
        "all",
        "False",
        "True",
        "logit",
    ]
    texts = evaluation.row("paper", "all")
    assert (texts.queries, texts.top1.value, texts.mrr.value) == (8, 1, 1)
    assert texts.model_recall.value == 1
    mean_answers = np.mean([len(planted(name)) for name in NAMES])
    assert texts.precision5.value == pytest.approx(mean_answers / 5)
    assert evaluation.row("paper", "logit").top5.value == 1
    assert evaluation.row("keyword", "all").top5.value == 1
    with pytest.raises(LookupError, match="keyword"):
        evaluation.row("keyword", "logit")
    for row in evaluation.rows:
        assert row.top1.low <= row.top1.value <= row.top1.high
        assert row.top1.value <= row.mrr.value
        paper = evaluation.row("paper", row.kind)
        assert row.to_paper.value == pytest.approx(row.top1.value - paper.top1.value)


def test_behaviour_only_reads_no_name(colours: LogitTable) -> None:
    rules = rules_of(colours, 5, behaviour_only=True)
    assert {"default", "paper", "full-query", "model-level"} <= {rule.name for rule in rules}
    assert not any(rule.by_name for rule in rules)
    assert any(rule.by_name for rule in rules_of(colours, 5))


def test_one_kind_stands_for_itself(colours: LogitTable, queries: tuple[Queries, ...]) -> None:
    rules = rules_of(colours, 5, behaviour_only=True)
    assert evaluate_retrieval(colours, queries[2:], rules).main_kind == "logit"
    assert evaluate_retrieval(colours, queries[1:], rules).main_kind == "True"


@pytest.fixture(scope="module")
def tables(colours: LogitTable, queries: tuple[Queries, ...]) -> dict[str, PaperTable]:
    return {each.name: each for each in paper_tables(Bench(colours, queries, 10))}


def test_the_tables_have_the_papers_form(tables: dict[str, PaperTable]) -> None:
    assert list(tables) == ["rules", "sources", "selections", "k", "probes"]
    assert [row.name for row in tables["selections"].rows] == [
        "top-k, no normalisation",
        "bottom-k",
        "random-k",
        "quantiles",
        "all",
        "top-k",
    ]
    assert [row.k for row in tables["selections"].rows] == [10, 10, 10, 10, 72, 10]
    assert [row.k for row in tables["k"].rows] == [1, 2, 5, 10, 20, 50, 72]
    assert [(row.probes, row.k) for row in tables["probes"].rows] == [(20, 10), (50, 10), (72, 10)]
    assert tables["probes"].repeats == REPEATS
    assert [row.name for row in tables["sources"].rows] == ["all probes"]  # one folder
    for made in tables.values():
        for row in made.rows:
            assert [cell.kind for cell in row.cells] == ["False", "True", "logit"]


def test_the_same_setting_has_the_same_figures_in_every_table() -> None:
    labels = [f"name {number}" for number in range(6)] * 3
    made = table((6, 6, 6), labels, probes=60, noise=1.4)
    queries = logit_questions(made)
    assert queries is not None
    tables = paper_tables(Bench(made, (queries,), 10))
    rows = {each.name: {row.name: row.cells for row in each.rows} for each in tables}
    paper = rows["rules"]["paper"]
    assert 0.1 < paper[0].top1.value < 1
    for same in (
        rows["sources"]["all probes"],
        rows["selections"]["top-k"],
        rows["k"]["10"],
        rows["probes"]["60"],
    ):
        assert same == paper
    assert rows["selections"]["all"] == rows["k"]["60"] == rows["rules"]["full-query"]
    assert rows["selections"]["all"][0].top1.value > paper[0].top1.value
    raw = rows["selections"]["top-k, no normalisation"]
    assert raw[0].top1.value < paper[0].top1.value
    assert rows["sources"]["a"][0].top1.value < rows["sources"]["b"][0].top1.value
    assert rows["probes"]["20"][0].repeat_deviation > 0


def test_sources_are_measured_alone_and_together(
    colours: LogitTable, queries: tuple[Queries, ...]
) -> None:
    split = replace(colours, sources=("one",) * 8 + ("two",) * 64)
    sources = list(paper_tables(Bench(split, queries, 10)))[1]
    shown = [(row.name, row.probes, row.k) for row in sources.rows]
    assert shown == [("one", 8, 8), ("two", 64, 10), ("all probes", 72, 10)]


@pytest.mark.real
def test_the_papers_rule_on_three_hundred_real_heads(assets: Path) -> None:
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    heads = responses_table(read_raw_responses(assets / "inet-mini-hub"), encoder)
    assert sorted(set(heads.sources)) == ["coco", "flickr", "inet"]
    texts = text_questions(heads, label_truth(heads), encoder).questions
    for k, top1, top5 in ((50, 0.645, 0.820), (20, 0.655, 0.870)):
        evaluation = evaluate_retrieval(heads, texts, rules_of(heads, k)).row("paper", "label")
        assert (evaluation.queries, evaluation.top1.value, evaluation.top5.value) == (
            200,
            top1,
            top5,
        )

"""The paper's rules on batches: against the hub's own search, and against each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from colour_world import NAMES
from lagotto.core.errors import UsageError
from lagotto.core.types import Hit
from lagotto.evaluation.retrieval import paper_rules
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.evaluation.retrieval.paper_rules import (
    full_query,
    model_level,
    paper_rule,
    selected,
    standardize_rows,
)
from lagotto.evaluation.retrieval.probe_selection import SelectionName
from lagotto.evaluation.retrieval.queries import (
    label_truth,
    logit_questions,
    text_questions,
)
from lagotto.evaluation.retrieval.ranks import rank_logits
from lagotto.evaluation.retrieval.rules import PAPER, rules_of
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from retrieval_makers import table


@pytest.mark.parametrize("k", [3, 20, 50, 72])
def test_texts_are_ranked_as_the_hub_ranks_them(hub: Hub, colours: LogitTable, k: int) -> None:
    truth = [TruthQuery(name, "", frozenset({colours.name(0)})) for name in NAMES]
    (asked,) = text_questions(colours, truth, hub.encoder).questions
    (rule,) = (rule for rule in rules_of(colours, k) if rule.name == PAPER)
    for name, scores in zip(asked.names, rule.score(asked), strict=True):
        hits = hub.search(name, top=len(colours.labels), k=k, rule="paper").hits
        check_order(colours, scores, hits)


@pytest.mark.parametrize("k", [5, 50])
def test_logits_are_ranked_as_the_hub_ranks_them(hub: Hub, colours: LogitTable, k: int) -> None:
    asked = logit_questions(colours)
    assert asked is not None
    for row, scores in enumerate(paper_rule(asked.values, colours, k)):
        query = LogitQuery.parse(asked.names[row])
        hits = hub.search(query, top=len(colours.labels), k=k, rule="paper").hits
        scores[asked.asking[row]] = -np.inf
        check_order(colours, scores, hits)


def check_order(colours: LogitTable, scores: np.ndarray, hits: Sequence[Hit]) -> None:
    """The hits have the distances that the scores say, nearest first; the colours have ties."""
    columns = [colours.columns()[hit.model, hit.logit] for hit in hits]
    distances = [hit.distance for hit in hits]
    np.testing.assert_allclose(-scores[columns], distances, rtol=1e-4, atol=1e-5)
    assert len(set(columns)) == np.isfinite(scores).sum()


def test_the_default_rule_is_the_searchs(hub: Hub, colours: LogitTable) -> None:
    (asked,) = text_questions(colours, label_truth(colours), hub.encoder).questions
    logits = logit_questions(colours)
    assert logits is not None
    for behaviour_only in (True, False):
        rule = rules_of(colours, 5, behaviour_only=behaviour_only)[0]
        for name, scores in zip(asked.names, rule.score(asked), strict=True):
            hits = hub.search(name, top=len(colours.labels), behaviour_only=behaviour_only).hits
            columns = [colours.columns()[hit.model, hit.logit] for hit in hits]
            assert np.all(np.diff(scores[columns]) < 0.05)  # a search adds up int8
    np.testing.assert_array_equal(rule.score(logits), full_query(logits.values, colours))


@pytest.mark.real
def test_hits_on_real_models_are_the_hubs(assets: Path, tmp_path: Path) -> None:
    photos, encoder = assets / "photos" / "coco", str(assets / "encoder" / "photo-lit")
    hub = Hub.create(tmp_path / "hub", photos, encoder, max_probes=60)
    hub.add([assets / "hub" / "coral-mobilenet-v1-025-128", assets / "hub" / "tuxxon-flowers5"])
    made = hub_table(hub)
    truth = [each for each in label_truth(made) if each.text < "b"][:40]
    (asked,) = text_questions(made, truth, hub.encoder).questions
    for rule, same in (("paper", 40), ("default", 38)):  # the default adds up int8
        scored = next(
            each for each in rules_of(made, 50, behaviour_only=True) if each.name == rule
        ).score(asked)
        found = rank_logits(scored, asked.correct, asked.asking, made)
        first = [made.name(column) for column in found.hits[:, 0].tolist()]
        hits = [
            hub.search(name, top=1, rule=rule, behaviour_only=True).hits[0] for name in asked.names
        ]
        assert sum((h.model, h.logit) == f for h, f in zip(hits, first, strict=True)) >= same


@pytest.mark.parametrize("selection", get_args(SelectionName))
def test_reading_rows_and_weighing_all_give_the_same(
    monkeypatch: pytest.MonkeyPatch, selection: str
) -> None:
    made = table(probes=40)
    queries = standardize_rows(np.random.default_rng(1).normal(size=(6, 40)))
    k = 40 if selection == "all" else 7
    by_rows = selected(queries, made.descriptors, k, selection, seed=3)
    monkeypatch.setattr(paper_rules, "_GATHERED", 0)
    weighed = selected(queries, made.descriptors, k, selection, seed=3)
    np.testing.assert_allclose(by_rows, weighed, rtol=1e-4, atol=1e-4)


def test_all_probes_of_the_papers_rule_are_the_full_query() -> None:
    made = table()
    values = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    np.testing.assert_allclose(full_query(values, made), paper_rule(values, made, 12), rtol=1e-4)


def test_a_model_level_query_finds_the_model_that_is_like_it_as_a_whole() -> None:
    made = table(probes=60)
    wanted = made.descriptors[:, 3:5].mean(axis=1)[None]
    scores = model_level(wanted, made)
    assert scores.argmax() == 3
    assert [len(set(scores[0, a:b])) for a, b in ((0, 3), (3, 5), (5, 9))] == [1, 1, 1]
    assert -scores[0, 3] == pytest.approx(0, abs=0.05)


def test_k_is_one_of_the_probes() -> None:
    made = table()
    for k in (0, 13):
        with pytest.raises(UsageError, match=f"k = {k} .* between 1 and 12"):
            paper_rule(np.ones((1, 12), np.float32), made, k)
    assert rules_of(made, 500)[0].name == "default"  # at most all of them


def test_a_query_that_is_the_same_everywhere_is_zero() -> None:
    assert not standardize_rows(np.full((1, 4), 7.0)).any()

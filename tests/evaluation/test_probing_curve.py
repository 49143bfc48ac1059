"""The probing curve on models whose relations are known."""

from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probing import METHODS, Questions, label_questions, probing_curve
from lagotto.evaluation.raw_responses import read_raw_responses
from lagotto.evaluation.scoring import paper_rule, smooth_rule
from lagotto.evaluation.selection import distances, select_probes
from lagotto.hubsearch.descriptors import standardise
from share_world import CONCEPTS, PROBES, embeddings, related, unrelated


def embed(names: list[str]) -> np.ndarray:
    """A concept's own axis."""
    return np.eye(CONCEPTS, dtype=np.float32)[[int(name.split()[-1]) for name in names]]


def questions(models: tuple) -> Questions:
    return label_questions(models, embeddings(), embed)


def test_related_models_are_completed_and_found() -> None:
    models = related(noise=0.6)
    curve = probing_curve(models, embeddings(), questions(models), [12, 40], 2)
    few, more = curve.rows
    assert set(few.accuracies) == set(METHODS)
    assert few.accuracies["guarded"].top1 >= few.accuracies["fixed"].top1
    assert more.completed_models == 1.0
    assert more.accuracies["guarded"] == more.accuracies["completed"]
    assert curve.all_probes["default"].top1 > 0.9
    json = curve.as_json()
    assert set(json["rows"][0]) == {"probes", *METHODS, "guard"}
    low, high = json["rows"][0]["guarded"]["top1_range"]
    assert low <= json["rows"][0]["guarded"]["top1"] <= high


def test_unrelated_models_are_searched_on_what_they_saw() -> None:
    models = unrelated()
    asked = Questions(
        np.random.default_rng(0).random((6, PROBES), np.float32), (frozenset({0}),) * 6
    )
    row = probing_curve(models, embeddings(), asked, [40], 1).rows[0]
    assert row.completed_models == 0.0
    assert row.accuracies["guarded"] == row.accuracies["seen"]


def test_the_same_seeds_give_the_same_curve() -> None:
    models = related(8)
    curves = [
        probing_curve(models, embeddings(), questions(models), [20], 2).as_json() for _ in range(2)
    ]
    assert curves[0] == curves[1]


def test_the_paper_rule_is_the_reference_of_selection() -> None:
    model = related(1)[0]
    cosines = np.random.default_rng(0).random((3, PROBES)).astype(np.float32)
    scores = paper_rule(cosines)(model.values)
    for query, row in zip(cosines, scores, strict=True):
        wanted = (query - query.mean()) / query.std()
        away = distances(
            wanted, standardise(model.values).values, select_probes(wanted, 50, "top-k")
        )
        np.testing.assert_allclose(-row, away, rtol=1e-4)


def test_flawed_logits_have_no_score() -> None:
    values = related(1)[0].values.copy()
    values[:, 1] = 3
    cosines = np.random.default_rng(0).random((2, PROBES)).astype(np.float32)
    for rule in (smooth_rule, paper_rule):
        scores = rule(cosines)(values)
        assert np.isnan(scores[:, 1]).all()
        assert np.isfinite(np.delete(scores, 1, axis=1)).all()


@pytest.mark.parametrize(("counts", "seeds"), [([1], 1), ([PROBES], 1), ([20], 0)])
def test_refusals(counts: list[int], seeds: int) -> None:
    models = related(3)
    with pytest.raises(UsageError, match="give"):
        probing_curve(models, embeddings(), questions(models), counts, seeds)


@pytest.mark.real
def test_a_twentieth_of_the_probes_on_the_mini_hub(assets: Path) -> None:
    raw = read_raw_responses(assets / "inet-mini-hub")
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    template = encoder.info.prompt_template
    asked = label_questions(
        raw.models,
        raw.embeddings,
        lambda names: encoder.embed_texts([template.replace("{}", name) for name in names]),
    )
    row = probing_curve(raw.models, raw.embeddings, asked, [120], 1).rows[0]
    assert row.accuracies["guarded"].top1 >= 0.5
    assert row.accuracies["guarded"].top1 > row.accuracies["fixed"].top1 + 0.2

"""The probing curve on models whose relations are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probing.curve import (
    METHODS,
    BudgetAccuracy,
    BudgetRow,
    ProbingCurve,
    ProbingQueries,
    label_queries,
    probing_curve,
)
from lagotto.evaluation.probing.models import from_folder
from lagotto.evaluation.probing.scores import (
    PartialResponses,
    PartScorer,
    join_evidence,
    scores_on_the_same_probes,
)
from lagotto.hub.query.probe_weights import ProbeSpace
from share_world import CONCEPTS, PROBES, embeddings, related, unrelated


def embed(names: list[str]) -> np.ndarray:
    """A concept's own axis."""
    return np.eye(CONCEPTS, dtype=np.float32)[[int(name.split()[-1]) for name in names]]


SPACE = ProbeSpace(embeddings(), np.eye(CONCEPTS, dtype=np.float32), 20.0)


def queries(models: tuple) -> ProbingQueries:
    return label_queries(models, SPACE, embed)


@pytest.mark.thorough
def test_related_models_are_completed_and_found() -> None:
    models = related(noise=0.6)
    curve = probing_curve(models, queries(models), [12, 40], 2)
    few, more = curve.rows
    assert set(few.accuracies) == set(METHODS)
    assert few.accuracies["guarded"].top1 >= few.accuracies["fixed"].top1
    assert more.completed_models > 0.9
    assert more.accuracies["guarded"].top1 >= more.accuracies["fixed"].top1 - 0.01
    assert curve.all_probes["default"].top1 > 0.9
    json = curve.as_json()
    assert set(json["rows"][0]) == {"probes", *METHODS, "guard"}
    low, high = json["rows"][0]["guarded"]["top1_range"]
    assert low <= json["rows"][0]["guarded"]["top1"] <= high


def test_unrelated_models_are_searched_on_what_they_saw() -> None:
    models = unrelated()
    asked = ProbingQueries(SPACE, np.eye(CONCEPTS, dtype=np.float32)[:6], (frozenset({0}),) * 6)
    row = probing_curve(models, asked, [40], 1).rows[0]
    assert row.completed_models == 0.0
    assert row.accuracies["guarded"] == row.accuracies["seen"]


@pytest.mark.thorough
def test_the_same_seeds_give_the_same_curve() -> None:
    models = related(8)
    curves = [probing_curve(models, queries(models), [20], 2).as_json() for _ in range(2)]
    assert curves[0] == curves[1]


def test_parts_that_are_everything_score_as_the_default_rule_does() -> None:
    models = related(6)
    concepts = np.eye(CONCEPTS, dtype=np.float32)
    whole = scores_on_the_same_probes("default", SPACE, concepts, [m.values for m in models])
    scorer = PartScorer(SPACE, concepts)
    everything = np.arange(PROBES)
    parts = [scorer.evidence(PartialResponses(everything, model.values)) for model in models]
    np.testing.assert_allclose(join_evidence(parts, [True] * 6), whole, rtol=1e-3, atol=1e-3)
    mixed = join_evidence(parts, [True, False] * 3)
    assert np.corrcoef(mixed.ravel(), whole.ravel())[0, 1] > 0.9


def test_flawed_logits_have_no_score() -> None:
    values = related(1)[0].values.copy()
    values[:, 1] = 3
    concepts = np.eye(CONCEPTS, dtype=np.float32)
    for rule in ("default", "paper"):
        scores = scores_on_the_same_probes(rule, SPACE, concepts, [values])
        assert np.isneginf(scores[:, 1]).all()
        assert np.isfinite(np.delete(scores, 1, axis=1)).all()
    part = PartScorer(SPACE, concepts).evidence(PartialResponses(np.arange(PROBES), values))
    assert np.isneginf(join_evidence([part], [True])[:, 1]).all()


@pytest.mark.parametrize(("highest", "top"), [(0.02, 0.1), (0.2, 0.242), (0.97, 1.0)])
def test_the_axis_of_a_curve_ends_a_little_above_it(
    highest: float, top: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    from lagotto.evaluation.probing.matplotlib_curve import write_curve

    ends: list[float] = []
    plain = Axes.set_ylim

    def noted(axes: Axes, *limits: Any, **how: Any) -> Any:
        if "auto" not in how:  # matplotlib itself sets limits so
            ends.append(limits[1])
        return plain(axes, *limits, **how)

    monkeypatch.setattr(Axes, "set_ylim", noted)
    found = BudgetAccuracy(highest, highest, (highest, 1.1 * highest), (highest, highest))
    row = BudgetRow(20, dict.fromkeys(METHODS, found), 0.0, 0.0, 1.0, 0.0)
    write_curve(tmp_path / "curve.png", ProbingCurve((row,), {"default": found}, 1, 9))
    assert ends == [pytest.approx(top)]


@pytest.mark.parametrize(("counts", "seeds"), [([1], 1), ([PROBES], 1), ([20], 0)])
def test_refusals(counts: list[int], seeds: int) -> None:
    models = related(3)
    with pytest.raises(UsageError, match="give"):
        probing_curve(models, queries(models), counts, seeds)


@pytest.mark.real
def test_a_twentieth_of_the_probes_on_the_mini_hub(assets: Path) -> None:
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    data = from_folder(assets / "inet-mini-hub", encoder)
    row = probing_curve(data.models, data.queries, [120], 1).rows[0]
    assert row.accuracies["guarded"].top1 >= 0.5
    assert row.accuracies["guarded"].top1 > row.accuracies["fixed"].top1 + 0.2

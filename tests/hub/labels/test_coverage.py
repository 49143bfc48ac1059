"""Label sets: the model that knows all of them comes first, each label with its own output."""

import numpy as np
import pytest

from colour_world import MODELS, World
from lagotto.core.errors import UsageError
from lagotto.hub.hub import Hub
from lagotto.hub.labels import coverage
from lagotto.hub.labels.coverage import cover_labels
from lagotto.hub.labels.fit import TextEvidence


@pytest.mark.parametrize("name", ["plain", "channels_last", "softmaxed"])
def test_the_model_of_these_colours_comes_first(world: World, name: str) -> None:
    wanted = sorted(MODELS[name].colours)
    best = cover_labels(Hub.open(world.hub).reader, wanted)[0]
    assert best.model == name
    assert [each.label for each in best.labels] == wanted
    assert [each.published for each in best.labels] == wanted
    assert best.spare == 0


def test_outputs_are_distinct_and_missing_ones_are_said(world: World) -> None:
    found = cover_labels(Hub.open(world.hub).reader, ["red", "green", "blue", "white"], top=100)
    assert len(found) == len(MODELS)
    assert [each.rank for each in found] == list(range(1, len(MODELS) + 1))
    for each in found:
        used = [label.logit for label in each.labels if label.logit is not None]
        assert len(set(used)) == len(used) == min(4, len(MODELS[each.model].colours))
        assert each.weakest == min(each.labels, key=lambda label: label.fit).label
        assert 0 <= each.label_coverage <= 1
    order = [(each.label_coverage, each.mean_margin) for each in found]
    assert order == sorted(order, reverse=True)


def test_a_model_of_more_outputs_needs_a_better_fit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.5 for every output: above sqrt(2 ln n) for two and three outputs, below it for four."""

    def same(names: TextEvidence, standardized: np.ndarray, around: object) -> np.ndarray:
        return np.full((len(names.zscores), standardized.shape[1]), 1.5, np.float32)

    monkeypatch.setattr(coverage, "fit", same)
    found = cover_labels(Hub.open(world.hub).reader, ["red"], top=100)
    for each in found:
        outputs = each.spare + 1
        assert each.mean_fit == 1.5
        assert each.mean_margin == pytest.approx(1.5 - np.sqrt(2 * np.log(outputs)))
        assert each.label_coverage == (outputs < 4)
    assert [each.spare for each in found] == sorted(each.spare for each in found)
    assert {each.spare for each in found} == {1, 2, 3}


def test_candidates_of_a_large_hub_hold_the_best(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub.open(world.hub)
    monkeypatch.setattr(coverage, "_CANDIDATES", 3)
    found = cover_labels(hub.reader, ["yellow", "black", "red", "cyan"], top=100)
    assert len(found) == 3
    assert found[0].model == "channels_last"


def test_what_is_no_label_set_is_refused(world: World) -> None:
    hub = Hub.open(world.hub)
    for labels in (["red", " "], ["red", "red"]):
        with pytest.raises(UsageError, match="each once"):
            hub.cover(labels)
    with pytest.raises(UsageError, match="no labels given"):
        hub.cover([])
    with pytest.raises(UsageError, match="top 0"):
        hub.cover(["red"], top=0)

"""Duplicates: a model in other clothes is folded, one of the same colours is family at most."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colour_world import MODELS, World, write_classifier
from lagotto.hub.hub import Hub
from lagotto.hub.labels.duplicates import find_duplicates, matched_correlation


@pytest.fixture
def hub(hub_copy: Path, tmp_path: Path) -> Hub:
    """The hub of colours with `plain` once more: other order, scale and layout."""
    again = replace(
        MODELS["plain"], colours=("blue", "red", "green"), layout="NHWC", scale="0..255", seed=99
    )
    write_classifier(tmp_path / "again", again)
    found = Hub.open(hub_copy)
    found.add([tmp_path / "again"])
    return found


def test_a_model_in_other_clothes_is_folded(hub: Hub) -> None:
    found = find_duplicates(hub.reader)
    assert found.duplicate_groups == (("plain", "again"),)
    pair = found.pairs[0]
    assert {pair.first, pair.second} == {"plain", "again"}
    assert pair.correlation > 0.95
    assert not pair.same_order
    assert found.as_json()["twins"] == [["plain", "again"]]


def test_no_false_twins(world: World) -> None:
    assert find_duplicates(Hub.open(world.hub).reader).duplicate_groups == ()


def test_an_empty_hub_has_no_kin(empty_copy: Path) -> None:
    found = find_duplicates(Hub.open(empty_copy).reader)
    assert (found.duplicate_groups, found.related_groups, found.pairs) == ((), (), ())


def test_pairs_are_one_to_one_and_missing_partners_count() -> None:
    values = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    values = (values - values.mean(0)) / values.std(0)
    order = [3, 1, 0, 2, 5, 4]
    found = matched_correlation(values, values[:, order])
    assert found is not None
    mean, matched, partner = found
    assert mean == pytest.approx(1.0, abs=1e-4)
    assert len(matched) == 6
    assert [order[place] for place in partner] == list(range(6))
    half = matched_correlation(values, values[:, :3])
    assert half is not None
    assert half[0] == pytest.approx(0.5, abs=1e-4)
    twice = matched_correlation(values[:, [0, 0, 1]], values[:, :3])
    assert twice is not None
    assert sorted(twice[2].tolist()) == [0, 1, 2]
    assert matched_correlation(values, values[:, :3], least=0.6) is None

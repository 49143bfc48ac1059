"""Strips: what an output answers to, read from the blocks or from its responses."""

import shutil
from pathlib import Path

import numpy as np

from colour_world import World
from lagotto.hub.hub import Hub
from lagotto.web.views.strips import STRIP, highest_probes, output_values, strip_tiles


def test_values_are_those_of_the_descriptors(world: World, hub_copy: Path) -> None:
    hub = Hub.open(hub_copy)
    outputs = [(model, logit) for model in hub.models for logit in range(len(hub.labels(model)))]

    for pair, values in zip(outputs, output_values(hub.reader, outputs), strict=True):
        exact = hub.reader.descriptor(*pair)
        np.testing.assert_allclose(values, exact, atol=np.abs(exact).max() / 127)


def test_an_output_that_saw_some_probes_shows_none_of_the_others(
    world: World, tmp_path: Path
) -> None:
    hub = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))
    hub.add(world.models, probes_per_model=20)
    assert hub.reader.logit_index().partial_models
    outputs = [("plain", 0), ("symmetric", 1)]

    for (model, _), values in zip(outputs, output_values(hub.reader, outputs), strict=True):
        seen = hub.reader.seen_probes(model)
        assert np.flatnonzero(np.isfinite(values)).tolist() == seen.tolist()
        tiles = strip_tiles(hub.reader, values, deciding=[int(seen[0])], count=len(hub.probes))
        assert len(tiles) == len(seen)
        assert [tile.probe for tile in tiles if tile.decided] == [int(seen[0])]


def test_the_highest_come_first_and_unseen_ones_never() -> None:
    values = np.array([1.0, np.nan, 3.0, 2.0, 3.0], np.float32)

    assert highest_probes(values) == [2, 4, 3, 0]
    assert highest_probes(values, 2) == [2, 4]
    assert highest_probes(np.full(20, 1.0, np.float32)) == list(range(STRIP))

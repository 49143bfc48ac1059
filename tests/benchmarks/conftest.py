"""The world of colours for tests of benchmarks, its hub, and all its logits as a table."""

import pytest

from colour_world import World, shared_world
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.hub.hub import Hub


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; its hub is for reading."""
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="session")
def hub(world: World) -> Hub:
    """The hub of all models of that world."""
    return Hub.open(world.hub)


@pytest.fixture(scope="session")
def colours(hub: Hub) -> LogitTable:
    """All its logits."""
    return hub_table(hub)

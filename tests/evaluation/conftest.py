"""The world of colours for evaluation tests."""

import pytest

from colour_world import World, shared_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; its hub is for reading."""
    return shared_world(tmp_path_factory)

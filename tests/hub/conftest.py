"""The world of colours for hub tests."""

import shutil
from pathlib import Path

import pytest

from colour_world import World, shared_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; its hub is for reading."""
    return shared_world(tmp_path_factory)


@pytest.fixture
def hub_copy(world: World, tmp_path: Path) -> Path:
    """A hub with all models, to be changed."""
    return shutil.copytree(world.hub, tmp_path / "hub")


@pytest.fixture
def empty_copy(world: World, tmp_path: Path) -> Path:
    """A hub without models, to be filled."""
    return shutil.copytree(world.empty_hub, tmp_path / "empty-hub")

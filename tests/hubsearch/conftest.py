"""The world of colours for hub tests, and its makers importable in this folder."""

import shutil
import sys
from pathlib import Path

import pytest

from colour_world import World, shared_world

sys.path.insert(0, str(Path(__file__).parent))


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

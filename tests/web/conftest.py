"""The world of colours, served."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from colour_world import World, shared_world
from web_server import Served, served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server that is shared by tests decodes pictures in workers, whichever test asks first."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.workers)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Built once; its hub is for reading."""
    return shared_world(tmp_path_factory)


@pytest.fixture
def hub_copy(world: World, tmp_path: Path) -> Path:
    """A hub with all models, to be changed."""
    return shutil.copytree(world.hub, tmp_path / "hub")


@pytest.fixture(scope="session")
def site(world: World) -> Iterator[Served]:
    """The hub with all models, served to a client of the same origin."""
    with served(world.hub) as site:
        yield site

"""The world of colours, served as pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from colour_world import Classifier, World, write_classifier
from lagotto.hub.hub import Hub
from web_server import Served, served

MARKUP = '<script>alert("x")</script>'
HOSTILE = "a&b<i>'c"


@pytest.fixture(scope="session")
def site(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The world's hub; pages may add a map to it, so it is a copy."""
    hub = shutil.copytree(world.hub, tmp_path_factory.mktemp("served") / "hub")
    with served(hub) as running:
        yield running


@pytest.fixture(scope="session")
def hostile_site(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same hub with a model whose name and labels are markup."""
    folder = tmp_path_factory.mktemp("hostile")
    hub = shutil.copytree(world.hub, folder / "hub")
    names = (MARKUP, '"><img src=x onerror=alert(1)>', "{{ 7*7 }}")
    model = Classifier(("red", "green", "blue"), seed=11, names=names)
    write_classifier(folder / HOSTILE, model)
    Hub.open(hub).add(folder / HOSTILE)
    with served(hub) as running:
        yield running


@pytest.fixture
def picture(world: World) -> Path:
    """A red picture."""
    return world.pictures / "003_red.png"

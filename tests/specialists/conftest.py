"""A hub of classifiers of colours that were trained, as those of strangers are."""

from pathlib import Path

import pytest

from colour_world import NAMES, World, build_trained_hub, picture, shared_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="session")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub, for reading; its models lie in the folder `models` beside it."""
    return build_trained_hub(world, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty pictures of all colours in turn, named for them."""
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for number in range(40):
        colour = NAMES[number % len(NAMES)]
        files.append(folder / f"{number:02d}_{colour}.png")
        picture(colour, 9000 + number).save(files[-1])
    return files

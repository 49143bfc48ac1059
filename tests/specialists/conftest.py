"""A hub of classifiers of colours that were trained, as those of strangers are."""

import shutil
from pathlib import Path

import pytest

from colour_world import (
    NAMES,
    Classifier,
    World,
    picture,
    shared_world,
    write_classifier,
)
from lagotto.hubsearch.pipeline import Hub

TRAINED = {
    "all_eight": Classifier(NAMES[::-1], trained=True),
    "all_nameless": Classifier(
        (*NAMES[3:], *NAMES[:3]), trained=True, labelled=False, softmax=True, edge=12
    ),
    "three": Classifier(("red", "green", "blue"), trained=True, channels="BGR"),
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="session")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub, for reading; its models lie in the folder `models` beside it."""
    folder = tmp_path_factory.mktemp("trained")
    for name, model in TRAINED.items():
        write_classifier(folder / "models" / name, model)
    shutil.copytree(world.empty_hub, folder / "hub")
    Hub.open(folder / "hub").add([folder / "models"])
    return folder / "hub"


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

"""The Python client asks a server what a hub would be asked, and gets the same results."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lagotto
from colour_world import World
from lagotto import Client, Hub, ImageQuery, LogitQuery, SourceError, TextQuery, UsageError
from lagotto.specialists.classifier import Classifier
from lagotto.web.options import ServerOptions
from web_server import running

TOKEN = "a-token-of-twenty-letters"


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    with running(world.hub, ServerOptions(token=TOKEN)) as (address, _):
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(f"{address}/?token={TOKEN}")


def test_the_results_are_those_of_the_hub(client: Client, world: World) -> None:
    hub = Hub.open(world.hub)
    picture = sorted(world.pictures.glob("*green*"))[0]
    model = hub.models[0]
    for query in (
        "red",
        TextQuery("blue"),
        LogitQuery(model, 0),
        TextQuery("green", None, picture),
    ):
        assert client.search(query, top=3, by_model=True) == hub.search(query, top=3, by_model=True)
    by_picture = client.search(ImageQuery(picture), top=2)
    assert by_picture.hits == hub.search(picture, top=2).hits
    assert client.models == hub.models
    assert client.labels(model) == hub.labels(model)
    assert client.status()["done"] == len(hub)
    assert client.describe(model, top=2).as_json() == hub.describe(model, top=2).as_json()
    assert client.audit(model)[0].as_json() == hub.audit(model).as_json()
    assert client.duplicates().as_json() == hub.duplicates().as_json()
    ours, theirs = client.cover(["red", "blue"], top=2), hub.cover(["red", "blue"], top=2)
    assert [item.as_json() for item in ours] == [item.as_json() for item in theirs]


def test_predictions_are_those_of_the_classifier(client: Client, world: World) -> None:
    files = sorted(world.pictures.glob("*red*"))[:2]
    here = list(Classifier(None, ["red", "blue"], hub=world.hub, voices=["image"]).predict(files))
    there = client.classify(files, "red, blue", voices=["image"])
    assert [row.path for row in there if isinstance(row, lagotto.Prediction)] == [
        file.name for file in files
    ]
    for one, other in zip(here, there, strict=True):
        assert isinstance(one, lagotto.Prediction)
        assert isinstance(other, lagotto.Prediction)
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-5)
        assert one.label == other.label


def test_many_pictures_become_a_job_that_is_waited_for(
    client: Client, world: World, tmp_path: Path
) -> None:
    source = sorted(world.pictures.glob("*red*"))[0]
    files = [shutil.copy(source, tmp_path / f"{number} é.png") for number in range(9)]
    rows = client.classify(files, ["red", "blue"], voices=["image"])
    assert len(rows) == 9
    assert all(isinstance(row, lagotto.Prediction) and row.label == "red" for row in rows)


def test_mistakes_are_errors_in_one_line(client: Client, address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="k = 9999"):
        client.search("red", k=9999)
    with pytest.raises(UsageError, match="has no model 'nothing'"):
        client.describe("nothing")
    with pytest.raises(UsageError, match="token"):
        Client(address).search("red")
    with pytest.raises(UsageError, match=r"picture .*: no such file"):
        client.search(tmp_path / "none.png")
    with pytest.raises(UsageError, match="no address of a server"):
        Client("127.0.0.1:8765")
    with pytest.raises(SourceError, match="lagotto serve HUB"):
        Client("http://127.0.0.1:9").search("red")
    with pytest.raises(UsageError, match="takes no template"):
        client.search(TextQuery("red", "a {}"))

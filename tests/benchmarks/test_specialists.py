"""The scenarios of the benchmark of specialists, on a hub whose right answers are planted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from colour_world import NAMES, World, build_trained_hub, picture
from lagotto.hub.hub import Hub
from quality.specialist_data import SetQuery, read_set
from quality.specialist_hubs import Scenario, ScenarioHubs, draw_decoys
from quality.specialists import Known, Results, SetModels, measure

PICTURES = 40
MODELS = SetModels(good=("all_eight", "all_nameless"), teacher="all_eight")


@pytest.fixture(scope="module")
def assets(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a hub, the files of its models, and a labelled set of forty pictures."""
    folder = tmp_path_factory.mktemp("assets")
    made = build_trained_hub(world, folder / "made")
    shutil.copytree(made.parent / "models", folder / "hub")
    photos = folder / "photos" / "colours"
    photos.mkdir(parents=True)
    rows = []
    for number in range(PICTURES):
        colour = NAMES[number % len(NAMES)]
        picture(colour, 9000 + number).save(photos / f"{number}.png")
        rows.append({"image": f"{number}.png", "label": colour})
    (photos / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def hub(assets: Path) -> Hub:
    return Hub.open(assets / "made" / "hub")


@pytest.fixture(scope="module")
def query(assets: Path, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> SetQuery:
    data = read_set("colours", assets, tmp_path_factory.mktemp("cache"), hub)
    return SetQuery.of(data, hub.encoder, 3)


def test_every_scenario_is_asked_of_a_real_hub(hub: Hub, query: SetQuery, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    measure(hub, {"colours": (query, MODELS)}, Results.open(file, {}), seeds=(0,))
    found = json.loads(file.read_text())["sets"]["colours"]
    rows = found["rows"]
    assert all(row["acc1"] == 1.0 for row in rows.values())  # the encoder knows all colours
    assert len(rows["with names"]["models"]) == 1  # the two good ones behave alike
    assert set(rows["with names"]["models"]) <= {"all_eight", "all_nameless"}
    assert "all_eight" not in rows["specialists removed, with names"]["models"]
    through = rows["a reference teaches, through its labels"]
    assert through["models"] == ["all_nameless"]
    assert through["named"] == [len(NAMES)]
    assert rows["a reference teaches, behaviour only"]["named"] == [0]
    assert found["stability"]["with names"]["worst"] == 1.0
    before = file.read_text()
    measure(hub, {"colours": (query, MODELS)}, Results.open(file, {}), seeds=(0,))
    assert json.loads(file.read_text())["sets"] == json.loads(before)["sets"]


def test_decoys_are_models_that_answer_as_said(hub: Hub, tmp_path: Path) -> None:
    decoys = draw_decoys(Known.of(hub).responses, seed=0)
    hubs = ScenarioHubs(hub.folder, hub.reader.encoder, tmp_path)
    made = hubs.make(Scenario(decoys=decoys))
    assert set(made.models) == {*hub.models, *(decoy.name for decoy in decoys)}
    for decoy in decoys:
        expected = decoy.change(hub.responses(decoy.model).astype(np.float64))
        np.testing.assert_allclose(made.responses(decoy.name), expected, rtol=1e-5, atol=1e-5)
        assert not any(made.labels(decoy.name))
    assert not made.verify()
    hubs.drop(made)
    assert not list(tmp_path.iterdir())

"""A detector among classifiers: found by text, told as one, and asked by the classifier."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from colour_world import NAMES, World, picture, shared_world, write_classifier
from colour_world import Classifier as ColourModel
from detector_makers import write_detector
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.zeroshot.types import Prediction

DETECTED = ("cyan", "red")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


@pytest.fixture(scope="module")
def hub(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers that do not know cyan, a detector that does, and a segmenter of the rest."""
    folder = tmp_path_factory.mktemp("detectors")
    models = folder / "models"
    write_classifier(models / "three", ColourModel(("red", "green", "blue"), seed=1))
    write_classifier(models / "two", ColourModel(("yellow", "black"), seed=2))
    write_detector(models / "boxes", "yolo5", DETECTED)
    write_detector(models / "plain", "segmenter", ("magenta", "white", "black"))
    write_detector(models / "all", "yolo8", NAMES)
    write_detector(models / "best", "yolo8", NAMES, task="pose", stride="32", names="a,b")
    shutil.copytree(world.empty_hub, folder / "hub")
    added = Hub.open(folder / "hub").add([models])
    assert [failed.model for failed in added.failures] == ["best"]
    return folder / "hub"


def test_a_detector_is_found_by_text(hub: Path) -> None:
    with Hub.open(hub) as opened:
        hits = opened.search("cyan", behaviour_only=True)
        assert {hits[0].model, hits[1].model} == {"boxes", "all"}
        assert {hits[0].label, hits[1].label} == {"cyan"}
        first = opened.search("magenta", behaviour_only=True)[0]
        assert (first.model, first.label) in {("plain", "magenta"), ("all", "magenta")}


def test_its_record_says_what_it_is(hub: Path) -> None:
    with Hub.open(hub) as opened:
        records = {record.name: record for record in opened.reader.records()}
        kinds = {name: record.kind for name, record in records.items()}
        assert kinds == {
            "three": "classifier",
            "two": "classifier",
            "boxes": "detector",
            "all": "detector",
            "plain": "segmenter",
        }
        assert "kind" not in records["three"].input
        (note,) = [note for note in records["boxes"].notes if "one value a class" in note]
        assert note.startswith("a detector: one value a class, the highest of 63 boxes")


def test_a_detector_is_a_specialist(world: World, hub: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = []
    for number in range(32):
        name = NAMES[number % len(NAMES)]
        files.append(tmp_path / f"{number:02d}_{name}.png")
        picture(name, int(rng.integers(10_000))).save(files[-1])
    voice = HubVoice(hub, max_models=2, limits=Limits(workers=1))
    made = Classifier(str(world.encoder), NAMES, hub=voice)
    rows = list(made.predict(files))
    assert "all" in {item.model for item in made.specialists}
    for row, file in zip(rows, files, strict=True):
        assert isinstance(row, Prediction)
        assert file.stem.endswith(NAMES[row.probabilities.argmax()])

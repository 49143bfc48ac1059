"""Bare model files in a hub: fed as they were trained, with the reason in the catalogue."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from centered_models import Truth, photos, write_onnx
from colour_world import World
from lagotto.core.errors import ModelError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import ModelSource
from lagotto.demo import bundled
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.input_record import (
    apply_record,
    decisions_from_json,
    infer_input,
)
from lagotto.hub.query.types import LogitQuery
from lagotto.jobs.worker_limits import Limits
from lagotto.models.classifier import ModelClassifier
from lagotto.models.metadata.input_spec import scale_text
from lagotto.models.metadata.scan import scan_models
from lagotto.models.preprocessing.infer import TRIAL_PICTURES, infer_preprocessing
from lagotto.models.registry import load_model

ONE = Limits(workers=1)
TRUTHS = {
    "opencv": Truth("0..255", channels="BGR"),
    "keras": Truth("-1..1", layout="NHWC"),
}


@pytest.fixture(scope="module")
def place(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bare models, and a hub on warm pictures that holds them."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "pictures").mkdir()
    for number, pixels in enumerate(photos(40, seed=21)):
        Image.fromarray(pixels).save(folder / "pictures" / f"{number:02}.png")
    for name, truth in TRUTHS.items():
        write_onnx(truth, folder / "models" / name)
    hub = Hub.create(folder / "hub", folder / "pictures", str(world.encoder))
    report = hub.add([folder / "models"], limits=ONE)
    assert sorted(report.done) == sorted(TRUTHS)
    return folder


@pytest.mark.parametrize("name", sorted(TRUTHS))
def test_responses_are_those_of_the_described_model(name: str, place: Path) -> None:
    truth = TRUTHS[name]
    hub = Hub.open(place / "hub")
    (source,) = scan_models([place / "models" / name])
    source.description["input"] = {"channels": truth.channels, "scale": truth.scale}
    pixels = np.stack([np.asarray(Image.open(f)) for f in sorted((place / "pictures").iterdir())])
    order = [int(Path(probe.source).stem) for probe in hub.probes]
    assert np.array_equal(hub.responses(name), load_model(source).logits(pixels[order]))


def test_status_tells_where_everything_is_from(place: Path) -> None:
    (keras, opencv) = sorted(Hub.open(place / "hub").status().models, key=lambda each: each.name)
    said = {each.field: (each.value, each.origin) for each in opencv.input}
    assert said == {
        "size": ("8x8", "file"),
        "layout": ("NCHW", "file"),
        "channels": ("BGR", "inferred"),
        "scale": ("0..255", "inferred"),
        "resize": ("crop", "assumed"),
    }
    assert any(note.startswith("scale inferred: -1..1 (+") for note in keras.notes)
    margins = [each.margin for each in keras.input if each.field == "scale"]
    assert margins[0] is not None
    assert margins[0] > 0.2


def test_an_altered_decision_is_found_by_verify(place: Path, tmp_path: Path) -> None:
    hub = Hub.open(shutil.copytree(place / "hub", tmp_path / "hub"))
    assert hub.verify() == ()
    with sqlite3.connect(tmp_path / "hub" / "catalogue.sqlite") as connection:
        connection.execute("UPDATE models SET input = replace(input, 'inferred', 'model.json')")
    connection.close()
    assert "altered" in hub.verify()[0].reason


def test_inspect_tells_the_same_and_writes_nothing(place: Path) -> None:
    hub = Hub.open(place / "hub")
    before = {f: f.stat().st_mtime_ns for f in (place / "hub").rglob("*")}
    found = hub.inspect([place / "models"], limits=ONE)
    assert {f: f.stat().st_mtime_ns for f in (place / "hub").rglob("*")} == before
    assert [each.model for each in found] == ["keras", "opencv"]
    recorded = {each.name: each.input for each in hub.status().models}
    assert {each.model: each.input for each in found} == recorded
    assert [(each.outputs, each.output, each.failure) for each in found] == [(6, "logits", "")] * 2


def test_what_cannot_be_loaded_is_inspected_as_a_failure(place: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("no model")
    (found,) = Hub.open(place / "hub").inspect([tmp_path], limits=ONE)
    assert "not an ONNX file" in found.failure
    assert (found.outputs, found.input) == (0, ())


def test_a_bare_model_from_outside_is_fed_as_those_inside(place: Path) -> None:
    hub = Hub.open(place / "hub")
    file = place / "models" / "keras" / "model.onnx"
    (first, *_) = hub.search(LogitQuery(str(file), 2), k=40, top=1).hits
    assert (first.model, first.logit) == ("keras", 2)
    assert first.distance == pytest.approx(0, abs=1e-3)


def test_a_complete_model_costs_nothing(place: Path) -> None:
    (source,) = scan_models([bundled.MODELS / "exp_final_v3"])
    model = load_model(source)
    assert infer_input(model, Path("there is no such probe set")) is model


@pytest.mark.parametrize("name", ["exp_final_v3", "export_fixed", "no_aug_run"])
def test_models_of_the_demo_world_are_fed_as_they_were_trained(name: str, tmp_path: Path) -> None:
    """0..255, BGR in -1..1, and ImageNet statistics; of those that the rule was chosen on."""
    (source,) = scan_models([bundled.MODELS / name])
    truth = load_model(source).spec.input
    rows = parquet.read_table(bundled.PROBES, columns=["image"])["image"].to_pylist()
    chosen = [
        decode_picture(rows[place * len(rows) // TRIAL_PICTURES]) for place in range(TRIAL_PICTURES)
    ]
    model = load_model(ModelSource(name, source.file))
    assert isinstance(model, ModelClassifier)
    settled = infer_preprocessing(
        model, lambda spec: np.stack([to_pixels(picture, spec) for picture in chosen])
    )
    found = settled.spec.input
    assert (found.channels, scale_text(found)) == (truth.channels, scale_text(truth))


@pytest.mark.parametrize(
    "value",
    [None, {}, {"input": {}, "notes": []}, {"input": {"decisions": [{"field": "x"}]}, "notes": []}],
)
def test_a_record_that_makes_no_sense_is_that_models_failure(value: object, place: Path) -> None:
    (source,) = scan_models([place / "models" / "keras"])
    with pytest.raises(ModelError):
        apply_record(load_model(source), value)  # type: ignore[arg-type]


def test_records_of_before_have_no_decisions() -> None:
    assert decisions_from_json({"scale": "0..1"}) == ()


@pytest.mark.real
def test_published_files_are_fed_as_their_authors_say(assets: Path, tmp_path: Path) -> None:
    """One that centring settles, one by what its file says, one that keeps the custom."""
    names = ("mlperf-cifar10-resnet8", "coral-mobilenet-v1-025-128", "mlperf-vww-mnv1-025-96")
    photos_file = assets / "photos" / "coco" / "captions.jsonl"
    encoder = str(assets / "encoder" / "photo-lit")
    hub = Hub.create(tmp_path / "hub", photos_file, encoder, max_probes=40)
    for name in names:
        (tmp_path / "models" / name).mkdir(parents=True)
        shutil.copyfile(
            assets / "hub" / name / "model.tflite", tmp_path / "models" / name / "model.tflite"
        )
    found = {each.model: each for each in hub.inspect([tmp_path / "models"], limits=ONE)}
    for source in scan_models([assets / "hub" / name for name in names]):
        truth = load_model(source).spec.input
        said = {each.field: each.value for each in found[source.name].input}
        assert (said["scale"], said["channels"]) == (truth.scale, truth.channels)
    assert found["coral-mobilenet-v1-025-128"].labels == 1001

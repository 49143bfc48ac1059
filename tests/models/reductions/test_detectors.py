"""Detectors and segmenters in every published form: one value a class, the highest of all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from detector_makers import (
    CELLS,
    EDGE,
    FORMS,
    SAID,
    Graph,
    detector_bytes,
    end_to_end,
    expected_logits,
    kept,
    kept_logits,
    segmenter,
    selected_by_topk,
    yolo5,
    yolo8,
)
from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.classifier import ModelClassifier
from lagotto.models.registry import load_model

COLOURS = ("red", "blue", "yellow")
PIXELS = np.random.default_rng(3).integers(0, 256, (3, EDGE, EDGE, 3), dtype=np.uint8)
CUT = {
    "yolo8",
    "yolo8_rows",
    "yolo8_with_masks",
    "nanodet",
    "ssd",
    "retina",
    "segmenter_last",
    "selected",
}
LOGITS = {"detr", "segmenter", "winners"}


def load(
    folder: Path,
    form: Callable[[Graph], None],
    labels: Any = COLOURS,
    properties: dict[str, str] | None = None,
    **said: Any,
) -> Any:
    (folder / "m.onnx").write_bytes(detector_bytes(form, COLOURS, **(properties or {})))
    described = {"input": SAID, "labels": list(labels), **said}
    if not labels:
        del described["labels"]
    return load_model(ModelSource("m", folder / "m.onnx", described))


@pytest.mark.parametrize("form", FORMS)
def test_the_highest_logit_of_each_class_is_read(form: str, tmp_path: Path) -> None:
    model = load(tmp_path, FORMS[form])
    assert model.spec.labels == COLOURS
    assert np.abs(model.logits(PIXELS) - expected_logits(form, PIXELS, COLOURS)).max() < 1e-3
    is_map = form in ("segmenter", "segmenter_last", "winners")
    assert model.spec.kind == ("segmenter" if is_map else "detector")
    source = "cut" if form in CUT else "declared" if form in LOGITS else "log"
    assert model.spec.logits_source == source
    count = (
        {"segmenter_last": 64}.get(form, 16)
        if is_map
        else CELLS * (3 if form.startswith("yolo5") else 1)
    )
    word = "pixels" if is_map else "boxes"
    assert any(
        f"one value a class, the highest of {count} {word}" in note for note in model.spec.notes
    )


def test_a_thing_in_a_corner_is_found(tmp_path: Path) -> None:
    model = load(tmp_path, FORMS["yolo8"])
    grey = np.full((2, EDGE, EDGE, 3), 128, np.uint8)
    grey[1, -8:, -8:] = (255, 0, 0)
    without, there = model.logits(grey)
    assert there[0] == pytest.approx(2, abs=1e-4)
    assert there[0] - without[0] > 5
    assert there[1:] == pytest.approx(without[1:], abs=1)


def test_whole_pictures_are_seen(tmp_path: Path) -> None:
    model = load(tmp_path, FORMS["yolo8"])
    assert model.spec.input.pixels.resize == "stretch"
    said = {"input": {**SAID, "resize": "crop"}}
    assert load(tmp_path, FORMS["yolo8"], **said).spec.input.pixels.resize == "crop"


@pytest.mark.parametrize("form", ["yolo8", "yolo5"])
def test_without_labels_the_number_of_boxes_tells(form: str, tmp_path: Path) -> None:
    model = load(tmp_path, FORMS[form], ())
    assert (model.spec.outputs, model.spec.labels, model.spec.kind) == (3, None, "detector")
    assert np.abs(model.logits(PIXELS) - expected_logits(form, PIXELS, COLOURS)).max() < 1e-3


@pytest.mark.parametrize("form", ["detr", "ssd"])
def test_a_class_more_than_labels_is_the_background(form: str, tmp_path: Path) -> None:
    where = "last" if form == "detr" else "first"
    (note,) = [n for n in load(tmp_path, FORMS[form]).spec.notes if "left out" in n]
    assert note.startswith(f"the {where} of 4 classes is left out: there are 3 labels")
    whole = ("x", *COLOURS) if form == "ssd" else (*COLOURS, "x")
    model = load(tmp_path, FORMS[form], whole)
    assert model.spec.labels == whole
    unlabelled = load(tmp_path, FORMS[form], ())
    assert unlabelled.spec.outputs == 4


def test_metadata_of_ultralytics_is_read(tmp_path: Path) -> None:
    properties = {"names": "{0: 'red', 1: 'blue', 2: 'yellow'}", "stride": "32", "task": "detect"}
    model = load(tmp_path, FORMS["yolo8"], (), properties, input={})
    assert model.spec.labels == COLOURS
    origins = {item.field: (item.value, item.origin) for item in model.spec.decisions}
    assert origins["scale"] == ("0..1", "file")
    assert origins["channels"] == ("RGB", "file")


@pytest.mark.parametrize("task", ["pose", "obb"])
def test_other_tasks_are_refused_by_name(task: str, tmp_path: Path) -> None:
    properties = {"names": "{0: 'red', 1: 'blue', 2: 'yellow'}", "stride": "32", "task": task}
    with pytest.raises(ModelError, match=f"its metadata says task '{task}'"):
        load(tmp_path, FORMS["yolo8"], (), properties)


def keypoints(graph: Graph) -> None:
    yolo8(graph, 51)


def oriented(graph: Graph) -> None:
    yolo8(graph, 1)


def depth(graph: Graph) -> None:
    graph.publish("there8", 1, 1, 4, 4)


def features(graph: Graph) -> None:
    graph.publish("both8", 1, 6, 4, 4)


def repainted(graph: Graph) -> None:
    graph.publish(graph.add("Identity", ["picture"], "again"), 1, 3, EDGE, EDGE)


def unclear_background(graph: Graph) -> None:
    graph.constant("nothing", np.full((1, 1, CELLS), -50, np.float32))
    graph.add("Concat", ["logits", "nothing"], "four", axis=1)
    graph.publish(graph.rows("four", "output"), 1, CELLS, 4)


def torchvision(graph: Graph) -> None:
    kept(graph, 1, ("boxes", "scores", "labels"))


def cast_winners(graph: Graph) -> None:
    graph.add("Cast", ["map8"], "whole", to=TensorProto.INT64)
    graph.publish("whole", 1, 3, 4, 4, dtype=TensorProto.INT64)


@pytest.mark.parametrize(
    ("form", "labels", "reason"),
    [
        (end_to_end, COLOURS, "lists the best boxes of a picture"),
        (end_to_end, ("a", "b"), "lists the best boxes of a picture"),
        (end_to_end, ("a",), "lists the best boxes of a picture"),
        (kept, (), "publishes only the boxes that it kept"),
        (torchvision, COLOURS, "counted from 0 or from 1 is unclear"),
        (selected_by_topk, COLOURS, "are the boxes that a detector kept"),
        (keypoints, (), "how many of the"),
        (oriented, ("a", "b"), "which of them is the background is unclear"),
        (depth, (), "it has one number a pixel: a mask of one thing, a depth map"),
        (depth, COLOURS, "it has one number a pixel"),
        (features, (), "it is a map of 4 channels|it is a map of 6 channels"),
        (features, COLOURS, "features, keypoints, or the classes of a segmenter"),
        (repainted, (), "it is a picture, as super-resolution"),
        (segmenter, (), "say its labels in a model.json"),
        (segmenter, ("a", "b", "c", "d", "e"), "say its labels in a model.json"),
        (unclear_background, COLOURS, "which of them is the background is unclear"),
        (cast_winners, COLOURS, "its int64 values are the winning class of each pixel"),
        (lambda graph: yolo5(graph, 1), (), "how many of the"),
    ],
)
def test_what_is_refused_and_why(
    form: Callable[[Graph], None], labels: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=reason):
        load(tmp_path, form, labels)


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        (kept, COLOURS),
        (torchvision, {str(at + 1): name for at, name in enumerate(COLOURS)}),
        (lambda graph: kept(graph, 0), {str(at): name for at, name in enumerate(COLOURS)}),
    ],
)
def test_kept_boxes_tell_of_their_own_classes(
    form: Callable[[Graph], None], labels: Any, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(detector_bytes(form, COLOURS))
    described = {"input": SAID, "labels": list(labels) if form is kept else labels}
    model = load_model(ModelSource("m", tmp_path / "m.onnx", described))
    assert (model.spec.kind, model.spec.labels) == ("detector", COLOURS)
    assert np.abs(model.logits(PIXELS) - kept_logits(PIXELS, COLOURS)).max() < 1e-3
    assert any("a class that none has counts as 0.01" in note for note in model.spec.notes)


def test_kept_boxes_with_a_background_among_the_labels(tmp_path: Path) -> None:
    model = load(tmp_path, torchvision, ("__background__", *COLOURS))
    logits = model.logits(PIXELS)
    assert np.abs(logits[:, 1:] - kept_logits(PIXELS, COLOURS)).max() < 1e-3
    assert logits[:, 0] == pytest.approx(np.log(0.01 / 0.99), abs=1e-3)


def test_a_map_of_many_channels_in_the_size_of_the_pictures_needs_no_labels(tmp_path: Path) -> None:
    def large(graph: Graph) -> None:
        graph.add("Concat", ["map8", "map8"], "six", axis=1)
        graph.constant("eight", np.array([1, 1, EDGE / 4, EDGE / 4], np.float32))
        graph.add("Resize", ["six", "", "eight"], "scores", mode="nearest")
        graph.publish("scores", 1, 6, EDGE, EDGE)

    model = load(tmp_path, large, ())
    assert (model.spec.kind, model.spec.outputs) == ("segmenter", 6)
    assert "taken for a segmenter: its 6 channels have the size of the pictures" in model.spec.notes
    expected = np.tile(expected_logits("segmenter", PIXELS, COLOURS), 2)
    assert np.abs(model.logits(PIXELS) - expected).max() < 1e-3


def test_a_row_of_scores_beside_a_map_stays_a_classifier(tmp_path: Path) -> None:
    def both(graph: Graph) -> None:
        graph.add("ReduceMax", ["logits"], "row", axes=[2], keepdims=0)
        graph.publish("row", 1, 3)
        graph.publish("map8", 1, 3, 4, 4)

    model = load(tmp_path, both)
    assert isinstance(model, ModelClassifier)
    assert model.spec.kind == "classifier"


def test_a_classifier_with_one_box_stays_a_classifier(tmp_path: Path) -> None:
    def located(graph: Graph) -> None:
        graph.add("ReduceMax", ["logits"], "scores", axes=[2], keepdims=0)
        graph.add("Identity", [graph.boxes(1, 4)], "bbox")
        graph.publish("bbox", 1, 4)
        graph.publish("scores", 1, 3)

    assert load(tmp_path, located).spec.kind == "classifier"


def test_a_list_of_labels_beside_two_detectors_is_theirs(tmp_path: Path) -> None:
    for name, form in (("first", "retina"), ("second", "segmenter_last")):
        (tmp_path / f"{name}.onnx").write_bytes(detector_bytes(FORMS[form], COLOURS))
    (tmp_path / "labels.txt").write_text("\n".join(COLOURS))
    for name, kind in (("first", "detector"), ("second", "segmenter")):
        spec = load_model(ModelSource(name, tmp_path / f"{name}.onnx", {"input": SAID})).spec
        assert (spec.labels, spec.kind) == (COLOURS, kind)


def test_kept_boxes_are_of_whole_pictures(tmp_path: Path) -> None:
    assert load(tmp_path, kept).spec.input.pixels.resize == "stretch"

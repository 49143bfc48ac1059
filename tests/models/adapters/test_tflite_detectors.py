"""TFLite detectors: all scores are read, before boxes are selected and after they are joined."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from flatbuffers import flexbuffers

from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.registry import load_model
from model_makers import HEIGHT, WIDTH, Form, TfliteWriter, pictures

BOXES, NAMES = 6, ("ant", "bee", "cat")
PIXELS = pictures(Form("tflite", "NHWC"), 3)
SAID = {"input": {"scale": "0..1", "channels": "RGB"}, "labels": list(NAMES)}
Operator = tfl.BuiltinOperator


def weights(classes: int) -> np.ndarray:
    features = HEIGHT * WIDTH * 3
    matrix = np.random.default_rng(5).normal(0, 4, (BOXES * classes, features)) / features**0.5
    return matrix.astype(np.float32)


def expected(classes: int = len(NAMES), first: int = 0) -> np.ndarray:
    """The highest logit of each class over the boxes."""
    logits = (PIXELS.reshape(len(PIXELS), -1) / 255) @ weights(classes).T.astype(np.float64)
    highest: np.ndarray = logits.reshape(len(PIXELS), BOXES, classes).max(axis=1)
    return highest[:, first:]


class Detector(TfliteWriter):
    """Logits of every class for each of six boxes, linear in the pixels: [1, 6, classes]."""

    def __init__(self, classes: int = len(NAMES)) -> None:
        super().__init__()
        self.picture = self.tensor("picture", [1, HEIGHT, WIDTH, 3], "float32")
        inner = self.tensor(
            "W", [BOXES * classes, HEIGHT * WIDTH * 3], "float32", None, weights(classes)
        )
        row = self.tensor("row", [1, BOXES * classes], "float32")
        options = (tfl.BuiltinOptions.FullyConnectedOptions, tfl.FullyConnectedOptionsT())
        self.operator(Operator.FULLY_CONNECTED, [self.picture, inner, -1], [row], options)
        shape = self.tensor("shape", [3], "int32", None, np.array([1, BOXES, classes], np.int32))
        self.logits = self.tensor("logits", [1, BOXES, classes], "float32")
        self.operator(Operator.RESHAPE, [row, shape], [self.logits])
        self.scores = self.tensor("scores", [1, BOXES, classes], "float32")
        self.operator(Operator.LOGISTIC, [self.logits], [self.scores])

    def corners(self, *shape: int) -> int:
        values = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
        return self.tensor("corners", list(shape), "float32", None, values)

    def select(self, classes: int) -> list[int]:
        """The best three boxes, as the detectors of the TensorFlow zoo publish them."""
        shapes = ([1, 3, 4], [1, 3], [1, 3], [1])
        names = [f"TFLite_Detection_PostProcess{part}" for part in ("", ":1", ":2", ":3")]
        outputs = [
            self.tensor(name, shape, "float32") for name, shape in zip(names, shapes, strict=True)
        ]
        inputs = [self.corners(1, BOXES, 4), self.scores, self.corners(BOXES, 4)]
        self.operator(32, inputs, outputs, custom="TFLite_Detection_PostProcess")
        step = self.graph.operators[-1]
        step.customOptions = list(_selection(classes))
        return outputs

    def joined(self, extra: int = 0) -> int:
        """[1, 6, 4 + classes]: boxes and scores put together."""
        width = 4 + len(NAMES)
        output = self.tensor("Identity", [1, BOXES, width], "float32")
        options = tfl.ConcatenationOptionsT()
        options.axis = 2
        kind = tfl.BuiltinOptions.ConcatenationOptions
        parts = [self.corners(1, BOXES, 4), self.scores]
        self.operator(Operator.CONCATENATION, parts, [output], (kind, options))
        return output

    def load(self, folder: Path, outputs: list[int], after: bytes = b"", **said: Any) -> Any:
        (folder / "m.tflite").write_bytes(self.pack([self.picture], outputs) + after)
        return load_model(ModelSource("m", folder / "m.tflite", {**SAID, **said}))


def _selection(classes: int) -> bytes:
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, number in (("max_detections", 3), ("max_classes_per_detection", 1)):
            builder.Key(key)
            builder.Int(number)
        builder.Key("num_classes")
        builder.Int(classes)
        for key, real in (("nms_score_threshold", 1e-8), ("nms_iou_threshold", 0.6)):
            builder.Key(key)
            builder.Float(real)
        for key in ("y_scale", "x_scale", "h_scale", "w_scale"):
            builder.Key(key)
            builder.Float(10.0)
    return bytes(builder.Finish())


def test_all_scores_are_read_before_boxes_are_selected(tmp_path: Path) -> None:
    writer = Detector()
    model = writer.load(tmp_path, writer.select(len(NAMES)))
    assert (model.spec.kind, model.spec.logits_source) == ("detector", "cut")
    assert model.spec.labels == NAMES
    assert np.abs(model.logits(PIXELS) - expected()).max() < 1e-4
    assert any("before its DetectionPostProcess is read" in note for note in model.spec.notes)


def test_labels_with_a_place_for_the_background(tmp_path: Path) -> None:
    writer = Detector(len(NAMES) + 1)
    outputs = writer.select(len(NAMES))
    model = writer.load(tmp_path, outputs, labels={str(at + 1): NAMES[at] for at in range(3)})
    assert model.spec.labels == ("", *NAMES)
    assert np.abs(model.logits(PIXELS) - expected(4)).max() < 1e-4


def test_joined_boxes_and_scores_are_cut_before_the_sigmoid(tmp_path: Path) -> None:
    writer = Detector()
    model = writer.load(tmp_path, [writer.joined()])
    assert (model.spec.kind, model.spec.logits_source) == ("detector", "cut")
    assert np.abs(model.logits(PIXELS) - expected()).max() < 1e-4


@pytest.mark.parametrize("name", ["metadata.json", "temp_meta.txt"])
def test_names_that_an_export_tool_zips_into_the_file(name: str, tmp_path: Path) -> None:
    said = {"names": dict(enumerate(NAMES)), "stride": 32, "task": "detect", "imgsz": [6, 4]}
    text = json.dumps(said) if name.endswith(".json") else str(said)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, text)
    writer = Detector()
    model = writer.load(tmp_path, [writer.joined()], packed.getvalue(), labels=None, input={})
    assert model.spec.labels == NAMES
    assert {item.field: item.origin for item in model.spec.decisions}["scale"] == "file"
    assert np.abs(model.logits(PIXELS) - expected()).max() < 1e-4


def test_other_custom_operators_stay_refused(tmp_path: Path) -> None:
    writer = Detector()
    output = writer.tensor("out", [1, 3], "float32")
    writer.operator(32, [writer.scores], [output], custom="TFLite_Detection_PostProcess2")
    with pytest.raises(ModelError, match="which is not built in"):
        writer.load(tmp_path, [output])

"""TFLite files with several outputs, or with other ends and inputs: the logits are the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.registry import load_model
from model_makers import (
    CLASSES,
    HEIGHT,
    WIDTH,
    Form,
    TfliteWriter,
    expected_logits,
    pictures,
    weights,
)

FORM = Form("tflite", "NHWC")
PIXELS = pictures(FORM, 3)
LOGITS = expected_logits(FORM, PIXELS)
NAMES = ("ant", "bee", "cat", "dog", "elk")
SAID = {"input": {"scale": "0..1", "channels": "RGB"}, "labels": list(NAMES)}
Operator = tfl.BuiltinOperator


class Classifier(TfliteWriter):
    """A linear classifier up to "scores" and their softmax; an "embedding" is half its features."""

    def __init__(self, shape: tuple[int, ...] = (1, HEIGHT, WIDTH, 3)) -> None:
        super().__init__()
        matrix, bias = weights(FORM)
        self.picture = self.tensor("picture", list(shape), "float32")
        inner = self.tensor("W", [CLASSES, len(matrix)], "float32", data=matrix.T.copy())
        offset = self.tensor("b", [CLASSES], "float32", data=bias)
        flat = self.row("flat", len(matrix))
        target = self.tensor("shape", [2], "int32", data=np.array([1, len(matrix)], np.int32))
        self.operator(Operator.RESHAPE, [self.picture, target], [flat])
        self.embedding = self.row("embedding", len(matrix))
        self.operator(Operator.ABS, [flat], [self.embedding])
        self.scores = self.row("scores", CLASSES)
        options = (tfl.BuiltinOptions.FullyConnectedOptions, tfl.FullyConnectedOptionsT())
        self.operator(Operator.FULLY_CONNECTED, [flat, inner, offset], [self.scores], options)
        self.softmax = self.row("p", CLASSES)
        beta = tfl.SoftmaxOptionsT()
        beta.beta = 1.0
        options = (tfl.BuiltinOptions.SoftmaxOptions, beta)
        self.operator(Operator.SOFTMAX, [self.scores], [self.softmax], options)

    def row(self, name: str, width: int, dtype: str = "float32") -> int:
        return self.tensor(name, [1, width], dtype)

    def rename(self, index: int, name: str) -> int:
        self.graph.tensors[index].name = name.encode()
        return index

    def load(self, folder: Path, outputs: list[int], **said: Any) -> Any:
        folder.mkdir(exist_ok=True)
        (folder / "m.tflite").write_bytes(self.pack([self.picture], outputs))
        return load_model(ModelSource("m", folder / "m.tflite", {**SAID, **said}))


def check(model: Any, source: str = "cut") -> tuple[str, ...]:
    assert (model.spec.outputs, model.spec.logits_source) == (CLASSES, source)
    assert model.spec.labels == NAMES
    assert np.abs(model.logits(PIXELS) - LOGITS).max() < 1e-4
    notes: tuple[str, ...] = model.spec.notes
    return notes


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_an_embedding_beside_the_scores(reverse: bool, labelled: bool, tmp_path: Path) -> None:
    writer = Classifier()
    outputs = [
        writer.rename(writer.embedding, "StatefulPartitionedCall:0"),
        writer.rename(writer.softmax, "StatefulPartitionedCall:1"),
    ]
    outputs = outputs[::-1] if reverse else outputs
    model = writer.load(tmp_path, outputs, **({} if labelled else {"labels": None}))
    assert model.spec.outputs == CLASSES
    assert np.abs(model.logits(PIXELS) - LOGITS).max() < 1e-4
    why = "it is as wide as the list of labels" if labelled else "the others are computed before"
    assert f"'StatefulPartitionedCall:1' [1, 5] is read ({why}" in model.spec.notes[0]


def test_output_name_overrules(tmp_path: Path) -> None:
    writer = Classifier()
    outputs = [writer.embedding, writer.softmax]
    model = writer.load(tmp_path, outputs, output_name="embedding")
    assert model.spec.outputs == HEIGHT * WIDTH * 3
    with pytest.raises(ModelError, match=r"output_name is 'q', .* allowed: 'embedding' \[1, 72\]"):
        writer.load(tmp_path, outputs, output_name="q")


def test_the_number_of_the_winner_is_not_read(tmp_path: Path) -> None:
    writer = Classifier()
    best = writer.tensor("class_id", [1], "int64")
    axis = writer.tensor("axis", [1], "int32", data=np.array([1], np.int32))
    kind = tfl.ArgMaxOptionsT()
    kind.outputType = tfl.TensorType.INT64
    options = (tfl.BuiltinOptions.ArgMaxOptions, kind)
    writer.operator(Operator.ARG_MAX, [writer.softmax, axis], [best], options)
    (note,) = check(writer.load(tmp_path, [best, writer.softmax]))
    assert note.startswith("output 'p' [1, 5] is read")
    assert check(writer.load(tmp_path, [best])) == ()  # before its ArgMax


def test_the_best_few_are_read_before_they_are_chosen(tmp_path: Path) -> None:
    writer = Classifier()
    count = writer.tensor("k", [], "int32", data=np.array(3, np.int32))
    values, indices = writer.row("values", 3), writer.row("indices", 3, "int32")
    writer.operator(Operator.TOPK_V2, [writer.softmax, count], [values, indices])
    (note,) = check(writer.load(tmp_path, [values, indices]))
    assert "'values' [1, 5] before its TopK is read" in note


def test_percentages_are_cut_before_their_softmax(tmp_path: Path) -> None:
    writer = Classifier()
    hundred = writer.tensor("hundred", [], "float32", data=np.array(100, np.float32))
    percent = writer.row("percent", CLASSES)
    options = (tfl.BuiltinOptions.MulOptions, tfl.MulOptionsT())
    writer.operator(Operator.MUL, [writer.softmax, hundred], [percent], options)
    assert check(writer.load(tmp_path, [percent])) == ()


@pytest.mark.parametrize("shape", [[CLASSES], [CLASSES, 1, 1], [1, 1, 1, CLASSES]])
def test_scores_without_the_axis_of_pictures(shape: list[int], tmp_path: Path) -> None:
    writer = Classifier()
    target = writer.tensor("end", [len(shape)], "int32", data=np.array(shape, np.int32))
    last = writer.tensor("last", shape, "float32")
    writer.operator(Operator.RESHAPE, [writer.scores, target], [last])
    assert check(writer.load(tmp_path, [last]), "declared") == ()


def test_an_input_without_the_axis_of_pictures(tmp_path: Path) -> None:
    writer = Classifier((HEIGHT, WIDTH, 3))
    (note,) = check(writer.load(tmp_path, [writer.softmax]))
    assert note == "the input [6, 4, 3] has no axis of pictures: one a run"


def test_operators_that_name_tensors_outside_the_file_are_refused(tmp_path: Path) -> None:
    writer = Classifier()
    last = writer.row("last", CLASSES)
    writer.operator(Operator.ABS, [999], [last])
    with pytest.raises(ModelError, match="unreadable at byte"):
        writer.load(tmp_path, [last])


def test_a_file_that_is_too_new_names_the_version_and_the_pip_line(tmp_path: Path) -> None:
    writer = Classifier()
    writer.model.operatorCodes[0].version = 99
    with pytest.raises(ModelError, match="'RESHAPE' version '99'") as error:
        writer.load(tmp_path, [writer.softmax])
    assert "installed: ai-edge-litert " in str(error.value)
    assert "`pip install -U ai-edge-litert`" in str(error.value)

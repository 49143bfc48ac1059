"""Raw outputs → logits: shapes, quantization, and probabilities undone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import ModelError
from lagotto.models.files.tensors import OutputTensor, Quantization
from lagotto.models.outputs import class_rows, plan_reading
from model_makers import softmax

PLAIN = OutputTensor("y", None, False)
LOGITS = np.random.default_rng(3).normal(0, 4, (2, 6)).astype(np.float32)
SOFTMAX = softmax(LOGITS)
SIGMOID = 1 / (1 + np.exp(-LOGITS))


@pytest.mark.parametrize(
    ("raw", "said", "expected"),
    [
        (LOGITS, None, ("logits", "declared", "none", 0)),
        (LOGITS, "logits", ("logits", "declared", "none", 0)),
        (LOGITS, "softmax", ("logits", "declared", "none", 1)),
        (LOGITS, "sigmoid", ("logits", "declared", "none", 1)),
        (SOFTMAX, None, ("softmax", "log", "log", 1)),
        (SOFTMAX, "softmax", ("softmax", "log", "log", 1)),
        (SOFTMAX, "logits", ("logits", "declared", "none", 1)),
        (SIGMOID, "sigmoid", ("sigmoid", "log", "logit", 1)),
        (SIGMOID, None, ("logits", "declared", "none", 1)),
        (SOFTMAX * 100, None, ("softmax", "log", "log", 1)),
        (SOFTMAX * 100, "softmax", ("softmax", "log", "log", 1)),
        (SOFTMAX * 100, "sigmoid", ("sigmoid", "log", "logit", 1)),
        (SOFTMAX * 100, "logits", ("logits", "declared", "none", 1)),
        (SIGMOID * 100, None, ("logits", "declared", "none", 1)),
        (SIGMOID, "logits", ("logits", "declared", "none", 0)),
    ],
)
def test_what_the_values_show_decides_where_the_graph_is_silent(
    raw: Any, said: Any, expected: Any
) -> None:
    reading = plan_reading(raw, PLAIN, said)
    assert (reading.output, reading.source, reading.inverse, len(reading.notes)) == expected


def test_the_graph_wins_over_model_json() -> None:
    cut = plan_reading(LOGITS, OutputTensor("x", "softmax", True), "logits")
    assert (cut.output, cut.source, cut.inverse) == ("softmax", "cut", "none")
    assert "ends in a softmax" in cut.notes[0]
    whole = plan_reading(SIGMOID, OutputTensor("y", "sigmoid", False), None)
    assert (whole.output, whole.source, whole.inverse) == ("sigmoid", "log", "logit")


@given(st.lists(st.floats(-40, 40, width=32), min_size=2, max_size=8))
def test_log_of_a_softmax_is_the_logits_but_for_a_constant(values: list[float]) -> None:
    logits = np.array([values])
    reading = plan_reading(softmax(logits).astype(np.float32), PLAIN, "softmax")
    difference = reading.logits(softmax(logits).astype(np.float32)) - logits
    assert np.ptp(difference) < 1e-3


@given(st.lists(st.floats(-14, 14, width=32), min_size=1, max_size=8))
def test_logit_of_a_sigmoid_is_the_logits(values: list[float]) -> None:
    logits = np.array([values])
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    again = plan_reading(probabilities, PLAIN, "sigmoid").logits(probabilities)
    assert np.abs(again - logits).max() < 0.2  # float32 is spaced by 6e-8 below 1


def test_quantised_probabilities_are_floored_at_half_a_step() -> None:
    tensor = OutputTensor("y", "softmax", False, Quantization(1 / 256, -128))
    raw = np.array([[-128, -127, 127]], np.int8)
    reading = plan_reading(raw, tensor, None)
    assert np.allclose(reading.logits(raw), np.log([[0.5 / 256, 1 / 256, 255 / 256]]))
    unknown = plan_reading(raw, OutputTensor("y", "softmax", False), None)
    assert np.allclose(unknown.logits(raw), reading.logits(raw))


def test_quantised_logits_are_real_values() -> None:
    tensor = OutputTensor("x", "softmax", True, Quantization(0.5, 10))
    raw = np.array([[0, 10, 30]], np.uint8)
    assert plan_reading(raw, tensor, None).logits(raw).tolist() == [[-5, 0, 10]]


def test_extreme_and_broken_values_stay_in_their_place() -> None:
    reading = plan_reading(SOFTMAX, PLAIN, "softmax")
    raw = np.array([[np.nan, 0.0, np.inf, 1.0]], np.float32)
    logits = reading.logits(raw)[0]
    assert np.isnan(logits[0])
    assert logits[1] == pytest.approx(-87.3, abs=0.1)
    assert np.isinf(logits[2])
    assert logits[3] == 0


def test_rows_are_found_in_common_shapes() -> None:
    for shape in [(2, 5), (2, 5, 1, 1), (2, 1, 1, 5), (2, 1), (2, 1, 5)]:
        rows = class_rows(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), 2, "y")
        assert rows.shape == (2, max(shape[1:]))


@pytest.mark.parametrize(
    "shape", [(5,), (5, 1), (1, 5), (5, 1, 1), (1, 1, 1, 5), (1, 5, 1, 1), (1, 1, 5)]
)
def test_the_scores_of_one_picture_may_lack_its_axis(shape: tuple[int, ...]) -> None:
    values = np.arange(5, dtype=np.float32)
    assert class_rows(values.reshape(shape), 1, "y").tolist() == [values.tolist()]
    assert class_rows(np.full((), 3, np.float32), 1, "y").tolist() == [[3]]
    for other in [(5, 3), (1, 5, 3), (0,), (1, 0)]:
        with pytest.raises(ModelError, match="a classifier's output is"):
            class_rows(np.zeros(other, np.float32), 1, "y")


def test_percentages_and_values_of_a_sigmoid_are_told_in_a_note() -> None:
    reading = plan_reading(SOFTMAX * 100, PLAIN, None)
    assert reading.notes[0].startswith("outputs sum to 100 and no softmax is in the graph")
    assert np.ptp(reading.logits(SOFTMAX * 100) - LOGITS, axis=1).max() < 1e-3
    (note,) = plan_reading(SIGMOID, PLAIN, None).notes
    assert note.startswith("all outputs lie within 0 and 1, and are taken as logits")
    assert "within 0 and 100" in plan_reading(SIGMOID * 100, PLAIN, None).notes[0]
    assert plan_reading(SIGMOID[:, :1], PLAIN, None).notes == ()  # one value says too little


def test_scaled_rounded_and_logged_ends_are_undone() -> None:
    percent = np.round(SOFTMAX * 100)
    tensor = OutputTensor("y", "softmax", False, None, 100.0, 0.01)
    reading = plan_reading(percent, tensor, None)
    assert (reading.output, reading.source) == ("softmax", "log")
    assert np.allclose(reading.logits(percent), np.log(np.maximum(percent / 100, 0.005)), atol=1e-5)
    logs = np.log(SOFTMAX)
    logged = plan_reading(logs, OutputTensor("y", "softmax", False, is_log=True), None)
    assert (logged.output, logged.source, logged.inverse) == ("softmax", "log", "none")
    assert np.array_equal(logged.logits(logs), logs)


@pytest.mark.parametrize("shape", [(2,), (5, 3), (2, 5, 3), (2, 0), (1, 2, 8, 8), ()])
def test_other_shapes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    listed = ", ".join(map(str, shape))
    with pytest.raises(ModelError, match=rf"output 'y' has shape \[{listed}\]"):
        class_rows(np.zeros(shape, np.float32), 2, "y")


def test_integers_that_are_no_scores_are_refused() -> None:
    with pytest.raises(ModelError, match="dtype int64"):
        class_rows(np.zeros((2, 3), np.int64), 2, "y")

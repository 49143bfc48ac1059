"""Raw outputs → logits: shapes, quantization, and probabilities undone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import ModelError
from lagotto.models.files.tensors import OutputTensor, Quantization
from lagotto.models.outputs import class_rows, pick_output, plan_reading
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
        (SIGMOID, None, ("logits", "declared", "none", 0)),
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
    for shape in [(2, 5), (2, 5, 1, 1), (2, 1, 1, 5), (2, 1)]:
        rows = class_rows(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), 2, "y")
        assert rows.shape == (2, max(shape[1:]))


@pytest.mark.parametrize("shape", [(2,), (5, 3), (2, 5, 3), (2, 0), (1, 2, 8, 8), ()])
def test_other_shapes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    listed = ", ".join(map(str, shape))
    with pytest.raises(ModelError, match=rf"output 'y' has shape \[{listed}\]"):
        class_rows(np.zeros(shape, np.float32), 2, "y")


def test_integers_that_are_no_scores_are_refused() -> None:
    with pytest.raises(ModelError, match="dtype int64"):
        class_rows(np.zeros((2, 3), np.int64), 2, "y")


def test_the_output_that_holds_the_scores() -> None:
    assert pick_output([("any", (1, 2, 3, 4))]) == 0
    assert pick_output([("map", (1, 8, 8, 4)), ("x", (None, 7))]) == 1
    assert pick_output([("features", (1, 64)), ("my_logits", (1, 7))]) == 1
    assert pick_output([("probabilities", (1, 7)), ("logits", (1, 7))]) == 1
    with pytest.raises(ModelError, match=r"'a' \[1, 7\], 'b' \[\?, 9\]"):
        pick_output([("a", (1, 7)), ("b", (None, 9))])
    with pytest.raises(ModelError, match="unclear"):
        pick_output([("a", (1, 7, 7)), ("b", (1, 8, 8))])

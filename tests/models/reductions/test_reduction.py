"""Reductions of plain arrays: quantized scores, batches, grids, and numbers of classes."""

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.models.files.tensors import OutputTensor, Quantization
from lagotto.models.outputs import plan_reduced_reading
from lagotto.models.reductions.forms import ReductionEvidence, grid_counts, possible_class_counts
from lagotto.models.reductions.plan import plan_reduction

STEP, ZERO = 1 / 256, -128
EVIDENCE = ReductionEvidence(lambda count: count == 2, size=(640, 640))
RANDOM = np.random.default_rng(0)


def test_quantized_scores_with_an_objectness() -> None:
    raw = RANDOM.integers(-128, 128, (1, 1200, 7), dtype=np.int8)
    raw[..., 5] = ZERO  # the first class is never there
    tensor = OutputTensor("y", None, False, Quantization(STEP, ZERO), is_row=False)
    reduction = plan_reduction(raw, 1, tensor, EVIDENCE)
    assert (reduction.first, reduction.last, reduction.objectness) == (5, 7, 4)
    reading = plan_reduced_reading(raw, tensor, reduction, None)
    logits = reading.logits(reading.rows(raw, 1))
    real = (raw.astype(np.float64) - ZERO) * STEP
    best = (real[0, :, 4] * real[0, :, 6]).max()
    assert logits[0, 1] == pytest.approx(np.log(best / (1 - best)), abs=1e-4)
    assert logits[0, 0] == pytest.approx(np.log(STEP / 2), abs=0.01)  # half a step, as elsewhere


def test_quantized_scores_alone_stay_integers() -> None:
    raw = RANDOM.integers(0, 256, (3, 40, 2), dtype=np.uint8)
    tensor = OutputTensor("y", "sigmoid", False, Quantization(1 / 255, 0), is_row=False)
    reading = plan_reduced_reading(raw, tensor, plan_reduction(raw, 3, tensor, EVIDENCE), None)
    rows = reading.rows(raw, 3)
    assert rows.dtype == np.uint8
    assert (rows == raw.max(axis=1)).all()


def test_pictures_of_a_batch_do_not_mix() -> None:
    raw = RANDOM.normal(size=(4, 6, 8400)).astype(np.float32)
    tensor = OutputTensor("y", None, False, is_row=False)
    reduction = plan_reduction(raw, 4, tensor, EVIDENCE)
    assert (reduction.class_axis, reduction.first) == (1, 4)
    for at in range(4):
        alone = reduction.rows(raw[at : at + 1], 1, tensor)
        assert (alone[0] == reduction.rows(raw, 4, tensor)[at]).all()
    with pytest.raises(ModelError, match="before, it had 3 axes"):
        reduction.rows(raw[0], 1, tensor)


def test_counts_of_boxes_are_those_of_published_networks() -> None:
    counts = grid_counts((640, 640))
    assert {8400, 8500, 2000, 34000} <= counts  # v8, P6, tiny, P2
    assert 25200 // 3 in counts  # YOLOv5: three boxes a cell
    assert grid_counts((416, 416)) >= {3549, 2535 // 3}
    assert grid_counts(None) == frozenset()


def test_how_many_classes_shapes_allow() -> None:
    assert possible_class_counts((1, 1000)) == {1000}
    assert 80 in possible_class_counts((1, 84, 8400))
    assert 80 in possible_class_counts((1, 25200, 85))
    assert {20, 21} <= possible_class_counts((1, 21, 65, 65))
    assert possible_class_counts((1, None)) == frozenset()

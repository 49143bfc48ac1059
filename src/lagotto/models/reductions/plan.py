"""The first output of a model comes in; how it becomes one value a class goes out, or why not."""

from dataclasses import replace

import numpy as np
from jaxtyping import Num, Shaped

from lagotto.core.types import OutputKind
from lagotto.models.files.tensors import SCORE_DTYPES, OutputTensor, real_values
from lagotto.models.reductions.forms import OutputShape, ReductionEvidence, box_forms, map_forms
from lagotto.models.reductions.reduction import Reduction
from lagotto.models.reductions.refusals import (
    REFUSED_TASKS,
    refused_shape,
    refused_task,
    unclear_background,
    unclear_forms,
)

_MOST = 0.5
"""The share of boxes or pixels of a picture that a background class wins, at least."""


def is_reducible(shape: OutputShape, evidence: ReductionEvidence) -> bool:
    """Whether an output of a declared shape may be that of a detector or a segmenter."""
    return bool(box_forms(shape, evidence) or map_forms(shape, evidence))


def plan_reduction(
    raw: Shaped[np.ndarray, "..."], images: int, tensor: OutputTensor, evidence: ReductionEvidence
) -> Reduction:
    """How an output that is no row of scores a picture is reduced.

    Args:
        raw: The output on the first trial pictures.
        images: Their number.
        tensor: The tensor that was read.
        evidence: What else is known of the model.

    Returns:
        The reduction; its `values` say what the scores are.

    Raises:
        ModelError: It is not the output of a detector or a segmenter, or which part of it holds the
            classes is unclear.
    """
    if evidence.task in REFUSED_TASKS:
        raise refused_task(evidence.task)
    shape = raw.shape
    refusal = refused_shape(raw, images, tensor.name, evidence)
    if raw.dtype.name not in SCORE_DTYPES or shape[0] != images or raw.size == 0:
        raise refusal
    if _is_end_to_end(shape, evidence):
        raise refusal
    found = box_forms(shape, evidence) or map_forms(shape, evidence)
    if not found:
        raise refusal
    if len(found) > 1:
        raise unclear_forms(shape, tensor.name)
    reduction = found[0]
    scores = real_values(reduction.scores(raw, images, tensor.name), tensor)
    is_known = evidence.class_hint != "" or _known_by_labels(reduction, evidence)
    if not is_known and reduction.kind == "detector" and not _are_probabilities(scores):
        raise refusal  # coefficients of masks or keypoints lie where classes would be
    values: OutputKind = tensor.ending or "logits"
    if tensor.ending is None and _are_probabilities(scores):
        values = "softmax" if _sum_to_one(scores) else "sigmoid"
    planned = _without_background(replace(reduction, values=values), scores, evidence, tensor.name)
    if reduction.kind == "segmenter" and not is_known and tensor.ending is None:
        note = (
            f"taken for a segmenter: its {shape[reduction.class_axis]} channels have the size of "
        )
        planned = replace(planned, notes=(*planned.notes, f"{note}the pictures"))
    return replace(planned, notes=(*_notes(planned, scores.shape[1]), *planned.notes))


def _is_end_to_end(shape: OutputShape, evidence: ReductionEvidence) -> bool:
    """Whether an output is a short list of the best boxes: corners, score, class."""
    if len(shape) != 3 or shape[2] not in (6, 7) or (shape[1] or 0) > 1000:
        return False
    return not box_forms(shape, replace(evidence, fits_labels=lambda count: False))


def _known_by_labels(reduction: Reduction, evidence: ReductionEvidence) -> bool:
    classes = reduction.last - reduction.first
    return evidence.fits_labels(classes) or evidence.fits_labels(classes - 1)


def _without_background(
    reduction: Reduction,
    scores: Num[np.ndarray, "images places classes"],
    evidence: ReductionEvidence,
    name: str,
) -> Reduction:
    """The reduction without the class that stands for nothing, where one class has no label.

    It is the first or the last one, and it wins most boxes or pixels of any picture.
    """
    classes = reduction.last - reduction.first
    if classes < 2 or evidence.fits_labels(classes) or not evidence.fits_labels(classes - 1):
        return reduction
    winners = scores.argmax(axis=2)
    is_first, is_last = (float(np.mean(winners == at)) >= _MOST for at in (0, classes - 1))
    if is_first == is_last:
        raise unclear_background(classes, name)
    note = (
        f"the {'first' if is_first else 'last'} of {classes} classes is left out: there are "
        f"{classes - 1} labels, and it wins most {reduction.places} of a plain picture, as a "
        "background class does"
    )
    first, last = reduction.first + is_first, reduction.last - is_last
    return replace(reduction, first=first, last=last, notes=(note,))


def _notes(reduction: Reduction, places: int) -> tuple[str, ...]:
    """What was reduced, in words."""
    note = f"a {reduction.kind}: one value a class, the highest of {places:,} {reduction.places}"
    if reduction.objectness is not None:
        note += "; a score is that of the class times that of the box (objectness)"
    return (note,)


def _are_probabilities(scores: Num[np.ndarray, "..."]) -> bool:
    return bool(np.all((scores >= -1e-6) & (scores <= 1 + 1e-4)))


def _sum_to_one(scores: Num[np.ndarray, "images places classes"]) -> bool:
    sums = scores.astype(np.float64).sum(axis=2)
    return scores.shape[2] > 1 and bool(np.all(np.abs(sums - 1) < 1e-2))

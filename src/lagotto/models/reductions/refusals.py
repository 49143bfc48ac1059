"""An output that gives no value a class comes in; the line that says what it is goes out."""

import numpy as np
from jaxtyping import Shaped

from lagotto.core.errors import ModelError
from lagotto.models.files.tensors import SCORE_DTYPES, shape_text
from lagotto.models.reductions.forms import OutputShape, ReductionEvidence

REFUSED_TASKS = {
    "pose": "a pose model: it finds keypoints, not classes",
    "obb": "a detector of oriented boxes, which is not read",
    "depth": "a depth model: it measures distances, not classes",
}
"""Tasks that export tools write into a file, and what they mean."""

_SAY_LABELS = (
    'say its labels in a model.json beside it ({"labels": [...]}: as many as it has classes), or '
    "export the scores of the classes alone"
)


def refused_task(task: str) -> ModelError:
    """The refusal of a model whose file says what it is for."""
    return ModelError(
        f"it is {REFUSED_TASKS[task]} (its metadata says task {task!r}); Lagotto reads "
        "classifiers, detectors and segmenters"
    )


def unclear_forms(shape: OutputShape, name: str) -> ModelError:
    """The refusal of an output that several readings fit."""
    return ModelError(
        f"output {name!r} has shape {shape_text(shape)}, and which of its axes holds the classes "
        "is unclear: export the scores of the classes alone, as [batch, boxes, classes]"
    )


def unclear_background(classes: int, name: str) -> ModelError:
    """The refusal of a class more than labels, if its values do not show which one it is."""
    return ModelError(
        f"output {name!r} has {classes} classes for {classes - 1} labels, and which of them is the "
        f"background is unclear: give {classes} labels, with the background where it belongs"
    )


def refused_shape(
    raw: Shaped[np.ndarray, "..."], images: int, name: str, evidence: ReductionEvidence
) -> ModelError:
    """The refusal of an output by what its shape says that it is."""
    return ModelError(
        f"output {name!r} has shape {shape_text(raw.shape)} for {images} picture(s); "
        f"{_meaning(raw, evidence)}; a classifier's output is [batch, classes]"
    )


def _meaning(raw: Shaped[np.ndarray, "..."], evidence: ReductionEvidence) -> str:
    shape = raw.shape
    if raw.dtype.name not in SCORE_DTYPES:
        what = "the winning class of each pixel" if raw.ndim >= 3 else "whole numbers"
        return f"its {raw.dtype.name} values are {what}: export the scores that come before"
    if raw.ndim == 3 and shape[2] in (6, 7) and shape[1] <= 1000:
        return (
            "it lists the best boxes of a picture (corners, score, class), and says nothing of the "
            "other classes: export the detector without that last step (ultralytics: nms=False, "
            "for YOLOv10 and YOLO26 end2end=False)"
        )
    if raw.ndim == 3:
        return (
            f"if it is a detector, how many of the {min(shape[1:])} numbers of a box are classes "
            f"is unclear: {_SAY_LABELS}"
        )
    if raw.ndim == 4 and 1 in (shape[1], shape[3]):
        return (
            "it has one number a pixel: a mask of one thing, a depth map or a heat map, which has "
            f"no classes. If it is a segmenter, {_SAY_LABELS}"
        )
    if raw.ndim == 4 and _is_picture(shape, evidence.size):
        return "it is a picture, as super-resolution, style transfer and autoencoders make it"
    if raw.ndim == 4:
        channels = min(shape[1], shape[3])
        return (
            f"it is a map of {channels} channels: features, keypoints, or the classes of a "
            f"segmenter. If it is a segmenter, {_SAY_LABELS}"
        )
    return f"it is no row of scores a picture. If it is a detector, {_SAY_LABELS}"


def _is_picture(shape: tuple[int, ...], size: tuple[int, int] | None) -> bool:
    for channels, edges in ((shape[1], shape[2:]), (shape[3], shape[1:3])):
        if channels == 3 and (
            size is None or all(a >= b for a, b in zip(edges, size, strict=True))
        ):
            return True
    return False

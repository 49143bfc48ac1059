"""The shape of an output and the number of labels come in; where its classes may lie goes out.

A detector publishes a row of numbers for each box: four for the box, one score for each class, and
sometimes more. How many are more is told by the number of labels. Without labels, only the number
of boxes can tell: detectors of the YOLO family have one box, or three, for each cell of grids with
a fixed pitch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from lagotto.core.types import OutputKind
from lagotto.models.files.tensors import ClassHint
from lagotto.models.reductions.reduction import Reduction

OutputShape = tuple[int | None, ...]

_BOX, _MASK, _DISTANCES = 4, 32, 32
_PICTURE_CHANNELS = 4
_PITCHES = ((8, 16, 32), (8, 16, 32, 64), (8, 16, 32, 64, 128), (16, 32), (4, 8, 16, 32))
_IN_ROWS = {
    0: (0, None),
    1: (0, None),  # with a background class, which is found by its values
    _BOX: (_BOX, None),
    _BOX + 1: (_BOX + 1, _BOX),
    _DISTANCES: (0, None),  # NanoDet: the classes, then 8 bins for each side of the box
    _BOX + _MASK: (_BOX, None),
    _BOX + 1 + _MASK: (_BOX + 1, _BOX),
}
"""Rows of boxes: numbers beside the classes -> (where the classes start, the objectness)."""

_IN_COLUMNS = {0: (0, None), 1: (0, None), _BOX: (_BOX, None), _BOX + _MASK: (_BOX, None)}
"""The same where each box is a column."""


@dataclass(frozen=True, slots=True)
class ReductionEvidence:
    """What is known of a model beside the shape of its output.

    Args:
        fits_labels: Whether a list of labels of the model fits a number of classes.
        task: What an export tool wrote into the file: "detect", "segment", "pose", ...
        size: (height, width) of its pictures; None before that is known.
        ending: The activation that its output ends in.
        class_hint: What the file says of the place of its classes.
    """

    fits_labels: Callable[[int], bool]
    task: str = ""
    size: tuple[int, int] | None = None
    ending: OutputKind | None = None
    class_hint: ClassHint = ""


def box_forms(shape: OutputShape, evidence: ReductionEvidence) -> tuple[Reduction, ...]:
    """The readings of an output [pictures, boxes, numbers] or [pictures, numbers, boxes].

    More than one is returned only if shape and labels do not decide between them.
    """
    if len(shape) != 3:
        return ()
    if evidence.class_hint in ("first", "last"):
        axis = 1 if evidence.class_hint == "first" else 2
        width = shape[axis]
        return () if width is None else (Reduction("detector", "boxes", 3, axis, 0, width),)
    by_labels = (*_boxes_by_labels(shape, evidence, 2), *_boxes_by_labels(shape, evidence, 1))
    found = by_labels or tuple(_boxes_by_count(shape, evidence.size))
    on_grids = [item for item in found if _is_grid(shape[3 - item.class_axis], evidence.size)]
    return tuple(on_grids if len(found) > 1 and on_grids else found)


def map_forms(shape: OutputShape, evidence: ReductionEvidence) -> tuple[Reduction, ...]:
    """The readings of an output [pictures, classes, rows, columns], or with the classes last."""
    if len(shape) != 4:
        return ()
    found: list[Reduction] = []
    for axis in (1, 3):
        edges = tuple(shape[at] for at in (1, 2, 3) if at != axis)
        width = shape[axis]
        if width is None or any(edge is not None and edge < 2 for edge in edges):
            continue
        is_told = _is_class_count(width, evidence) or _is_full_map(width, edges, evidence)
        if is_told and _same_aspect(edges, evidence.size):
            found.append(Reduction("segmenter", "pixels", 4, axis, 0, width))
    if len(found) > 1:
        found = [item for item in found if evidence.fits_labels(item.last)] or found
    return tuple(found)


def possible_class_counts(shape: OutputShape) -> frozenset[int]:
    """How many classes an output of a shape may have: of a row, of boxes or of pixels."""
    wide = [size for size in shape[1:] if size != 1]
    if len(wide) == 1:
        return frozenset(size for size in wide if size is not None)
    counts: set[int] = set()
    if len(shape) == 3:
        for width, forms in ((shape[2], _IN_ROWS), (shape[1], _IN_COLUMNS)):
            counts |= {width - more for more in forms} if width is not None else set()
    elif len(shape) == 4:
        counts |= {width - more for width in (shape[1], shape[3]) if width for more in (0, 1)}
    return frozenset(count for count in counts if count > 0)


def grid_counts(size: tuple[int, int] | None) -> frozenset[int]:
    """How many cells the grids of a detector have together, for pictures of (height, width)."""
    if size is None:
        return frozenset()
    height, width = size
    return frozenset(
        sum(-(-height // pitch) * -(-width // pitch) for pitch in pitches) for pitches in _PITCHES
    )


def _boxes_by_labels(
    shape: OutputShape, evidence: ReductionEvidence, axis: int
) -> Iterator[Reduction]:
    """The reading of one axis that fits the labels best, if any does."""
    width, boxes = shape[axis], shape[3 - axis]
    if width is None or boxes == 1:
        return
    forms = _IN_ROWS if axis == 2 else _IN_COLUMNS
    fitting = [more for more in forms if more < width and evidence.fits_labels(width - more)]
    if {0, 1} <= set(fitting):
        fitting.remove(1)  # a list with a gap for the background has its place
    if {_BOX, _BOX + 1} <= set(fitting):
        fitting.remove(_BOX)  # likewise: the list itself fits, without a gap
    for more in fitting:
        first, objectness = forms[more]
        last = first + width - more + (more == 1)
        yield Reduction("detector", "boxes", 3, axis, first, last, objectness)


def _boxes_by_count(shape: OutputShape, size: tuple[int, int] | None) -> Iterator[Reduction]:
    """The readings that the number of boxes tells: one in each cell, or three."""
    counts = grid_counts(size)
    _, rows, columns = shape
    if columns in counts and rows is not None and rows > _BOX:
        yield Reduction("detector", "boxes", 3, 1, _BOX, rows)
    if rows in {3 * count for count in counts} and columns is not None and columns > _BOX + 1:
        yield Reduction("detector", "boxes", 3, 2, _BOX + 1, columns, _BOX)


def _is_grid(boxes: int | None, size: tuple[int, int] | None) -> bool:
    counts = grid_counts(size)
    return boxes in counts or boxes in {3 * count for count in counts}


def _is_class_count(width: int, evidence: ReductionEvidence) -> bool:
    if evidence.fits_labels(width) or (width > 1 and evidence.fits_labels(width - 1)):
        return True
    if width == 1:  # one unit for two labels
        return evidence.fits_labels(2)
    return evidence.class_hint == "map" or evidence.ending == "softmax"


def _is_full_map(width: int, edges: OutputShape, evidence: ReductionEvidence) -> bool:
    """Whether a map has the size of the pictures and more channels than pictures have.

    Features, keypoints and depths are smaller or have fewer. So it holds classes, labels or not.
    """
    return evidence.size is not None and edges == evidence.size and width > _PICTURE_CHANNELS


def _same_aspect(edges: OutputShape, size: tuple[int, int] | None) -> bool:
    if size is None or None in edges:
        return True
    ratios = [(edge or 0) / whole for edge, whole in zip(edges, size, strict=True)]
    return all(abs(a - b) <= 0.05 * max(a, b) for a, b in pairwise(ratios))

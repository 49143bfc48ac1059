"""The outputs of a file come in; the one that holds the scores of all boxes goes out.

Detectors publish boxes beside scores: two outputs with one row for each box, or the few boxes that
were kept, each with its best class. The second kind says nothing of the classes that were not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as compile_pattern

from lagotto.core.errors import ModelError
from lagotto.models.files.tensors import SCORE_DTYPES, ClassHint, shape_text
from lagotto.models.reductions.forms import OutputShape

_BOXES = compile_pattern(r"box|bbox|rect|loc(?:ation|s)?\b|\bdets?\b")
_NEVER = compile_pattern(r"mask|key_?point|landmark|anchor|encod|embed|feat|hidden")
_SCORES = compile_pattern(r"scor|conf|prob|logit|cls|class")
_NUMBERS = compile_pattern(r"class|label|categor|cls")
_CORNERS = 4


@dataclass(frozen=True, slots=True)
class DetectorOutput:
    """An output as a set is searched for; `before` is the operator after the tensor that it is."""

    name: str
    shape: OutputShape
    dtype: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class BoxScores:
    """The index of the output with the scores of the boxes, and the place of their classes."""

    index: int
    class_hint: ClassHint


def find_box_scores(outputs: Sequence[DetectorOutput]) -> BoxScores | None:
    """The output that holds a score of each class for each box.

    Returns:
        The one with the most boxes; None if no output holds such scores.
    """
    boxes = [item for item in outputs if _box_count(item) is not None]
    found = [
        (count, -index, hint)
        for box in boxes
        for index, item in enumerate(outputs)
        if item not in boxes and not _NEVER.search(item.name.lower())
        for count, hint in _scores_of(item, box)
    ]
    if found:
        _, index, hint = max(found)
        return BoxScores(-index, hint)
    return None


def find_kept_boxes(outputs: Sequence[DetectorOutput]) -> tuple[int, int] | None:
    """The outputs with the scores and the classes of the boxes that a detector kept.

    None if it publishes no such boxes. Raises ModelError if it does, but not their classes.
    """
    boxes = [item for item in outputs if _box_count(item) is not None]
    scores = [at for at, item in enumerate(outputs) if any(_is_kept(box, item) for box in boxes)]
    selects = bool(boxes) and any(item.before == "TopK" for item in outputs)
    if not scores and not selects:
        return None
    named = [at for at in scores if not _NUMBERS.search(outputs[at].name.lower())]
    classes = [
        at
        for at, item in enumerate(outputs)
        if _NUMBERS.search(item.name.lower()) and scores and item.shape == outputs[scores[0]].shape
    ]
    if not selects and len(named) == 1 and len(classes) == 1:
        return named[0], classes[0]
    listed = ", ".join(f"{item.name[:60]!r} {shape_text(item.shape)}" for item in outputs[:8])
    raise ModelError(
        f"its outputs ({listed}) are the boxes that a detector kept, but which of them holds the "
        "scores and which the classes is unclear: export the scores of all boxes, "
        "[batch, boxes, classes]"
    )


def _box_count(item: DetectorOutput) -> int | None:
    """The number of boxes of an output of corners, 0 if it is open; None for another output."""
    shape = item.shape
    if item.dtype not in SCORE_DTYPES or _NEVER.search(item.name.lower()):
        return None
    is_named = _BOXES.search(item.name.lower()) is not None
    if not is_named and _SCORES.search(item.name.lower()):
        return None  # four classes look like four corners
    if len(shape) == 4 and shape[2] == 1 and shape[3] == _CORNERS:
        return shape[1] or 0
    if len(shape) == 3 and shape[2] == _CORNERS and shape[1] != 1:
        return shape[1] or 0
    if len(shape) == 3 and shape[1] == _CORNERS and is_named:
        return shape[2] or 0
    if len(shape) == 2 and shape[1] == _CORNERS and is_named and shape[0] != 1:
        return shape[0] or 0
    return None


def _is_kept(box: DetectorOutput, item: DetectorOutput) -> bool:
    """Whether an output has one score for each of the boxes that another one holds."""
    if _SCORES.search(item.name.lower()) is None or item.dtype not in SCORE_DTYPES:
        return False
    if len(box.shape) == 2:
        return len(item.shape) == 1 and (item.shape[0] or 0) == (box.shape[0] or 0)
    count = _box_count(box)
    return len(item.shape) == 2 and (item.shape[1] or 0) == count


def _scores_of(item: DetectorOutput, box: DetectorOutput) -> list[tuple[int, ClassHint]]:
    """How an output holds scores for the boxes of another one, if it does."""
    count = _box_count(box)
    if len(item.shape) != 3 or item.dtype not in SCORE_DTYPES:
        return []
    if item.shape[1] == count or (count == 0 and item.shape[1] is None):
        return [(count or 0, "last")] if item.shape[2] != 1 else []
    is_column = len(box.shape) == 3 and box.shape[1] == _CORNERS
    is_open = is_column and count == 0 and item.shape[2] is None
    if (item.shape[2] == count or is_open) and item.shape[1] != 1:
        return [(count or 0, "first")]
    return []

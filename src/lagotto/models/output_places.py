"""Outputs and the tensors before them come in; where the scores of each are read goes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lagotto.core.parsing.name_list import NameList
from lagotto.models.files.activation import Activation
from lagotto.models.files.lineage import SELECTING_BOXES
from lagotto.models.files.tensors import SCORE_DTYPES, ClassHint, shape_text
from lagotto.models.reductions.forms import OutputShape


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What is known of a model's output before its file is opened.

    `name` is the `output_name` of model.json. `fits_labels` tells whether the model's list of
    labels fits a number of outputs; `labels` is the list itself. `is_reducible` tells whether a
    shape may be that of the boxes of a detector or the pixels of a segmenter. With `cut`, the
    tensor before a final activation is read.
    """

    cut: bool = True
    name: str | None = None
    fits_labels: Callable[[int], bool] = lambda outputs: False
    is_reducible: Callable[[OutputShape], bool] = lambda shape: False
    labels: NameList | None = None


@dataclass(frozen=True, slots=True)
class PublishedOutput:
    """An output as published, the tensor that holds its scores, and the activation before that.

    `tensor` is the input of an operator `before` which the scores are read, if the output itself is
    a map from names to scores (ZipMap), the best few scores of each picture (TopK), or the winner
    and its score (ArgMax, ReduceMax). `place_of_classes` is known of some
    scores of many boxes. `shape` and `dtype` are those of `tensor`; `dtype` is a numpy name, or the
    framework's own.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    tensor: str
    activation: Activation | None = None
    before: str = ""
    place_of_classes: ClassHint = ""

    @property
    def text(self) -> str:
        """The output for a message: 'scores' [?, 7]."""
        kind = "" if self.dtype in SCORE_DTYPES else f"{self.dtype} "
        place = f" before its {self.before}" if self.before else ""
        return f"{self.name[:80]!r} {kind}{shape_text(self.shape)}{place}"

    @property
    def can_hold_scores(self) -> bool:
        """Whether its type and shape are those of one row of scores a picture.

        The type does not matter if the logits before an activation can be read in their place.
        """
        is_cut = self.activation is not None and self.activation.same_classes
        return (self.dtype in SCORE_DTYPES or is_cut) and self.is_row

    @property
    def is_row(self) -> bool:
        """Whether its shape is that of one row of values a picture."""
        return sum(size != 1 for size in self.shape[1:]) <= 1

    @property
    def holds_classes(self) -> bool:
        """Whether it has scores of several classes for each box, before boxes are selected."""
        axis = 1 if self.class_hint == "first" else 2
        if len(self.shape) != 3 or self.dtype not in SCORE_DTYPES or not self.class_hint:
            return False
        return (self.shape[axis] or 0) > 1

    @property
    def class_hint(self) -> ClassHint:
        """What the operator after its tensor says of the place of the classes."""
        if self.before == "ArgMax" and not self.is_row:
            return "map"
        return self.place_of_classes or SELECTING_BOXES.get(self.before, "")

    def read_as(self, hint: ClassHint, feed: OutputShape | None) -> "PublishedOutput":
        """The output, not read before its activation where its classes lie elsewhere there.

        A transposition or a new shape after the activation moves them: the sigmoid of [1, 70] may
        be published as [1, 10, 7], or that of [1, classes, boxes] as [1, boxes, classes].

        Args:
            hint: What is known of the place of the classes.
            feed: The shape of the tensor before the activation, if there is one.
        """
        axis = {"first": 1, "last": 2}.get(hint)
        if axis is None or feed is None or self.activation is None:
            return self
        if len(feed) == len(self.shape) and feed[axis] == self.shape[axis]:
            return self
        return replace(self, activation=replace(self.activation, same_classes=False))

    @property
    def width(self) -> int | None:
        """The number of scores of one picture; None if it is open."""
        wide = [size for size in self.shape[1:] if size != 1]
        if wide:
            return wide[0]
        if len(self.shape) > 1 and self.shape[0] in (None, 1):
            return 1
        return self.shape[0] if self.shape else None


def best_place(
    places: Sequence[PublishedOutput],
    maps: Sequence[PublishedOutput] = (),
    request: OutputRequest | None = None,
) -> PublishedOutput:
    """Where the scores of one output are read: the first place that can hold them.

    Args:
        places: An output and the tensors before it (`places_of_scores`), the likeliest first.
        maps: Tensors before it that may hold those of many boxes or pixels (`places_of_maps`).
        request: Tells which shapes are those of boxes or pixels.

    Returns:
        The place; the output itself if none fits.
    """
    (itself,) = (place for place in places if not place.before)
    if any(place.can_hold_scores for place in places):
        return next(place for place in places if place.can_hold_scores)
    if request is None or itself.is_row:
        return itself
    for place in maps:
        is_winner = place.before == "ArgMax" and len(place.shape) == 4
        if (is_winner or request.is_reducible(place.shape)) and place.dtype in SCORE_DTYPES:
            return replace(place, place_of_classes=_classes_in_part(place.shape, itself.shape))
    return itself


def _classes_in_part(part: OutputShape, whole: OutputShape) -> ClassHint:
    """Where the classes of scores are that were put together with boxes, as the shapes tell.

    The axis of the boxes is as long in the part as in the whole, that of the classes is not.
    """
    if len(part) != 3 or len(whole) != 3 or None in (*part, *whole) or part[1] == part[2]:
        return ""
    shared = [axis for axis in (1, 2) if part[axis] in whole[1:]]
    return "" if len(shared) != 1 else "first" if shared == [2] else "last"

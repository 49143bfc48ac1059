"""The outputs that a file publishes come in; the one that holds the scores of the classes goes out.

Many files publish more than the scores: an embedding, the winning class, a second head. The scores
are told by evidence, the surest kind first:

1. `output_name` in model.json overrules all the rest.
2. Numbers of a kind that scores have, one row of them a picture. Whole numbers (the winning class),
   texts and maps of features are left out.
3. As wide as the list of labels that belongs to the model.
4. Of logits and their own softmax, the logits: they are what a hub stores, and need no undoing.
5. What is computed last: an output from which layers with weights compute another is an embedding.
6. The name: `embedding`, `hidden` or `box` last; `logits`, `probabilities` or `scores` first.
7. A softmax at the end, where it agrees with the name.

If these do not single out one output, or contradict each other, the file is refused with the names
of its outputs: a wrong guess would be read as scores without a word.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Activation, Node
from lagotto.models.files.lineage import (
    SELECTING_BOXES,
    is_computed_from,
    layers_before,
    same_values_before,
)
from lagotto.models.files.tensors import SCORE_DTYPES, ClassHint, shape_text
from lagotto.models.reductions.forms import Shape
from lagotto.models.reductions.output_sets import DetectorOutput, find_box_scores

_MOST_OUTPUTS = 64
"""Outputs that are compared at most."""

_LISTED = 8
"""Outputs that a message lists at most."""

_NEVER_SCORES = re.compile(
    r"aux|att(?:entio)?n|class_?ids?\b|ind(?:ex|ices)|arg_?max|loss|box|bbox|pre_?logit|landmark"
)
_OTHERWISE = re.compile(
    r"embed|feat|hidden|pool|penultimate|bottleneck|backbone|latent|represent|token|coord|keypoint"
    r"|mask|proj(?:ec|$|_)|vector|encod|heat_?map|recon|variance|uncertain|offset|anchor|descriptor"
)
_SCORES = re.compile(r"logit|prob|softmax|score|confid")
_CLASSES = re.compile(r"class|pred|categor|likelihood|sigmoid")
_SURE, _USUAL, _NEUTRAL, _OTHER = 3, 2, 1, 0


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What is known of a model's output before its file is opened.

    `name` is the `output_name` of model.json. `fits_labels` tells whether the model's list of
    labels fits a number of outputs, `is_reducible` whether a shape may be that of the boxes of a
    detector or the pixels of a segmenter. With `cut`, the tensor before a final activation is read.
    """

    cut: bool = True
    name: str | None = None
    fits_labels: Callable[[int], bool] = lambda outputs: False
    is_reducible: Callable[[Shape], bool] = lambda shape: False


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

    @property
    def width(self) -> int | None:
        """The number of scores of one picture; None if it is open."""
        wide = [size for size in self.shape[1:] if size != 1]
        if wide:
            return wide[0]
        if len(self.shape) > 1 and self.shape[0] in (None, 1):
            return 1
        return self.shape[0] if self.shape else None


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """The index of the output that is read, and a note if there are others.

    `class_hint` is what the other outputs say of the place of its classes.
    """

    index: int
    notes: tuple[str, ...] = ()
    class_hint: ClassHint = ""


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


def _classes_in_part(part: Shape, whole: Shape) -> ClassHint:
    """Where the classes of scores are that were put together with boxes, as the shapes tell.

    The axis of the boxes is as long in the part as in the whole, that of the classes is not.
    """
    if len(part) != 3 or len(whole) != 3 or None in (*part, *whole) or part[1] == part[2]:
        return ""
    shared = [axis for axis in (1, 2) if part[axis] in whole[1:]]
    return "" if len(shared) != 1 else "first" if shared == [2] else "last"


def choose_output(
    outputs: Sequence[PublishedOutput], producers: Mapping[str, Node], request: OutputRequest
) -> OutputChoice:
    """The output that holds the scores; the docstring of this file lists the evidence.

    Args:
        outputs: All outputs of the file, in its order.
        producers: Maps each tensor to the operator that computes it.
        request: What model.json and the labels say.

    Returns:
        The index of the output. The note names the output, the evidence, and what is passed over.

    Raises:
        ModelError: No output or more than one is left; the message lists them.
    """
    if request.name is not None:
        index = _named(outputs, request.name)
        return _choice(outputs, index, "model.json names it")
    if len(outputs) == 1:
        return OutputChoice(0)
    boxes = _box_scores(outputs)
    if boxes is not None:
        return boxes
    fitting = [output for output in outputs if output.can_hold_scores]
    fitting = fitting or [output for output in outputs if _may_be_reduced(output, request)]
    if not fitting or len(fitting) > _MOST_OUTPUTS:
        raise _unclear(outputs)
    chosen, why = _Evidence(outputs, producers).narrow(fitting, request)
    return _choice(outputs, outputs.index(chosen), why)


def _may_be_reduced(output: PublishedOutput, request: OutputRequest) -> bool:
    if output.class_hint:
        return True
    return output.dtype in SCORE_DTYPES and request.is_reducible(output.shape)


def _box_scores(outputs: Sequence[PublishedOutput]) -> OutputChoice | None:
    """The scores of all boxes of a detector; None if it is none.

    Raises ModelError for a detector that publishes only the boxes that it kept.
    """
    for index, output in enumerate(outputs):
        if output.before in SELECTING_BOXES:
            return _choice(outputs, index, "the scores of all boxes")
    found = find_box_scores([DetectorOutput(o.name, o.shape, o.dtype) for o in outputs])
    if found is None:
        return None
    choice = _choice(outputs, found.index, "the scores of the boxes beside it")
    return replace(choice, class_hint=found.class_hint)


@dataclass(frozen=True, slots=True)
class _Evidence:
    outputs: Sequence[PublishedOutput]
    producers: Mapping[str, Node]

    def narrow(
        self, fitting: list[PublishedOutput], request: OutputRequest
    ) -> tuple[PublishedOutput, str]:
        """The one output that all evidence leaves, and the evidence that decided."""
        if len(fitting) == 1:
            return fitting[0], "no other has a row of numbers a picture"
        left = _as_wide_as_labels(fitting, request)
        why = "it is as wide as the list of labels"
        if len(left) == 1:
            self._check_not_an_embedding(left[0], fitting)
            return left[0], why
        for drop, reason in (
            (self._copies, "the others hold the same scores"),
            (self._embeddings, "the others are computed before its last layers"),
            (_named_otherwise, "the names of the others"),
        ):
            dropped = {id(output) for output in drop(left)}  # equal ones are not the same
            left = [output for output in left if id(output) not in dropped]
            if len(left) == 1:
                return left[0], reason
        return self._by_name_or_softmax(left)

    def _copies(self, left: list[PublishedOutput]) -> list[PublishedOutput]:
        """Outputs that are the softmax of another one, or another one under a second name."""
        sources = [same_values_before(self.producers, output.tensor) for output in left]
        ranks = [(bool(output.before), position) for position, output in enumerate(left)]
        dropped: list[int] = []
        for position, output in enumerate(left):
            others = [at for at in range(len(left)) if at != position and at not in dropped]
            activation = output.activation
            feed = None
            if activation is not None and activation.same_classes:
                feed = same_values_before(self.producers, activation.feed)
            is_second = any(
                sources[at] == sources[position] and ranks[at] < ranks[position] for at in others
            )
            if is_second or any(sources[at] == feed for at in others):
                dropped.append(position)
        return [left[position] for position in dropped]

    def _embeddings(self, left: list[PublishedOutput]) -> list[PublishedOutput]:
        """Outputs whose layers are some, but not all, of the layers of another one.

        Raises ModelError if such an output looks like scores: it ends in a softmax or has the name
        of scores, and layers follow it.
        """
        layers = {output.tensor: layers_before(self.producers, output.tensor) for output in left}
        dropped = []
        for output in left:
            later = [other for other in left if layers[output.tensor] < layers[other.tensor]]
            if not later:
                continue
            dropped.append(output)
            source = same_values_before(self.producers, output.tensor)
            if any(is_computed_from(self.producers, item.tensor, source) for item in later):
                continue  # a mean of heads, for example: what is computed of scores is scores
            level = _level(output.name)
            is_finished = output.activation is not None and level > _OTHER
            if is_finished or level == _SURE > max(_level(other.name) for other in later):
                raise _unclear(self.outputs)
        return dropped

    def _check_not_an_embedding(
        self, chosen: PublishedOutput, fitting: list[PublishedOutput]
    ) -> None:
        """Raises ModelError if layers compute another output with a softmax from the chosen one."""
        if chosen.activation is not None:
            return
        before = layers_before(self.producers, chosen.tensor)
        for other in fitting:
            if other.activation is not None and other is not chosen:
                after = layers_before(self.producers, other.tensor)
                if before < after:
                    raise _unclear(self.outputs)

    def _by_name_or_softmax(self, left: list[PublishedOutput]) -> tuple[PublishedOutput, str]:
        best = max(_level(output.name) for output in left)
        named = [output for output in left if _level(output.name) == best]
        if best == _SURE:  # a single number beside a row of them is no score of classes
            named = [output for output in named if output.width != 1] or named
        ending = [
            output
            for output in left
            if output.activation is not None and output.activation.kind == "softmax"
        ]
        if len(named) == 1 and (not ending or named[0] in ending):
            return named[0], "its name"
        if len(ending) == 1 and best < _SURE:
            return ending[0], "it ends in a softmax"
        raise _unclear(self.outputs)


def _as_wide_as_labels(
    fitting: list[PublishedOutput], request: OutputRequest
) -> list[PublishedOutput]:
    """The outputs that the labels fit; all of them if the labels fit none."""
    exact = [item for item in fitting if item.width is not None and request.fits_labels(item.width)]
    if not exact and request.fits_labels(2):  # one unit stands for two labels
        exact = [item for item in fitting if item.width == 1]
    return exact or fitting


def _named_otherwise(left: list[PublishedOutput]) -> list[PublishedOutput]:
    dropped = [output for output in left if _level(output.name) == _OTHER]
    return dropped if len(dropped) < len(left) else []


def _level(name: str) -> int:
    """How much a name says that an output holds scores of classes: 3 surely, 0 surely not."""
    lower = name.lower()
    otherwise = _OTHERWISE.search(lower) is not None
    if _NEVER_SCORES.search(lower):
        return _OTHER
    if _SCORES.search(lower):
        return _NEUTRAL if otherwise else _SURE
    if otherwise:
        return _OTHER
    if _CLASSES.search(lower):
        return _SURE
    return _USUAL if "output" in lower else _NEUTRAL


def _named(outputs: Sequence[PublishedOutput], name: str) -> int:
    names = [output.name for output in outputs]
    if name not in names:
        raise ModelError(
            f"model.json: output_name is {name[:80]!r}, but the file has no such output; allowed: "
            + ", ".join(output.text for output in outputs[:_LISTED])
        )
    return names.index(name)


def _choice(outputs: Sequence[PublishedOutput], index: int, why: str) -> OutputChoice:
    others = [output.text for at, output in enumerate(outputs) if at != index]
    if not others:
        return OutputChoice(index)
    listed = ", ".join(others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
    return OutputChoice(
        index, (f"output {outputs[index].text} is read ({why}); passed over: {listed}",)
    )


def _unclear(outputs: Sequence[PublishedOutput]) -> ModelError:
    listed = ", ".join(output.text for output in outputs[:_LISTED])
    listed += ", ..." if len(outputs) > _LISTED else ""
    return ModelError(
        f"which of the outputs holds the classes is unclear: {listed}; say which in a model.json "
        'beside the file: {"output_name": "..."}, or export the model with one output '
        "[batch, classes]"
    )

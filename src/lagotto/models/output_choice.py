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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lagotto.core.errors import ModelError
from lagotto.models.files.activation import Node
from lagotto.models.files.lineage import (
    SELECTING_BOXES,
    is_computed_from,
    layers_before,
    same_values_before,
)
from lagotto.models.files.tensors import SCORE_DTYPES, ClassHint
from lagotto.models.output_places import OutputRequest, PublishedOutput
from lagotto.models.reductions.kept_boxes import KeptBoxes, count_classes
from lagotto.models.reductions.output_sets import (
    DetectorOutput,
    find_box_scores,
    find_kept_boxes,
)

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
class OutputChoice:
    """The index of the output that is read, and a note if there are others.

    `class_hint` is what the other outputs say of the place of its classes. `kept` are the outputs
    that are read together, where a detector publishes only the boxes that it kept.
    """

    index: int
    notes: tuple[str, ...] = ()
    class_hint: ClassHint = ""
    kept: KeptBoxes | None = None


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
    boxes = _box_scores(outputs, request)
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


def _box_scores(outputs: Sequence[PublishedOutput], request: OutputRequest) -> OutputChoice | None:
    """The scores of all boxes of a detector, else of those that it kept; None if it is none."""
    for index, output in enumerate(outputs):
        if output.before in SELECTING_BOXES:
            return _choice(outputs, index, "the scores of all boxes")
    described = [DetectorOutput(item.name, item.shape, item.dtype, item.before) for item in outputs]
    found = find_box_scores(described)
    if found is not None:
        choice = _choice(outputs, found.index, "the scores of the boxes beside it")
        return replace(choice, class_hint=found.class_hint)
    pair = find_kept_boxes(described)
    if pair is None:
        return None
    kept = count_classes(*pair, outputs[pair[1]].name, request.labels)
    choice = _choice(outputs, kept.scores, "with the classes of the boxes beside it")
    return replace(choice, notes=(kept.note, *choice.notes), kept=kept)


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

"""The boxes that a detector kept, each with its best class, come in; one score a class goes out.

A class that no box was kept for has no score: it counts as ABSENT. So such a detector says less of
its classes than one that publishes the scores of all boxes.
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped

from lagotto.core.errors import ModelError
from lagotto.core.parsing.name_list import NameList
from lagotto.models.files.tensors import OutputTensor, shape_text

ABSENT = 0.01
"""The probability of a class that no kept box has, and the least that there is."""

_BACKGROUND = re.compile(
    r"[\W_]*(?:background|bg|unlabell?ed|n/?a|nothing|\?+)[\W_]*", re.IGNORECASE
)
_FROM_ONE = re.compile(r"detection_classes")


@dataclass(frozen=True, slots=True)
class KeptBoxes:
    """Two outputs with one number for each kept box, and how the second one counts classes.

    Args:
        scores: The index of the output with the scores.
        classes: The index of the output with the numbers of the classes.
        count: How many classes there are.
        first: The number that stands for the first of them.
    """

    scores: int
    classes: int
    count: int
    first: int

    @property
    def note(self) -> str:
        """What is read, in words."""
        return (
            "a detector: one value a class, the highest of the boxes that it kept; a class that "
            f"none has counts as {ABSENT:g}"
        )

    def output(self, name: str) -> OutputTensor:
        """The rows as an output: probabilities."""
        return OutputTensor(name, "sigmoid", False, kind="detector")

    def rows(
        self,
        scores: Shaped[np.ndarray, "..."],
        classes: Shaped[np.ndarray, "..."],
        images: int,
    ) -> Float32[np.ndarray, "images classes"]:
        """The highest score of each class, ABSENT where no box has a better one.

        Raises ModelError if there is not one class for each score.
        """
        if scores.shape != classes.shape or scores.size % images or scores.ndim > 2:
            raise ModelError(
                f"its scores have shape {shape_text(scores.shape)}, the numbers of their classes "
                f"{shape_text(classes.shape)} for {images} picture(s); a detector has one of each "
                "for a box"
            )
        highest = np.full((images, self.count), ABSENT, np.float32)
        places = np.rint(classes.reshape(images, -1).astype(np.float64)) - self.first
        values = scores.reshape(images, -1).astype(np.float32)
        known = (places >= 0) & (places < self.count) & np.isfinite(values)
        pictures = np.nonzero(known)[0]
        np.maximum.at(highest, (pictures, places[known].astype(np.int64)), values[known])
        return highest


def count_classes(scores: int, classes: int, name: str, labels: NameList | None) -> KeptBoxes:
    """How the output of kept boxes named `name` counts the classes of a list of labels.

    Args:
        scores: The index of the output with the scores.
        classes: The index of the output with the numbers of the classes.
        name: The name of that output.
        labels: The labels of the model, if it has any.

    Raises:
        ModelError: There are no labels, or whether they are counted from 0 or 1 is unclear.
    """
    if labels is None:
        raise ModelError(
            "it publishes only the boxes that it kept, each with the number of its class: say its "
            'labels in a model.json beside it ({"labels": [...]}), or export the scores of all '
            "boxes, [batch, boxes, classes]"
        )
    count = len(labels.names)
    has_background = _BACKGROUND.fullmatch(labels.names[0] or "?") is not None
    if has_background or labels.first == 0:
        return KeptBoxes(scores, classes, count, 0)
    if labels.first == 1 or _FROM_ONE.search(name.lower()):
        return KeptBoxes(scores, classes, count, 1)
    raise ModelError(
        "it publishes only the boxes that it kept, each with the number of its class, and whether "
        f"its {count} labels are counted from 0 or from 1 is unclear: give them by number "
        '({"labels": {"1": "..."}} in model.json), or export the scores of all boxes'
    )

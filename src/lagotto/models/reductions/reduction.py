"""Scores of many boxes or pixels come in; the highest one of each class goes out."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Num, Shaped

from lagotto.core.errors import ModelError
from lagotto.core.types import ModelKind, OutputKind
from lagotto.models.files.tensors import OutputTensor, real_values, shape_text

Places: TypeAlias = Literal["boxes", "pixels"]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Where an output holds the scores of its classes, and what is made of them.

    Args:
        kind: What the model is.
        places: What it has many of.
        rank: The number of axes of the output, with that of the pictures, which is the first.
        class_axis: The axis of the classes.
        first: Where they start on it.
        last: Where they end, exclusive.
        objectness: The index on the same axis of the probability that a box holds anything; None if
            there is none. The score of a class is its own times this one.
        values: What the scores are, as far as their values tell.
        notes: What a reader should know.
    """

    kind: ModelKind
    places: Places
    rank: int
    class_axis: int
    first: int
    last: int
    objectness: int | None = None
    values: OutputKind = "logits"
    notes: tuple[str, ...] = ()

    def rows(
        self, raw: Shaped[np.ndarray, "..."], images: int, tensor: OutputTensor
    ) -> Num[np.ndarray, "images classes"]:
        """The highest score of each class over all boxes or pixels of a picture.

        Scores with an objectness are probabilities (real numbers); all others are as published.

        Raises:
            ModelError: The output has another shape than the one that was planned for.
        """
        scores = self.scores(raw, images, tensor.name)
        if self.objectness is None:
            highest: Num[np.ndarray, "images classes"] = np.max(scores, axis=1)
            return highest
        spread = _spread(raw, images, self)[..., self.objectness]
        present, real = (
            real_values(values, tensor).astype(np.float32) for values in (spread, scores)
        )
        if self.values == "logits":
            present, real = _sigmoid(present), _sigmoid(real)
        product: Num[np.ndarray, "images classes"] = np.max(present[..., None] * real, axis=1)
        return product

    def scores(
        self, raw: Shaped[np.ndarray, "..."], images: int, name: str
    ) -> Num[np.ndarray, "images places classes"]:
        """The scores of the classes at each place, as published and without the objectness."""
        spread = _spread(raw, images, self)
        if spread.shape[2] < self.last or spread.shape[1] == 0:
            raise ModelError(
                f"output {name!r} has shape {shape_text(raw.shape)} for {images} picture(s): too "
                "few values for its classes, or no boxes at all"
            )
        return spread[..., self.first : self.last]


def _spread(
    raw: Shaped[np.ndarray, "..."], images: int, reduction: Reduction
) -> Shaped[np.ndarray, "images places values"]:
    """An output with its classes last and one axis of places."""
    if raw.ndim != reduction.rank or raw.shape[0] != images:
        raise ModelError(
            f"an output has shape {shape_text(raw.shape)} for {images} picture(s); before, it had "
            f"{reduction.rank} axes, the first of them that of the pictures"
        )
    moved = np.moveaxis(raw, reduction.class_axis, -1)
    return moved.reshape(images, -1, moved.shape[-1])


def _sigmoid(values: Num[np.ndarray, "*shape"]) -> Num[np.ndarray, "*shape"]:
    return 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -500, 500)))

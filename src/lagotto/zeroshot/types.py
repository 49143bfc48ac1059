"""What the stages of zero-shot classification pass on: captions, votes, predictions.

Method: X-MoRe (arXiv 2308.15273), section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int64

Mode: TypeAlias = Literal["guarded", "paper", "paper-code", "image-only", "captions-only"]


@runtime_checkable
class Captions(Protocol):
    """An image-text store in memory maps: rows are unit embeddings of one encoder.

    Captions of one picture are neighbours: `starts[i]` to `ends[i] - 1` are those of picture i.
    What is in no such range has no picture (text-only).
    """

    @property
    def image_embeddings(self) -> Float[np.ndarray, "pictures dim"]:
        """Pictures, memory-mapped; no rows in a text-only store."""

    @property
    def text_embeddings(self) -> Float[np.ndarray, "captions dim"]:
        """Captions, memory-mapped."""

    @property
    def starts(self) -> Int64[np.ndarray, " pictures_plus_1"]:
        """First caption of each picture, and one past the last caption that has a picture."""

    @property
    def ends(self) -> Int64[np.ndarray, " pictures"]:
        """One past the last caption of each picture."""

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions as they were written."""


@dataclass(frozen=True, slots=True)
class RetrievedCaption:
    """A caption that votes: its place in the store, its text, its cosine with the query image."""

    index: int
    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ModelVote:
    """What a found model says of one picture.

    `probabilities` are 0 for labels that it does not know; for those together it leaves `rest`.
    `weight` (0 to 1) is how far its votes are believed, the same for all pictures.
    """

    model: str
    probabilities: Float64[np.ndarray, " labels"]
    rest: float
    weight: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """One picture: probabilities over the labels by each vote and together.

    `weights` are those of the image vote and the caption vote, `hub_weight` that of all found
    models; they sum to 1. `declined` says why the captions were not asked, or is empty. `captions`
    are best first, `votes` those of the models asked.
    """

    path: str
    probabilities: Float64[np.ndarray, " labels"]
    image_only: Float64[np.ndarray, " labels"]
    weights: tuple[float, float]
    captions: tuple[RetrievedCaption, ...]
    declined: str = ""
    hub_weight: float = 0.0
    votes: tuple[ModelVote, ...] = ()

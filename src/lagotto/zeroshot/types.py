"""The types that the steps of zero-shot classification exchange: captions, votes, predictions.

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
    """An image-text store: arrays of unit embeddings by one encoder, usually memory-mapped.

    The captions of a picture have consecutive rows: `starts[i]` to `ends[i] - 1` belong to
    picture i. A caption outside every such range has no picture (it is text-only).
    """

    @property
    def image_embeddings(self) -> Float[np.ndarray, "pictures dim"]:
        """Unit embeddings of the pictures; no rows in a text-only store."""

    @property
    def text_embeddings(self) -> Float[np.ndarray, "captions dim"]:
        """Unit embeddings of the captions."""

    @property
    def starts(self) -> Int64[np.ndarray, " pictures_plus_1"]:
        """First caption of each picture, and one past the last caption that has a picture."""

    @property
    def ends(self) -> Int64[np.ndarray, " pictures"]:
        """One past the last caption of each picture."""

    def texts(self, indices: Sequence[int]) -> list[str]:
        """The captions at these rows, as their authors wrote them."""


@dataclass(frozen=True, slots=True)
class RetrievedCaption:
    """A caption that votes: its row in the store, its text, its cosine with the query image."""

    index: int
    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ModelVote:
    """The vote of one model of a hub on one picture.

    `probabilities` are 0 for labels that the model does not know; `rest` is the probability that
    it gives to those labels together. `weight` (0 to 1) is how much its votes count; it is the
    same for all pictures.
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

"""The types that the steps of zero-shot classification exchange: captions, votes, predictions.

Method: X-MoRe (arXiv 2308.15273), section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.results.equality import ComparedByValue
from lagotto.core.results.html import SmallPicture, html_line, html_pictures, html_table
from lagotto.neighbors.base import StoredRows

NONE_OF_THESE = "(none of these)"
"""The label of a picture that was rejected."""

REMARK_FROM = 0.5
"""P(none) from which a prediction says so beside its label."""

Mode: TypeAlias = Literal["guarded", "paper", "paper-code", "image-only", "captions-only"]


@runtime_checkable
class Captions(Protocol):
    """An image-text store: unit embeddings by one encoder, usually memory-mapped arrays.

    The captions of a picture have consecutive rows: `starts[i]` to `ends[i] - 1` belong to
    picture i. A caption outside every such range has no picture (it is text-only).
    """

    @property
    def image_embeddings(self) -> StoredRows:
        """Unit embeddings of the pictures; no rows in a text-only store."""

    @property
    def text_embeddings(self) -> StoredRows:
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
class Suggestion:
    """What a picture may be that is none of the labels.

    `probability` is that among the words of the open vocabulary, or the share that `model`, a model
    of a hub, gives to its output of this name. `captions` counts the captions found for the picture
    that name it.
    """

    name: str
    probability: float
    captions: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ModelVote(ComparedByValue):
    """The vote of one model of a hub on one picture.

    `probabilities` are 0 for labels that the model does not know; `rest` is the probability that
    it gives to those labels together. `weight` (0 to 1) is how much its votes count; it is the
    same for all pictures.
    """

    model: str
    probabilities: Float64[np.ndarray, " labels"]
    rest: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction(ComparedByValue):
    """One picture: probabilities over the labels by each vote and together.

    `weights` are those of the image vote and the caption vote, `hub_weight` that of all found
    models; they sum to 1. `declined` says why the captions were not asked, or is empty. `captions`
    are best first, `votes` those of the models asked. `labels` are the names of the labels, in the
    order of the probabilities.

    `none` is the probability that none of the labels fits, `suggestions` what the picture may be
    instead, best first. `rejected` says that `none` reached the threshold of the classifier; then
    `label` is NONE_OF_THESE. The probabilities of the labels always sum to 1: they are those if one
    of the labels fits.

    Predictions are equal, and hash alike, if all their values are equal.
    """

    path: str
    probabilities: Float64[np.ndarray, " labels"]
    image_only: Float64[np.ndarray, " labels"]
    weights: tuple[float, float]
    captions: tuple[RetrievedCaption, ...]
    declined: str = ""
    hub_weight: float = 0.0
    votes: tuple[ModelVote, ...] = ()
    labels: tuple[str, ...] = ()
    none: float = 0.0
    suggestions: tuple[Suggestion, ...] = ()
    rejected: bool = False

    @property
    def label(self) -> str:
        """The label of the highest probability; of several, the first. NONE_OF_THESE if rejected.

        Raises:
            UsageError: If the prediction was made without the labels' names.
        """
        best = self.top(1)[0][0]
        return NONE_OF_THESE if self.rejected else best

    @property
    def none_remark(self) -> str:
        """That probably none of the labels fits, and what does, in one line; empty otherwise."""
        if self.none < REMARK_FROM and not self.rejected:
            return ""
        remark = f"probably none of these ({self.none:.2f})"
        if self.none < REMARK_FROM:
            remark = f"perhaps none of these ({self.none:.2f})"
        said = max(self.suggestions, key=lambda each: each.captions, default=None)
        by_model = next((each for each in self.suggestions if each.model), None)
        if by_model is not None:
            return f"{remark}: {by_model.model} says {by_model.name}"
        enough = max(2, len(self.captions) / 4)
        agreed = not self.declined or said == self.suggestions[0]
        if said is not None and said.captions >= enough and agreed:
            return f"{remark}: captions say {said.name}"
        if self.suggestions:
            return f"{remark}: it looks like {self.suggestions[0].name}"
        return remark

    @property
    def remark(self) -> str:
        """All that should be said beside the label: `none_remark`, and why captions declined."""
        return "; ".join(part for part in (self.none_remark, self.declined) if part)

    def top(self, k: int = 5) -> tuple[tuple[str, float], ...]:
        """The `k` most probable labels with their probabilities, best first.

        Args:
            k: How many labels, at most.

        Raises:
            UsageError: If k is below 1, or the prediction was made without the labels' names.

        Example:
            >>> even = np.array([0.25, 0.75])
            >>> Prediction("a.jpg", even, even, (1.0, 0.0), (), labels=("cat", "dog")).top(1)
            (('dog', 0.75),)
        """
        if k < 1:
            raise UsageError(f"top {k} was asked for; give 1 or more")
        if len(self.labels) != len(self.probabilities):
            raise UsageError(
                f"this prediction has {len(self.probabilities)} probabilities and "
                f"{len(self.labels)} label names; make it with labels=NAMES"
            )
        order = np.argsort(-self.probabilities, kind="stable")[:k].tolist()
        return tuple((self.labels[i], float(self.probabilities[i])) for i in order)

    def _repr_html_(self) -> str:
        names = self.labels or tuple(map(str, range(len(self.probabilities))))
        order = np.argsort(-self.probabilities, kind="stable")[:_SHOWN_LABELS].tolist()
        rows = [
            (names[i], f"{self.probabilities[i]:.3f}", f"{self.image_only[i]:.3f}") for i in order
        ]
        weights = f"image {self.weights[0]:.2f}, captions {self.weights[1]:.2f}"
        description = f"{weights}, models {self.hub_weight:.2f}" if self.votes else weights
        captions = [(f"{each.similarity:.3f}", each.text) for each in self.captions]
        parts = [
            html_pictures(self.path, self._thumbnail()) or html_line(self.path),
            html_table(("label", "probability", "image alone"), rows, _NUMERIC),
            html_line(f"weights: {description}"),
        ]
        if self.none_remark:
            parts.append(html_line(self.none_remark))
        if self.declined:
            parts.append(html_line(f"captions declined: {self.declined}"))
        if captions:
            parts.append(html_table(("similarity", "caption"), captions[:_SHOWN_LABELS], _NUMERIC))
        return "".join(parts)

    def _thumbnail(self) -> tuple[SmallPicture, ...]:
        """The picture, if it is a file that can still be read."""
        from lagotto.core.images import decode_picture, read_picture_file
        from lagotto.core.results.thumbnails import thumbnail_uri

        try:
            uri = thumbnail_uri(decode_picture(read_picture_file(Path(self.path))), side=160)
        except PictureError:
            return ()
        return (SmallPicture(uri, self.path),) if uri else ()


_SHOWN_LABELS = 8
_NUMERIC = frozenset({"probability", "image alone", "similarity"})

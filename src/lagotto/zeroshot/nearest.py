"""A caption store and a part of it come in; the search for the nearest rows of that goes out.

A store that has a search of its own, such as one on a server, brings it. Every other one is
searched exactly, row by row.
"""

from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Int64

from lagotto.neighbors.base import RowIndex
from lagotto.neighbors.exact import ExactIndex
from lagotto.zeroshot.types import Captions

StorePart: TypeAlias = Literal["pictures", "captions", "text_only"]
"""All pictures, all captions, or the captions without a picture."""


@runtime_checkable
class OwnSearch(Protocol):
    """Captions that may be searched where they lie."""

    def own_search(self, part: StorePart) -> RowIndex | None:
        """The search over a part of the rows; None where there is none but that of the rows."""


def search_of(captions: Captions, part: StorePart, *, keep: bool = True) -> RowIndex:
    """The search for the nearest rows of a part.

    Args:
        captions: The store.
        part: What is searched.
        keep: Whether an exact search may keep the rows in memory, for many calls.
    """
    own = captions.own_search(part) if isinstance(captions, OwnSearch) else None
    if own is not None:
        return own
    if part == "pictures":
        return ExactIndex(captions.image_embeddings, keep=keep)
    spans = text_only_spans(captions) if part == "text_only" else None
    return ExactIndex(captions.text_embeddings, spans, keep=keep)


def text_only_spans(captions: Captions) -> Int64[np.ndarray, "spans 2"]:
    """The ranges of rows (start, end) whose captions have no picture."""
    starts = np.asarray(captions.starts[:-1], np.int64)
    ends = np.asarray(captions.ends, np.int64)
    first = np.concatenate([np.zeros(1, np.int64), ends])
    last = np.concatenate([starts, np.array([len(captions.text_embeddings)], np.int64)])
    spans = np.stack([first, last], axis=1)
    return spans[spans[:, 0] < spans[:, 1]]

"""The nearest captions and pictures of a store to one query, for `lagotto captions search`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.neighbors.exact import NearestRows
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.types import RetrievedCaption

_SHOWN_CAPTIONS = 3


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A stored picture: its row, where it is from, its cosine with the query, first captions."""

    index: int
    source: str
    similarity: float
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundCaptions:
    """What is nearest to a query, best first; no pictures for a text."""

    pictures: tuple[FoundPicture, ...]
    captions: tuple[RetrievedCaption, ...]


def search_text(store: CaptionStore, text: str, top: int) -> FoundCaptions:
    """The captions nearest to a text."""
    if not text.strip():
        raise UsageError("the text is empty; give words or a picture file")
    return FoundCaptions((), _captions(store, store.encoder.embed_texts([text])[0], top))


def search_picture(store: CaptionStore, file: Path, top: int) -> FoundCaptions:
    """The pictures and the captions nearest to a picture; UsageError if it cannot be read."""
    try:
        picture = decode_picture(read_picture_file(file))
    except PictureError as error:
        raise UsageError(f"picture {file}: {error}") from error
    pixels = to_pixels(picture, store.encoder.info.pixels)
    vector = store.encoder.embed_pixels(pixels[None])[0]
    rows, similarities = NearestRows(store.image_embeddings).search(vector[None], top)
    pictures = []
    for row, similarity in zip(rows[0].tolist(), similarities[0].tolist(), strict=True):
        span = range(int(store.starts[row]), int(store.ends[row]))
        texts = store.texts(span[:_SHOWN_CAPTIONS])
        pictures.append(FoundPicture(row, store.sources(span[:1])[0], similarity, tuple(texts)))
    return FoundCaptions(tuple(pictures), _captions(store, vector, top))


def _captions(
    store: CaptionStore, vector: Float32[np.ndarray, " dim"], top: int
) -> tuple[RetrievedCaption, ...]:
    rows, similarities = NearestRows(store.text_embeddings).search(vector[None], top)
    numbers = rows[0].tolist()
    return tuple(
        RetrievedCaption(row, text, similarity)
        for row, text, similarity in zip(
            numbers, store.texts(numbers), similarities[0].tolist(), strict=True
        )
    )

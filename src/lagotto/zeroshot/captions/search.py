"""A store and one query come in; the nearest captions and pictures of the store go out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.nearest import search_of
from lagotto.zeroshot.types import RetrievedCaption

_CAPTIONS_PER_PICTURE = 3


@dataclass(frozen=True, slots=True)
class PictureResult:
    """A stored picture: its row, its source, its cosine with the query, its first captions."""

    index: int
    source: str
    similarity: float
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaptionResults:
    """The nearest pictures and captions, best first; a text query has no pictures."""

    pictures: tuple[PictureResult, ...]
    captions: tuple[RetrievedCaption, ...]


def search_text(store: CaptionStore, text: str, top: int) -> CaptionResults:
    """The `top` captions nearest to a text; UsageError if it is empty."""
    if not text.strip():
        raise UsageError("the text is empty; give words or a picture file")
    return CaptionResults((), _captions(store, store.encoder.embed_texts([text])[0], top))


def search_picture(store: CaptionStore, file: Path, top: int) -> CaptionResults:
    """The `top` pictures and captions nearest to a picture; UsageError if it cannot be read."""
    try:
        picture = decode_picture(read_picture_file(file))
    except PictureError as error:
        raise UsageError(f"picture {file}: {error}") from error
    pixels = to_pixels(picture, store.encoder.info.pixels)
    vector = store.encoder.embed_pixels(pixels[None])[0]
    rows, similarities = search_of(store, "pictures").search(vector[None], top)
    pictures = []
    for row, similarity in zip(rows[0].tolist(), similarities[0].tolist(), strict=True):
        span = range(int(store.starts[row]), int(store.ends[row]))
        texts = store.texts(span[:_CAPTIONS_PER_PICTURE])
        pictures.append(PictureResult(row, store.sources(span[:1])[0], similarity, tuple(texts)))
    return CaptionResults(tuple(pictures), _captions(store, vector, top))


def _captions(
    store: CaptionStore, vector: Float32[np.ndarray, " dim"], top: int
) -> tuple[RetrievedCaption, ...]:
    rows, similarities = search_of(store, "captions").search(vector[None], top)
    indices = rows[0].tolist()
    return tuple(
        RetrievedCaption(row, text, similarity)
        for row, text, similarity in zip(
            indices, store.texts(indices), similarities[0].tolist(), strict=True
        )
    )

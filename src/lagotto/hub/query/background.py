"""An encoder comes in; the background words, common nouns, go out with their embeddings.

A query is compared with these words: how well a probe shows a concept is not told by a cosine
alone. The words ship with the package. Their embeddings are made when a hub is made, and kept in
HUB/background.safetensors; a search reads them, or makes them in memory where there are none.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError
from lagotto.core.progress import Progress
from lagotto.encoders.background.words import background_words, embed_background
from lagotto.encoders.base import Encoder
from lagotto.hub.store.tensorfile import (
    header_text,
    open_derived,
    write_tensors,
)

_FORMAT = "lagotto-background"
_VERSION = 1


def open_background(path: Path, encoder: Encoder) -> Float32[np.ndarray, "words dim"]:
    """The embeddings in the file `path`, or made in memory where they are not of this encoder.

    Nothing is written.
    """
    embeddings = _read(path, _source_digest(encoder))
    return embed_background(encoder) if embeddings is None else embeddings


def keep_background(path: Path, encoder: Encoder, progress: Progress) -> None:
    """Writes the embeddings to the file `path`, unless it holds those of this encoder.

    Raises HubError if it cannot be written.
    """
    source = _source_digest(encoder)
    if _read(path, source) is None:
        embeddings = embed_background(encoder, progress)
        write_tensors(
            path,
            {"format": _FORMAT, "version": _VERSION, "made_of": source},
            {"values": ("F32", embeddings.shape)},
            lambda arrays: np.copyto(arrays["values"], embeddings),
        )


def _read(path: Path, source: str) -> Float32[np.ndarray, "words dim"] | None:
    """The embeddings in a file; None if it is missing, damaged or made of anything else."""
    try:
        file = open_derived(path, _FORMAT, _VERSION)
        values = file.arrays.get("values")
        if values is None or header_text(file, "made_of") != source:
            return None
    except HubError:
        return None
    return np.array(values, dtype=np.float32)


def _source_digest(encoder: Encoder) -> str:
    """sha256 of what the embeddings depend on: encoder, prompt and words."""
    parts = (encoder.info.fingerprint, encoder.info.prompt_template, *background_words())
    return sha256("\n".join(parts).encode()).hexdigest()

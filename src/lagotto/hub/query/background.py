"""An encoder comes in; the background words, common nouns, go out with their embeddings.

A query is compared with these words: how well a probe shows a concept is not told by a cosine
alone. The words ship with the package. Their embeddings are made when a hub is made, and kept in
HUB/background.safetensors; a search reads them, or makes them in memory where there are none.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError
from lagotto.core.progress import Progress, Silent
from lagotto.encoders.base import Encoder
from lagotto.hub.store.tensorfile import (
    header_text,
    open_derived,
    write_tensors,
)

_FORMAT = "lagotto-background"
_VERSION = 1
_BATCH = 256


@cache
def background_words() -> tuple[str, ...]:
    """The words of vocabulary.txt, each once, in its order."""
    text = files("lagotto.hub.text").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def embed_background(
    encoder: Encoder, progress: Progress | None = None
) -> Float32[np.ndarray, "words dim"]:
    """Unit embeddings of the words in the encoder's own prompt; takes about a second."""
    return embed_words(encoder, background_words(), progress)


def embed_words(
    encoder: Encoder, words: Sequence[str], progress: Progress | None = None
) -> Float32[np.ndarray, "words dim"]:
    """Unit embeddings of some words, each in the encoder's own prompt."""
    meter = progress or Silent()
    prompts = [encoder.info.prompt_template.replace("{}", word) for word in words]
    meter.start("embedding words", len(prompts), "words")
    embeddings = []
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        embeddings.append(encoder.embed_texts(batch))
        meter.advance(len(batch))
    meter.finish()
    return np.concatenate(embeddings)


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

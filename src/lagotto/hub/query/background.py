"""An encoder comes in; the embeddings of common nouns, the background of every query, go out.

Whether a probe shows a concept is decided by comparing the concept with other concepts: the cosine
alone does not say. The words ship with the package. Their embeddings are made once for a hub and
stored in HUB/background.
"""

from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError
from lagotto.encoders.base import Encoder
from lagotto.hub.store.tensorfile import (
    header_text,
    open_tensors,
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


def embed_background(encoder: Encoder) -> Float32[np.ndarray, "words dim"]:
    """Unit embeddings of the words in the encoder's own prompt; takes about a second."""
    prompts = [encoder.info.prompt_template.replace("{}", word) for word in background_words()]
    batches = [prompts[start : start + _BATCH] for start in range(0, len(prompts), _BATCH)]
    return np.concatenate([encoder.embed_texts(batch) for batch in batches])


def open_background(path: Path, encoder: Encoder) -> Float32[np.ndarray, "words dim"]:
    """The embeddings stored in `path`; they are made and written first where it has no fresh ones.

    If the folder cannot be written, they are made again each time.
    """
    digest = _digest(encoder)
    try:
        file = open_tensors(path, _FORMAT, _VERSION)
        values = file.arrays.get("values")
        if values is not None and header_text(file, "made_of") == digest:
            return np.array(values, dtype=np.float32)
    except HubError:
        pass
    embeddings = embed_background(encoder)
    with suppress(HubError):
        write_tensors(
            path,
            {"format": _FORMAT, "version": _VERSION, "made_of": digest},
            {"values": ("F32", embeddings.shape)},
            lambda arrays: np.copyto(arrays["values"], embeddings),
        )
    return embeddings


def _digest(encoder: Encoder) -> str:
    """A digest of what the embeddings depend on: encoder, prompt and words."""
    parts = (encoder.info.fingerprint, encoder.info.prompt_template, *background_words())
    return sha256("\n".join(parts).encode()).hexdigest()

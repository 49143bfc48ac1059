"""Stage 4a of hub search: common nouns and their embeddings, against which a query is judged.

How well a probe shows a concept is told by comparing it with other concepts, not by a cosine alone.
The words ship with the package; their embeddings are made once a hub and kept in HUB/background.
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
    """Unit embeddings of the words in the encoder's own prompt; about a second."""
    prompts = [encoder.info.prompt_template.replace("{}", word) for word in background_words()]
    parts = [prompts[start : start + _BATCH] for start in range(0, len(prompts), _BATCH)]
    return np.concatenate([encoder.embed_texts(part) for part in parts])


def open_background(path: Path, encoder: Encoder) -> Float32[np.ndarray, "words dim"]:
    """The embeddings kept in `path`, made and written first where they are not what they should be.

    A folder that cannot be written costs the second again each time, and nothing else.
    """
    wanted = _digest(encoder)
    try:
        file = open_tensors(path, _FORMAT, _VERSION)
        values = file.arrays.get("values")
        if values is not None and header_text(file, "made_of") == wanted:
            return np.array(values, dtype=np.float32)
    except HubError:
        pass
    embeddings = embed_background(encoder)
    with suppress(HubError):
        write_tensors(
            path,
            {"format": _FORMAT, "version": _VERSION, "made_of": wanted},
            {"values": ("F32", embeddings.shape)},
            lambda arrays: np.copyto(arrays["values"], embeddings),
        )
    return embeddings


def _digest(encoder: Encoder) -> str:
    """What the embeddings depend on: encoder, prompt and words."""
    parts = (encoder.info.fingerprint, encoder.info.prompt_template, *background_words())
    return sha256("\n".join(parts).encode()).hexdigest()

"""An encoder comes in; the background words, common nouns, go out with their embeddings.

A concept is compared with these words: whether a picture shows it is not told by a cosine alone.
The words ship with the package.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float32

from lagotto.core.progress import Progress, Silent
from lagotto.encoders.base import Encoder

_BATCH = 256


@cache
def background_words() -> tuple[str, ...]:
    """The words of vocabulary.txt, each once, in its order."""
    text = files("lagotto.encoders.background").joinpath("vocabulary.txt").read_text("utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def embed_background(
    encoder: Encoder, progress: Progress | None = None, more: tuple[str, ...] = ()
) -> Float32[np.ndarray, "words dim"]:
    """Unit embeddings of the words in the encoder's own prompt; takes about a second.

    Args:
        encoder: The encoder.
        progress: Receives the progress of the work.
        more: Further words, embedded after the background words.
    """
    meter = progress or Silent()
    words = (*background_words(), *more)
    prompts = [encoder.info.prompt_template.replace("{}", word) for word in words]
    meter.start("embedding words", len(prompts), "words")
    embeddings = []
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        embeddings.append(encoder.embed_texts(batch))
        meter.advance(len(batch))
    meter.finish()
    return np.concatenate(embeddings)

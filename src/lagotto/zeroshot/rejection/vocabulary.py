"""An encoder and a caption store come in; the open vocabulary, with its curve, goes out.

It is kept in the store's folder, so that words are embedded once. A folder that cannot be written
gives the same answers, more slowly.
"""

import io
from collections import OrderedDict
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import CaptionError, HubError
from lagotto.core.files import canonical_json, read_array, read_json, write_atomically
from lagotto.core.progress import Progress
from lagotto.encoders.background.words import background_words, embed_background
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.rejection.batch_curve import (
    DEFAULT_BATCH_CURVE,
    BatchCurve,
    fit_batch_curve,
)
from lagotto.zeroshot.rejection.curve import DEFAULT_CURVE, RejectionCurve, fit_curve
from lagotto.zeroshot.rejection.nouns import even_sample, store_nouns
from lagotto.zeroshot.rejection.store_pictures import StorePictures
from lagotto.zeroshot.types import Captions

VOCABULARY_RECORD = "vocabulary.json"
ARRAY_NAME = "vocabulary.npy"
_VERSION = 2
_REMEMBERED = 4


@dataclass(frozen=True, slots=True)
class OpenVocabulary:
    """Words with unit embeddings, the background words first, then the nouns of the store.

    `curve` turns the evidence of one picture into a probability, `batch_curve` that of pictures
    that are asked together; those of the package where the store gave none.
    """

    words: tuple[str, ...]
    embeddings: Float32[np.ndarray, "words dim"]
    curve: RejectionCurve = DEFAULT_CURVE
    batch_curve: BatchCurve = DEFAULT_BATCH_CURVE

    @property
    def background(self) -> Float32[np.ndarray, "background dim"]:
        """The embeddings of the background words alone."""
        return self.embeddings[: len(background_words())]


_in_memory: OrderedDict[tuple[str, ...], Float32[np.ndarray, "words dim"]] = OrderedDict()


def open_vocabulary(
    encoder: Encoder,
    captions: Captions | None,
    folder: Path | None,
    made_from: str,
    progress: Progress | None = None,
) -> OpenVocabulary:
    """The vocabulary of an encoder and a store; read from `folder` where it was kept.

    Args:
        encoder: The encoder.
        captions: The store; None for the background words alone.
        folder: Where it is kept; None to keep nothing.
        made_from: What the vocabulary depends on beside the background words, in one line.
        progress: Receives the progress of embedding words, where none are kept.
    """
    if captions is None:
        return OpenVocabulary(background_words(), _background(encoder, progress))
    source = sha256("\n".join((made_from, *background_words())).encode()).hexdigest()
    kept = None if folder is None else _read(folder, source, encoder.info.dim)
    if kept is not None:
        return kept
    count = len(captions.text_embeddings)
    more = store_nouns(captions.texts(list(even_sample(count))))
    background = _background(encoder, progress)
    prompts = [encoder.info.prompt_template.replace("{}", word) for word in more]
    embeddings = np.concatenate([background, encoder.embed_texts(prompts)]) if more else background
    pictures = StorePictures.of(captions, background, encoder.info.logit_scale)
    curve = batch_curve = None
    if pictures is not None:
        curve, batch_curve = fit_curve(pictures), fit_batch_curve(pictures)
    made = OpenVocabulary(
        (*background_words(), *more),
        embeddings.astype(np.float32),
        curve or DEFAULT_CURVE,
        batch_curve or DEFAULT_BATCH_CURVE,
    )
    if folder is not None:
        _keep(folder, source, made)
    return made


def _background(encoder: Encoder, progress: Progress | None) -> Float32[np.ndarray, "words dim"]:
    """The embeddings of the background words, remembered for the last few encoders."""
    key = (encoder.info.fingerprint, encoder.info.prompt_template)
    embeddings = _in_memory.get(key)
    if embeddings is None:
        embeddings = _in_memory[key] = embed_background(encoder, progress)
        while len(_in_memory) > _REMEMBERED:
            _in_memory.popitem(last=False)
    return embeddings


def _read(folder: Path, source: str, dim: int) -> OpenVocabulary | None:
    """What was kept; None if it is missing, damaged or made from anything else."""
    if not (folder / VOCABULARY_RECORD).is_file():
        return None
    try:
        row = read_json(folder / VOCABULARY_RECORD, "vocabulary", CaptionError)
        if row.get("version") != _VERSION or row.get("made_from") != source:
            return None
        more = row["words"]
        if not isinstance(more, list):
            return None
        words = (*background_words(), *map(str, more))
        embeddings = read_array(folder / ARRAY_NAME, CaptionError)
        if embeddings.shape != (len(words), dim) or embeddings.dtype != np.float32:
            return None
        if not np.isfinite(embeddings).all():
            return None
        curve = RejectionCurve(**_numbers(row["curve"]))
        return OpenVocabulary(words, embeddings, curve, BatchCurve(**_numbers(row["batch_curve"])))
    except (CaptionError, KeyError, TypeError, ValueError):
        return None


def _numbers(values: object) -> dict[str, Any]:
    """The finite numbers of an object of JSON; `lists` is whole.

    Raises:
        TypeError: It is none.
        ValueError: A value is no finite number.
    """
    if not isinstance(values, dict):
        raise TypeError(type(values).__name__)
    numbers: dict[str, Any] = {key: float(str(value)) for key, value in values.items()}
    if not np.isfinite(list(numbers.values())).all():
        raise ValueError("a number that is not finite")
    return numbers | {"lists": int(numbers["lists"])}


def _keep(folder: Path, source: str, made: OpenVocabulary) -> None:
    """Writes the array, then its record; a folder that cannot be written keeps nothing."""
    array = io.BytesIO()
    np.save(array, made.embeddings, allow_pickle=False)
    record = canonical_json(
        {
            "version": _VERSION,
            "made_from": source,
            "words": list(made.words[len(background_words()) :]),
            "curve": asdict(made.curve),
            "batch_curve": asdict(made.batch_curve),
        }
    )
    try:
        (folder / VOCABULARY_RECORD).unlink(missing_ok=True)  # never a record beside another array
        write_atomically(folder / ARRAY_NAME, array.getvalue())
        write_atomically(folder / VOCABULARY_RECORD, record + b"\n")
    except (HubError, OSError):
        return

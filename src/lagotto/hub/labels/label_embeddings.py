"""A hub's labels come in; the labels as vectors go out, kept in one file.

The file is HUB/label_embeddings.safetensors. It is written when models are added; a search reads
it, or embeds the labels in memory where the file is missing or of other labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError
from lagotto.core.files import canonical_json
from lagotto.core.progress import Progress, Silent
from lagotto.core.text.names import first_name
from lagotto.core.types import JsonValue
from lagotto.encoders.background.words import background_words
from lagotto.encoders.base import Encoder
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.store.tensorfile import Array, header_text, open_derived, write_tensors
from lagotto.hub.text.meaning import LabelEmbeddings, quantize_directions

_FORMAT = "lagotto-label-embeddings"
_VERSION = 1
_BATCH = 256
_KEY_BYTES = 16


def open_label_embeddings(
    path: Path, labels: Sequence[str], encoder: Encoder, space: ProbeSpace
) -> LabelEmbeddings:
    """The labels of a hub as vectors; nothing is written.

    Args:
        path: the file that may hold them.
        labels: every label of the hub once.
        encoder: the hub's encoder.
        space: the background words in the encoder's space.

    Returns:
        The vectors in the file, as far as it holds these labels; the others are embedded, which
        takes about a second a thousand.
    """
    return _complete(_read(path, _source_digest(encoder)), labels, encoder, space, Silent())


def keep_label_embeddings(
    path: Path, labels: Sequence[str], encoder: Encoder, space: ProbeSpace, progress: Progress
) -> None:
    """Embeds the labels and writes them, unless the file holds just these labels.

    Labels that the file holds already are not embedded again. The arguments are those of
    `open_label_embeddings`. Raises HubError if `path` cannot be written.
    """
    source = _source_digest(encoder)
    stored = _read(path, source)
    keys = [_key(label) for label in labels]
    if stored is not None and stored.keys == keys:
        return
    vectors = _complete(stored, labels, encoder, space, progress)
    arrays = {
        "keys": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), _KEY_BYTES),
        "values": vectors.values,
        "steps": vectors.steps,
    }

    def fill(written: Mapping[str, Array]) -> None:
        for name, value in arrays.items():
            written[name][...] = value

    types = {"keys": "U8", "values": "I8", "steps": "F32"}
    write_tensors(
        path,
        {"format": _FORMAT, "version": _VERSION, "made_of": source},
        {name: (types[name], value.shape) for name, value in arrays.items()},
        fill,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file holds: for the key of each label its vector in steps, and the step."""

    keys: list[bytes]
    values: Array
    steps: Array


def _complete(
    stored: _Kept | None,
    labels: Sequence[str],
    encoder: Encoder,
    space: ProbeSpace,
    progress: Progress,
) -> LabelEmbeddings:
    """All labels as vectors: those of a file, and the others embedded now."""
    if stored is None:
        return _embed(labels, encoder, space, progress)
    keys = [_key(label) for label in labels]
    if stored.keys == keys:
        return LabelEmbeddings(tuple(labels), stored.values, stored.steps)
    rows = {key: row for row, key in enumerate(stored.keys)}
    source = np.array([rows.get(key, -1) for key in keys], np.int64)
    new = np.flatnonzero(source < 0)
    made = _embed([labels[row] for row in new.tolist()], encoder, space, progress)
    values = np.empty((len(labels), encoder.info.dim), np.int8)
    steps = np.empty(len(labels), np.float32)
    old = source >= 0
    values[old], steps[old] = stored.values[source[old]], stored.steps[source[old]]
    values[new], steps[new] = made.values, made.steps
    return LabelEmbeddings(tuple(labels), values, steps)


def _embed(
    labels: Sequence[str], encoder: Encoder, space: ProbeSpace, progress: Progress
) -> LabelEmbeddings:
    """Labels as vectors, by the first name of each; each name is embedded once."""
    names = [first_name(label) for label in labels]
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    prompts = [encoder.info.prompt_template.replace("{}", name) for name in rows]
    embeddings: list[Float32[np.ndarray, "batch dim"]] = []
    if prompts:
        progress.start("embedding labels", len(prompts), "labels")
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        embeddings.append(encoder.embed_texts(batch))
        progress.advance(len(batch))
    if prompts:
        progress.finish()
    nothing = np.zeros((0, encoder.info.dim), np.float32)
    embedded = np.concatenate([nothing, *embeddings])
    order = np.array([rows[name] for name in names], np.int64)
    return quantize_directions(labels, embedded[order], space.background_mean)


def _read(path: Path, source: str) -> _Kept | None:
    """The vectors in a file; None if it is missing, damaged or of another encoder."""
    try:
        file = open_derived(path, _FORMAT, _VERSION)
        if header_text(file, "made_of") != source:
            return None
    except HubError:
        return None
    if set(file.arrays) != {"keys", "values", "steps"}:
        return None
    keys, values, steps = (np.asarray(file.arrays[name]) for name in ("keys", "values", "steps"))
    if keys.shape != (len(values), _KEY_BYTES) or steps.shape != (len(values),):
        return None
    return _Kept([key.tobytes() for key in keys], values, steps)


def _key(label: str) -> bytes:
    return sha256(label.encode()).digest()[:_KEY_BYTES]


def _source_digest(encoder: Encoder) -> str:
    """sha256 of what a vector depends on besides its label: encoder, prompt, background words."""
    info = encoder.info
    parts: list[JsonValue] = [_VERSION, info.fingerprint, info.prompt_template, *background_words()]
    return sha256(canonical_json(parts)).hexdigest()

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
_HELD = 50_000
"""Names whose embeddings are given to the audits that follow; more would take memory."""


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
    stored = _read(path, _source_digest(encoder))
    return _complete(stored, labels, space, _Embedder(encoder, Silent()))


def keep_label_embeddings(
    path: Path, labels: Sequence[str], encoder: Encoder, space: ProbeSpace, progress: Progress
) -> dict[str, Float32[np.ndarray, " dim"]]:
    """Embeds the labels and writes them, unless the file holds just these labels.

    Labels that the file holds already are not embedded again. The arguments are those of
    `open_label_embeddings`.

    Returns:
        The unit embedding of each first name that was embedded now, of at most so many as fit in
        some memory: audits need them too.

    Raises:
        HubError: `path` cannot be written.
    """
    source = _source_digest(encoder)
    stored = _read(path, source)
    keys = [_key(label) for label in labels]
    embedder = _Embedder(encoder, progress)
    if stored is not None and stored.keys == keys:
        return embedder.held
    vectors = _complete(stored, labels, space, embedder)
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
    return embedder.held


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file holds: for the key of each label its vector in steps, and the step."""

    keys: list[bytes]
    values: Array
    steps: Array


class _Embedder:
    """Embeds names in the encoder's prompt; `held` has the rows of the first that were embedded."""

    def __init__(self, encoder: Encoder, progress: Progress) -> None:
        self.held: dict[str, Float32[np.ndarray, " dim"]] = {}
        self._encoder, self._progress = encoder, progress

    def embed(self, names: Sequence[str]) -> Float32[np.ndarray, "names dim"]:
        """Unit embeddings of names; each name is embedded once."""
        info = self._encoder.info
        rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
        prompts = [info.prompt_template.replace("{}", name) for name in rows]
        parts = [np.zeros((0, info.dim), np.float32)]
        if prompts:
            self._progress.start("embedding labels", len(prompts), "labels")
        for start in range(0, len(prompts), _BATCH):
            batch = prompts[start : start + _BATCH]
            parts.append(self._encoder.embed_texts(batch))
            self._progress.advance(len(batch))
        if prompts:
            self._progress.finish()
        embedded = np.concatenate(parts)
        self.held |= zip([*rows][:_HELD], embedded[:_HELD], strict=True)
        return embedded[np.array([rows[name] for name in names], np.int64)]


def _complete(
    stored: _Kept | None,
    labels: Sequence[str],
    space: ProbeSpace,
    embedder: _Embedder,
) -> LabelEmbeddings:
    """All labels as vectors, by their first names: those of a file, and the others embedded now."""
    mean = space.background_mean
    if stored is None:
        return quantize_directions(labels, embedder.embed([*map(first_name, labels)]), mean)
    keys = [_key(label) for label in labels]
    if stored.keys == keys:
        return LabelEmbeddings(tuple(labels), stored.values, stored.steps)
    rows = {key: row for row, key in enumerate(stored.keys)}
    source = np.array([rows.get(key, -1) for key in keys], np.int64)
    new = np.flatnonzero(source < 0)
    added = [labels[row] for row in new.tolist()]
    made = quantize_directions(added, embedder.embed([*map(first_name, added)]), mean)
    values = np.empty((len(labels), made.values.shape[1]), np.int8)
    steps = np.empty(len(labels), np.float32)
    old = source >= 0
    values[old], steps[old] = stored.values[source[old]], stored.steps[source[old]]
    values[new], steps[new] = made.values, made.steps
    return LabelEmbeddings(tuple(labels), values, steps)


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

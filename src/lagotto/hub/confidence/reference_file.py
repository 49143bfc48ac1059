"""A hub's logits and background words come in; the words' statistics go out, kept in one file.

The file is HUB/rivals.safetensors. It is written when models are added or removed; a search reads
it, or measures the same in memory where the file is missing or of other models.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from lagotto.core.errors import HubError
from lagotto.encoders.background.words import background_words
from lagotto.encoders.base import Encoder
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    LogitSample,
    Names,
    measure_background,
)
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.store.tensorfile import (
    Array,
    header_text,
    open_derived,
    write_tensors,
)

_FORMAT = "lagotto-rivals"
_VERSION = 3

_WORDS = {"embeddings": "embeddings", "probes": "probes", "weights": "weights", "usual": "moments"}
_SAMPLE = {name: name for name in ("values", "steps", "directions")} | {"usual": "word_moments"}
"""The fields of `Names` and `LogitSample` by their names in the file."""

_DTYPES = {"words.probes": "I64", "sample.values": "I8"}


def open_background_stats(
    path: Path, space: ProbeSpace, encoder: Encoder, logit_index: LogitIndex, probe_digest: str
) -> BackgroundStats:
    """The statistics of the background words in a hub; nothing is written.

    Args:
        path: the file that may hold them.
        space: the probes and the words in the encoder's space.
        encoder: the hub's encoder.
        logit_index: the hub's logits.
        probe_digest: the identity of the probe set.

    Returns:
        What the file holds, if it is of this very hub; else the same, measured in memory, which
        takes a few tenths of a second.
    """
    stats = _read(path, _source_digest(encoder, logit_index, probe_digest), space)
    return _measure(space, logit_index) if stats is None else stats


def keep_background_stats(
    path: Path, space: ProbeSpace, encoder: Encoder, logit_index: LogitIndex, probe_digest: str
) -> None:
    """Measures the statistics and writes them, unless the file holds those of this very hub.

    The arguments are those of `open_background_stats`. Raises HubError if `path` cannot be written.
    """
    source = _source_digest(encoder, logit_index, probe_digest)
    if _read(path, source, space) is None:
        _write(path, source, _measure(space, logit_index))


def _source_digest(encoder: Encoder, logit_index: LogitIndex, probe_digest: str) -> str:
    """sha256 of what the statistics depend on: probes, encoder, words and models."""
    info = encoder.info
    sources = [probe_digest, info.fingerprint, info.prompt_template, *background_words()]
    return sha256("\n".join([*sources, *logit_index.digests]).encode()).hexdigest()


def _measure(space: ProbeSpace, logit_index: LogitIndex) -> BackgroundStats:
    return measure_background(space, space.background, logit_index.blended(logit_index.sample))


def _read(path: Path, source: str, space: ProbeSpace) -> BackgroundStats | None:
    """The statistics in a file; None if it is missing, damaged or made of anything else."""
    try:
        file = open_derived(path, _FORMAT, _VERSION)
        if header_text(file, "made_of") != source:
            return None
    except HubError:
        return None
    values = {name: np.array(array) for name, array in file.arrays.items()}
    if set(values) != {f"words.{name}" for name in _WORDS} | {f"sample.{name}" for name in _SAMPLE}:
        return None
    words = Names(**{field: values[f"words.{name}"] for name, field in _WORDS.items()})
    sample = LogitSample(**{field: values[f"sample.{name}"] for name, field in _SAMPLE.items()})
    return BackgroundStats(words, sample, space.background_mean)


def _write(path: Path, source: str, stats: BackgroundStats) -> None:
    values = {f"words.{name}": getattr(stats.words, field) for name, field in _WORDS.items()}
    values |= {f"sample.{name}": getattr(stats.sample, field) for name, field in _SAMPLE.items()}

    def fill(arrays: Mapping[str, Array]) -> None:
        for name, value in values.items():
            arrays[name][...] = value

    write_tensors(
        path,
        {"format": _FORMAT, "version": _VERSION, "made_of": source},
        {name: (_DTYPES.get(name, "F32"), value.shape) for name, value in values.items()},
        fill,
    )

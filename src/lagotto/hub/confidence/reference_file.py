"""Rivals of a hub ↔ HUB/rivals.safetensors: measured once for its models, words and encoder."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from lagotto.core.errors import HubError
from lagotto.encoders.base import Encoder
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    LogitSample,
    Names,
    measure_background,
)
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.background import background_words
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.store.tensorfile import (
    Array,
    header_text,
    open_tensors,
    write_tensors,
)

_FORMAT = "lagotto-rivals"
_VERSION = 3

_WORDS = ("embeddings", "probes", "weights", "usual")
_SAMPLE = ("values", "steps", "directions", "usual")
_DTYPES = {"words.probes": "I64", "sample.values": "I8"}


def open_background_stats(
    path: Path, space: ProbeSpace, encoder: Encoder, logit_index: LogitIndex, probe_digest: str
) -> BackgroundStats:
    """The rivals kept in `path`, measured and written first where they are not of this hub.

    A folder that cannot be written costs about a second again each time, and nothing else.
    """
    info = encoder.info
    made_of = [probe_digest, info.fingerprint, info.prompt_template, *background_words()]
    wanted = sha256("\n".join([*made_of, *logit_index.digests]).encode()).hexdigest()
    rivals = _read(path, wanted, space)
    if rivals is None:
        rivals = measure_background(
            space, space.background, logit_index.blended(logit_index.sample)
        )
        _write(path, wanted, rivals)
    return rivals


def _read(path: Path, wanted: str, space: ProbeSpace) -> BackgroundStats | None:
    try:
        file = open_tensors(path, _FORMAT, _VERSION)
        if header_text(file, "made_of") != wanted:
            return None
    except HubError:
        return None
    values = {name: np.array(array) for name, array in file.arrays.items()}
    if set(values) != {f"words.{name}" for name in _WORDS} | {f"sample.{name}" for name in _SAMPLE}:
        return None
    words = Names(**{name: values[f"words.{name}"] for name in _WORDS})
    sample = LogitSample(**{name: values[f"sample.{name}"] for name in _SAMPLE})
    return BackgroundStats(words, sample, space.background_mean)


def _write(path: Path, wanted: str, rivals: BackgroundStats) -> None:
    values = {f"words.{name}": getattr(rivals.words, name) for name in _WORDS}
    values |= {f"sample.{name}": getattr(rivals.sample, name) for name in _SAMPLE}

    def fill(arrays: Mapping[str, Array]) -> None:
        for name, value in values.items():
            arrays[name][...] = value

    with suppress(HubError):
        write_tensors(
            path,
            {"format": _FORMAT, "version": _VERSION, "made_of": wanted},
            {name: (_DTYPES.get(name, "F32"), value.shape) for name, value in values.items()},
            fill,
        )

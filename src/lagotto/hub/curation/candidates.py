"""Candidates and an encoder come in; the pictures of them that can be read, embedded, go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import PictureError, ProbeError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.progress import Progress
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.hub.probes.candidate import ProbeCandidate

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Pool:
    """Distinct pictures that can be decoded, their embeddings, and the pictures that cannot."""

    candidates: tuple[ProbeCandidate, ...]
    embeddings: Float32[np.ndarray, "pictures dim"]
    skipped: tuple[Skipped, ...]


def embed_candidates(
    candidates: Sequence[ProbeCandidate], encoder: Encoder, progress: Progress
) -> Pool:
    """Reads every picture once; a few are in memory at a time.

    Raises:
        ProbeError: No two different pictures can be decoded.
    """
    progress.start("embedding pictures", len(candidates), "pictures")
    taken: list[ProbeCandidate] = []
    known: dict[str, str] = {}
    skipped: list[Skipped] = []
    pixels: list[np.ndarray] = []
    parts: list[Float32[np.ndarray, "some dim"]] = []
    for candidate in candidates:
        progress.advance(1)
        try:
            data = candidate.load()
            digest = sha256(data).hexdigest()
            if digest in known:
                raise PictureError(f"the same picture as {known[digest]}")
            pixels.append(to_pixels(decode_picture(data), encoder.info.pixels))
        except PictureError as error:
            skipped.append(Skipped(candidate.source, str(error)))
            continue
        known[digest] = candidate.source
        taken.append(candidate)
        if len(pixels) == _BATCH:
            parts.append(encoder.embed_pixels(np.stack(pixels)))
            pixels = []
    if pixels:
        parts.append(encoder.embed_pixels(np.stack(pixels)))
    progress.finish()
    if len(taken) < 2:
        why = f" ({skipped[0].source}: {skipped[0].reason})" if skipped else ""
        raise ProbeError(
            f"of {len(candidates)} pictures {len(taken)} can be used{why}; give at least 2 "
            "different pictures"
        )
    return Pool(tuple(taken), np.concatenate(parts), tuple(skipped))

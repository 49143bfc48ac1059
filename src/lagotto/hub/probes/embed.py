"""Pixels of probes, or picture files, come in; unit embeddings of the hub's encoder go out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import PictureError, UsageError
from lagotto.core.files import replacing
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.core.progress import Progress
from lagotto.encoders.base import Encoder

_BATCH = 64


def embed_probes(
    encoder: Encoder,
    pixels: UInt8[np.ndarray, "probes height width channels"],
    progress: Progress,
) -> Float32[np.ndarray, "probes dim"]:
    """Unit embeddings of the probes, from their cached pixels, in the order of the probes."""
    progress.start("embedding probes", len(pixels), "pictures")
    batches = []
    for start in range(0, len(pixels), _BATCH):
        batches.append(encoder.embed_pixels(np.asarray(pixels[start : start + _BATCH])))
        progress.advance(len(batches[-1]))
    progress.finish()
    return np.concatenate(batches)


def embed_pictures(encoder: Encoder, files: Sequence[Path]) -> Float32[np.ndarray, "images dim"]:
    """Unit embeddings of picture files, in their order.

    Raises:
        UsageError: A file cannot be read as a picture; the message names it.
    """
    pixels = []
    for file in files:
        try:
            pixels.append(to_pixels(decode_picture(read_picture_file(file)), encoder.info.pixels))
        except PictureError as error:
            raise UsageError(f"picture {file}: {error}") from error
    return encoder.embed_pixels(np.stack(pixels))


def write_embeddings(path: Path, embeddings: Float32[np.ndarray, "probes dim"]) -> None:
    """Writes embeddings to a .npy file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings, allow_pickle=False)

"""Pictures of a query → the pixels that encoder and models take: each is read and decoded once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8

from lagotto.core.errors import PictureError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder

Read: TypeAlias = Callable[[], bytes]
"""Gives the bytes of a picture's file, or raises PictureError."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Some pictures: `reasons` has why each could not be read, "" where it could; `pixels` has the
    readable ones, in order, by the form that is wanted."""

    reasons: tuple[str, ...]
    pixels: dict[PixelSpec, UInt8[np.ndarray, "readable height width channels"]]


def look(reads: Sequence[Read], specs: Sequence[PixelSpec]) -> Looked:
    """All pictures in all forms; memory is that of the pixels and one decoded picture."""
    wanted = tuple(dict.fromkeys(specs))
    reasons: list[str] = []
    rows: dict[PixelSpec, list[UInt8[np.ndarray, "height width channels"]]] = {
        spec: [] for spec in wanted
    }
    for read in reads:
        try:
            picture = decode_picture(read())
        except PictureError as error:
            reasons.append(str(error))
            continue
        reasons.append("")
        for spec in wanted:
            rows[spec].append(to_pixels(picture, spec))
    pixels = {
        spec: np.stack(each) if each else np.empty((0, *spec.shape), np.uint8)
        for spec, each in rows.items()
    }
    return Looked(tuple(reasons), pixels)


def embed(
    encoder: Encoder, pixels: UInt8[np.ndarray, "pictures height width channels"]
) -> Float32[np.ndarray, "pictures dim"]:
    """Unit embeddings, also of no picture at all."""
    if not len(pixels):
        return np.empty((0, encoder.info.dim), np.float32)
    return encoder.embed_pixels(pixels)

"""The raw output of a tower comes in; checked unit embeddings go out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.errors import EncoderError
from lagotto.encoders.towers import Tower

_SHORTEST = 1e-12


def pool(
    tower: Tower,
    output: Float[np.ndarray, "..."],
    mask: Int64[np.ndarray, "rows tokens"] | None = None,
) -> Float32[np.ndarray, "rows width"]:
    """One vector per row: the output itself, its first token, or the mean of the tokens in `mask`.

    Raises EncoderError if the output has another rank than its pooling needs.
    """
    rank = 2 if tower.pooling == "none" else 3
    if output.ndim != rank:
        raise EncoderError(
            f"{tower.graph.file}: output {tower.output!r} has shape {output.shape}; "
            f"{rank} axes are needed; export it with one vector a row"
        )
    values = output.astype(np.float32, copy=False)
    if tower.pooling == "none":
        return values
    if tower.pooling == "cls":
        return values[:, 0]
    if mask is None:
        return np.asarray(values.mean(axis=1))
    weights = mask.astype(np.float32)[:, :, None]
    return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1).clip(min=1))


def checked_unit_rows(
    parts: Sequence[Float32[np.ndarray, "_ width"]], dim: int, what: str
) -> Float32[np.ndarray, "rows dim"]:
    """The rows of all batches, scaled to unit length; `what` names a row in the message.

    Raises EncoderError if a row is not `dim` wide, not finite, or zero.
    """
    for part in parts:
        if part.shape[1] != dim:
            raise EncoderError(
                f"the encoder's {what}s have width {part.shape[1]}, but its space has {dim}; "
                "export both towers with their projections (image_embeds and text_embeds)"
            )
    rows = np.concatenate([np.empty((0, dim), np.float32), *parts])
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths < _SHORTEST))
    if len(bad):
        raise EncoderError(
            f"the encoder gave a zero or non-finite embedding for {what} {bad[0] + 1} of "
            f"{len(rows)}; its export is damaged or of too low precision; export it again"
        )
    return np.asarray(rows / lengths[:, None], np.float32)

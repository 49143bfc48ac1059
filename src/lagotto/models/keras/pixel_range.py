"""How a network scales its own input comes in; the range of pixels that it expects goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lagotto.core.types import Scale

_LEAST_SPAN, _WIDEST_SPAN = 0.9, 14.0
"""Widths that all values of a picture have after normalization: 1 for 0..1, 4 to 5 after division
by the standard deviation of photos (about a quarter of their range)."""

_MEANS = (80.0, 160.0)
"""What is subtracted from pixels of 0 to 255 to center them without scaling."""


@dataclass(frozen=True, slots=True)
class Affine:
    """The input times `scale`, plus `offset`; one number each, or one for each channel."""

    scale: Float64[np.ndarray, "..."]
    offset: Float64[np.ndarray, "..."]

    @property
    def is_even(self) -> bool:
        """Whether all channels are scaled alike."""
        return self.scale.size == self.offset.size == 1

    def equals(self, other: "Affine") -> bool:
        """Whether both are the same numbers."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.offset, other.offset)

    def then(
        self, scale: Float64[np.ndarray, "..."], offset: Float64[np.ndarray, "..."]
    ) -> "Affine":
        """The same, then times another scale plus another offset."""
        return Affine(np.asarray(self.scale * scale), np.asarray(self.offset * scale + offset))


AS_IT_IS = Affine(np.ones(()), np.zeros(()))


def expected_range(seen: Sequence[Affine]) -> Scale | None:
    """The range of pixels that a network expects, judged by how it scales them itself.

    Args:
        seen: The input as each first operator sees it.

    Returns:
        "0..255" if pixels of that range become small numbers, or are centered; "0..1" if a picture
        of that range does; None if the network does not scale its input, or oddly.
    """
    if not seen:
        return None
    answers = {_range_of(item) for item in seen}
    return answers.pop() if len(answers) == 1 else None


def _range_of(item: Affine) -> Scale | None:
    factors = np.abs(item.scale).ravel()
    if not factors.size or not np.isfinite(factors).all() or not np.isfinite(item.offset).all():
        return None
    if (factors * 255 >= _LEAST_SPAN).all() and (factors * 255 <= _WIDEST_SPAN).all():
        return "0..255"
    shift = -item.offset
    if (factors == 1).all() and ((_MEANS[0] <= shift) & (shift <= _MEANS[1])).all():
        return "0..255"
    if (factors > 1).all() and ((factors <= _WIDEST_SPAN).all() or (factors == 255).all()):
        return "0..1"
    return None

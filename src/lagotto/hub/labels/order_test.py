"""Fits and similarities of labels and outputs in, the evidence for each order of the labels out.

There are two readings. Each is in standard deviations of a random order of the same labels, whose
mean and variance are known exactly. If the shifts of the list spread wider, their spread counts
instead: lists come in blocks of similar labels, and blocks meet blocks at many shifts.

- *direct*: the sum of the fits of each label with its output (needs labels that the encoder knows);
- *kinship*: labels of similar meaning should be on outputs of similar behaviour (Mantel 1967). It
  needs no picture of the concept, so it also judges names that the encoder has never seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from lagotto.core.zscore import ROUNDING

_FEWEST = 4
"""Labels below which the variance of the kinship reading is not defined."""


_FEWEST_SHIFTS = 7


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """How much better than a random order one is, in standard deviations; 0 where unknown.

    `order[i]` is the place in the list of the label that output i would have.
    """

    name: str
    order: Int64[np.ndarray, " outputs"]
    direct: float
    kinship: float

    @property
    def together(self) -> float:
        """Both readings as one (Stouffer)."""
        return (self.direct + self.kinship) / float(np.sqrt(2.0))


def weigh_orders(
    fits: Float[np.ndarray, "labels outputs"],
    text_similarity: Float[np.ndarray, "labels labels"],
    output_similarity: Float[np.ndarray, "outputs outputs"],
    labels: Sequence[str],
) -> tuple[OrderEvidence, ...]:
    """The evidence for the list as it is (first) and for each common mistake, of equal lengths."""
    count = len(labels)
    centred = _centred(fits)
    texts, outputs = _off_diagonal(text_similarity), _off_diagonal(output_similarity)
    positions = np.arange(count)
    shifts = [(positions - shift) % count for shift in range(count)]
    names = ["as published", *(f"shifted by {_signed(s, count)}" for s in range(1, count))]
    direct = [float(centred[order, positions].sum()) for order in shifts]
    kinship = _kinship_by_shift(texts, outputs).tolist()
    orders = list(shifts)
    for name, order in common_mistakes(labels):
        names.append(name)
        orders.append(order)
        direct.append(float(centred[order, positions].sum()))
        kinship.append(float((texts[np.ix_(order, order)] * outputs).sum()))
    direct_spread = max(_direct_spread(centred), _spread_of_shifts(direct[1:count]))
    kinship_spread = max(_kinship_spread(texts, outputs), _spread_of_shifts(kinship[1:count]))
    return tuple(
        OrderEvidence(name, order, _over(value, direct_spread), _over(kin, kinship_spread))
        for name, order, value, kin in zip(names, orders, direct, kinship, strict=True)
    )


def common_mistakes(labels: Sequence[str]) -> Iterator[tuple[str, Int64[np.ndarray, " outputs"]]]:
    """Orders that lists are found in by accident, besides shifts, where they change anything."""
    positions = range(len(labels))
    as_text = np.array(sorted(positions, key=str), np.int64)
    candidates = {
        "reversed": np.array(positions, np.int64)[::-1],
        "numbers sorted as text (0, 1, 10, 11, 2 ...)": as_text,
        "numbers sorted as text, undone": np.argsort(as_text),
        "sorted by name": np.array(sorted(positions, key=lambda i: labels[i]), np.int64),
        "sorted by name, capitals alike": np.array(
            sorted(positions, key=lambda i: labels[i].casefold()), np.int64
        ),
    }
    seen = {tuple(positions)}
    for name, order in candidates.items():
        if tuple(order.tolist()) not in seen:
            seen.add(tuple(order.tolist()))
            yield name, order


def shift_evidence(fits: Float[np.ndarray, "labels outputs"]) -> dict[int, float]:
    """For lists of another length than the outputs: the direct reading of each way to lay one
    along the other, by how many outputs (or labels, if negative) are passed over first."""
    labels, outputs = fits.shape
    evidence = {}
    for passed in range(abs(outputs - labels) + 1):
        if outputs >= labels:
            part, sign = fits[:, passed : passed + labels], 1
        else:
            part, sign = fits[passed : passed + outputs], -1
        centred = _centred(part)
        evidence[sign * passed] = _over(float(np.trace(centred)), _direct_spread(centred))
    return evidence


def _signed(shift: int, count: int) -> str:
    return f"{shift if shift <= count // 2 else shift - count:+d}"


def _over(value: float, spread: float) -> float:
    return value / spread if spread > ROUNDING else 0.0


def _centred(fits: Float[np.ndarray, "labels outputs"]) -> Float64[np.ndarray, "labels outputs"]:
    wide = fits.astype(np.float64)
    wide -= wide.mean(axis=0)
    centred: Float64[np.ndarray, "labels outputs"] = wide - wide.mean(axis=1, keepdims=True)
    return centred


def _direct_spread(centred: Float64[np.ndarray, "labels outputs"]) -> float:
    """Standard deviation of the sum along a random order: exact for doubly centred fits."""
    return float(np.sqrt((centred**2).sum() / max(len(centred) - 1, 1)))


def _spread_of_shifts(values: Sequence[float]) -> float:
    """Robust standard deviation of a reading over the shifts; 0 where there are few."""
    if len(values) < _FEWEST_SHIFTS:
        return 0.0
    centre = np.median(values)
    return 1.4826 * float(np.median(np.abs(np.array(values) - centre)))


def _off_diagonal(
    similarity: Float[np.ndarray, "labels labels"],
) -> Float64[np.ndarray, "labels labels"]:
    """Minus the mean of what is off the diagonal; the diagonal zero."""
    wide = similarity.astype(np.float64)
    count = len(wide)
    np.fill_diagonal(wide, 0.0)
    if count > 1:
        wide -= wide.sum() / (count * (count - 1))
    np.fill_diagonal(wide, 0.0)
    return wide


def _kinship_spread(
    texts: Float64[np.ndarray, "labels labels"], outputs: Float64[np.ndarray, "labels labels"]
) -> float:
    """Standard deviation of the sum of products under a random order (Mantel 1967); 0 below four.

    Pairs of pairs are the same, share one label, or share none; the sums of each kind are known.
    """
    n = len(texts)
    if n < _FEWEST:
        return 0.0
    kinds = []
    for matrix in (texts, outputs):
        squares, rows = float((matrix**2).sum()), float((matrix.sum(axis=1) ** 2).sum())
        kinds.append((2 * squares, 4 * (rows - squares), 2 * squares - 4 * rows))
    pairs = n * (n - 1)
    numbers = (2 * pairs, 4 * pairs * (n - 2), pairs * (n - 2) * (n - 3))
    variance = sum(a * b / m for a, b, m in zip(*kinds, numbers, strict=True))
    return float(np.sqrt(max(variance, 0.0)))


def _kinship_by_shift(
    texts: Float64[np.ndarray, "labels labels"], outputs: Float64[np.ndarray, "labels labels"]
) -> Float64[np.ndarray, " shifts"]:
    """The sum of products for every cyclic shift at once, by correlation along the diagonals."""
    count = len(texts)
    columns = (np.arange(count)[:, None] + np.arange(count)) % count
    rows = np.arange(count)
    text_waves = np.fft.rfft(texts[rows, columns], axis=1)
    output_waves = np.fft.rfft(outputs[rows, columns], axis=1)
    shifts: Float64[np.ndarray, " shifts"] = np.fft.irfft(
        (np.conj(text_waves) * output_waves).sum(axis=0), n=count
    )
    return shifts

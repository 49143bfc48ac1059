"""Queries with known answers come in; how often hits of a confidence are right goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.queries import Queries
from lagotto.hub.hub import Hub

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Hits of about the same confidence: their mean, the share that is right, and their number.

    The interval is that of the share, over the hits.
    """

    confidence: float
    right: Estimate
    hits: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far the confidence of hits holds.

    Attributes:
        queries: the texts that were asked.
        hits: their hits, ten a text where there are as many.
        bins: tenths of confidence that have hits, the lowest first.
        calibration_error: the mean distance between confidence and share of right hits over the
            tenths, each with the weight of its hits; 0 to 1.
    """

    queries: int
    hits: int
    bins: tuple[ConfidenceBin, ...]
    calibration_error: float

    def as_json(self) -> JsonObject:
        """The fields by name; a bin has `confidence`, `right`, `ci95` and `hits`."""
        return {
            "queries": self.queries,
            "hits": self.hits,
            "calibration_error": round(self.calibration_error, _DIGITS),
            "bins": [
                {
                    "confidence": round(item.confidence, _DIGITS),
                    "right": round(item.right.value, _DIGITS),
                    "ci95": [round(item.right.low, _DIGITS), round(item.right.high, _DIGITS)],
                    "hits": item.hits,
                }
                for item in self.bins
            ],
        }


def measure_reliability(
    hub: Hub,
    table: LogitTable,
    questions: Sequence[Queries],
    *,
    behaviour_only: bool = False,
    progress: Progress | None = None,
) -> Reliability:
    """Searches for texts with known answers, and compares confidence with how often it is right.

    Args:
        hub: The hub.
        table: Its logits; the answers of the questions are columns of it.
        questions: What is asked; only texts are, as the hits of a logit have no confidence.
        behaviour_only: Whether labels are left out of the searches.
        progress: Told of the searches.

    Raises:
        UsageError: No hit has a confidence.
    """
    meter, texts = progress or Silent(), [item for item in questions if item.are_texts]
    confidences, right = list[float](), list[bool]()
    meter.start("searching", sum(map(len, texts)), "queries")
    for queries in texts:
        for name, columns in zip(queries.names, queries.correct, strict=True):
            answers = {table.name(int(column)) for column in columns}
            for hit in hub.search(name, behaviour_only=behaviour_only):
                if hit.confidence is not None:
                    confidences.append(hit.confidence)
                    right.append((hit.model, hit.logit) in answers)
            meter.advance(1)
    meter.finish()
    return read_reliability(
        sum(map(len, texts)), np.array(confidences), np.array(right, dtype=bool)
    )


def read_reliability(
    queries: int, confidences: Float64[np.ndarray, " hits"], right: Bool[np.ndarray, " hits"]
) -> Reliability:
    """The tenths of some confidences; raises UsageError where there are none.

    >>> read_reliability(2, np.array([0.95, 0.95]), np.array([True, False])).calibration_error
    0.45
    """
    if not len(confidences):
        raise UsageError("no hit of these queries has a confidence, so there is nothing to draw")
    tenths = np.minimum((confidences * 10).astype(int), 9)
    bins = tuple(
        ConfidenceBin(
            float(confidences[tenths == tenth].mean()),
            mean_interval(right[tenths == tenth]),
            int((tenths == tenth).sum()),
        )
        for tenth in range(10)
        if (tenths == tenth).any()
    )
    gaps = [abs(item.confidence - item.right.value) * item.hits for item in bins]
    return Reliability(queries, len(right), bins, sum(gaps) / len(right))

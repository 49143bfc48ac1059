"""Hits' descriptors and confidence in, the share of the concept's pictures each recognizes out.

A logit that recognizes a concept well responds as other good ones do, is high on few probes, and
has few other outputs to confuse it with. The weights were fitted to the held-out accuracy of labels
by benchmarks/calibration/measure.py; docs/results.md says how far that goes.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float32, Float64, Int64


@dataclass(frozen=True, slots=True)
class QualityFit:
    """quality_table @ weights + bias is the share of a concept's pictures that are recognized."""

    weights: Float64[np.ndarray, " columns"]
    bias: float

    def __call__(self, table: Float64[np.ndarray, "hits columns"]) -> Float64[np.ndarray, " hits"]:
        """The expected share of each hit, if it is right: 0 to 1."""
        return np.asarray(np.clip(table @ self.weights + self.bias, 0.0, 1.0), dtype=np.float64)


def quality_table(
    descriptors: Float32[np.ndarray, "probes hits"],
    agreement: Float64[np.ndarray, " hits"],
    outputs: Int64[np.ndarray, " hits"],
) -> Float64[np.ndarray, "hits columns"]:
    """Agreement with the other hits, log kurtosis over the probes, log outputs of the hit's model.

    Kurtosis is high if few probes have much higher responses than all others.
    """
    fourth = np.square(np.square(descriptors, dtype=np.float64)).mean(axis=0)
    peaked = np.log(np.maximum(fourth, 1.0))
    return np.stack([agreement, peaked, np.log(outputs)], axis=1)


def expected_quality(
    table: Float64[np.ndarray, "hits columns"], confidence: Float64[np.ndarray, " hits"]
) -> Float64[np.ndarray, " hits"]:
    """The share of the concept's pictures that each hit is expected to recognize.

    A right hit recognizes what `QualityFit` says, a wrong one none.
    """
    return np.asarray(confidence * shipped_quality()(table), dtype=np.float64)


@cache
def shipped_quality() -> QualityFit:
    """The fit in calibrator.json."""
    text = files("lagotto.hub.confidence").joinpath("calibrator.json").read_text(encoding="utf-8")
    numbers = json.loads(text)["quality"]
    return QualityFit(np.array(numbers["weights"]), float(numbers["bias"]))

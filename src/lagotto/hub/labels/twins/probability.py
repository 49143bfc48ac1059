"""How alike two outputs are comes in; how likely they recognize the same goes out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64


@dataclass(frozen=True, slots=True)
class TwinConfig:
    """How twins are found and how they are believed. Set by benchmarks/quality/references.py,
    and the weights by benchmarks/calibration/twins.py.

    Attributes:
        most_teachers: labelled outputs that others are compared with. Of more, those of different
            names come first, and of one name the first ones.
        same_label: outputs of one model that may have the same label. A label on more of them tells
            none from another, and teaches nothing.
        nearest: labelled outputs that each output is compared with in full, the most alike ones.
        most_names: names that an output may have from its twins.
        least_probability: probability below which outputs are no twins.
        clear: lead of a correlation over the next one, beyond which a larger lead says no more.
        least_common: probes that two models must both have seen to be compared; a hub of fewer has
            no twins.
        shrinkage: probes that a correlation over fewer than all probes is shrunk by.
        least_shared: names that two references must share to be compared.
        agreement: share of these names that behave alike, below which they contradict each other.
        weights: of TWIN_FEATURES, the last one is the constant. Logistic
            regression on the even half of the names in the published models and in the mini-hub.
    """

    most_teachers: int = 4096
    same_label: int = 2
    nearest: int = 16
    most_names: int = 3
    least_probability: float = 0.05
    clear: float = 0.1
    least_common: int = 60
    shrinkage: float = 50.0
    least_shared: int = 3
    agreement: float = 0.5
    weights: tuple[float, ...] = (6.30, 22.92, 18.51, 6.71, 0.45, 0.50, -11.17)


TWINS = TwinConfig()
"""The thresholds that the package uses."""

_FITTED_TEACHERS = (10, 4096)
_FITTED_OUTPUTS = (2, 2000)
"""The sizes between which the weights were fitted; others count as the nearest of these."""


TWIN_FEATURES = (
    "correlation",
    "lead over labelled outputs of other names",
    "lead over other outputs of the model",
    "lesser lead",
    "log labelled outputs",
    "log outputs of the model",
)
"""The columns of `twin_features`, which `TwinConfig.weights` weighs in this order."""


def twin_features(
    leads: Float32[np.ndarray, "pairs 3"], teachers: int, outputs: int, config: TwinConfig = TWINS
) -> Float64[np.ndarray, "pairs 6"]:
    """One row a pair of outputs: the columns of TWIN_FEATURES.

    Args:
        leads: the correlation of both, its lead over that with the nearest labelled output of
            another name, and its lead over that of the model's next best output.
        teachers: how many labelled outputs were compared.
        outputs: how many outputs of the model were.
        config: the thresholds.
    """
    clear = np.minimum(leads[:, 1:], config.clear)
    table = np.empty((len(leads), len(TWIN_FEATURES)), np.float64)
    table[:, 0] = leads[:, 0]
    table[:, 1:3] = clear
    table[:, 3] = clear.min(axis=1)
    table[:, 4] = np.log(np.clip(teachers, *_FITTED_TEACHERS))
    table[:, 5] = np.log(np.clip(outputs, *_FITTED_OUTPUTS))
    return table


def twin_probability(
    features: Float64[np.ndarray, "pairs 6"], config: TwinConfig = TWINS
) -> Float32[np.ndarray, " pairs"]:
    """How likely the two outputs of each pair are of one concept."""
    *weights, constant = config.weights
    odds = features @ np.array(weights) + constant
    return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float32)

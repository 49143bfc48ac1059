"""Label probabilities by the encoder and outputs of a model come in; weighted votes go out.

Encoder and model see the same pictures. If an output of the model is a label, and the errors of
encoder and model are independent, then a picture on which the model chooses that output has the
label with a known likelihood ratio. The encoder's probability times this ratio is the joint
probability. The log-likelihood gain is the sum over pictures of the log of the summed products; it
is 0 for a model that has nothing to do with the labels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.vectors import softmax

TEMPERATURES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""Factors of the encoder's logits that are tried; smaller ones make its probabilities flatter."""

MAX_WEIGHT = 0.999
_FLOOR = 1e-9
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class OutputVotes:
    """The likelihood ratios between a model's outputs and the labels.

    `outputs` has the output of each label, -1 for a label that the model does not know.
    `likelihood_ratios` has a row for the output of each known label, in the order of the labels,
    and a last row for all other outputs together. An entry is the probability of that output on a
    picture of the label, divided by its probability on any picture. `prior` is the share of the
    pictures that each label has, by the encoder.
    """

    outputs: Int64[np.ndarray, " labels"]
    likelihood_ratios: Float64[np.ndarray, "known_and_rest labels"]
    prior: Float64[np.ndarray, " labels"]

    @property
    def known(self) -> Int64[np.ndarray, " known"]:
        """The labels that the model knows."""
        return np.flatnonzero(self.outputs >= 0).astype(np.int64)

    def likelihood_ratio(
        self, shares: Float64[np.ndarray, "pictures outputs"]
    ) -> Float64[np.ndarray, "pictures labels"]:
        """The likelihood ratio of each label on each picture; `shares` are softmaxed logits."""
        known_shares = shares[:, self.outputs[self.known]]
        rest = np.maximum(1 - known_shares.sum(axis=1, keepdims=True), 0)
        return np.asarray(np.concatenate([known_shares, rest], axis=1) @ self.likelihood_ratios)


@dataclass(frozen=True, slots=True)
class VoteFit:
    """Votes with their `weight` (0 to 1) and the `temperature`, a factor of the encoder's logits.

    `log_likelihood_gain` is in nats, summed over all pictures; 0 is a model that does not help.
    """

    votes: OutputVotes
    weight: float
    temperature: float
    log_likelihood_gain: float


def make_votes(
    posterior: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
    outputs: Int64[np.ndarray, " labels"],
) -> OutputVotes:
    """The likelihood ratios of a model's outputs, from how often encoder and model name each label.

    If an output is more frequent than its label, the excess counts as errors. Errors and the other
    outputs together are the answers on pictures of labels that the model does not know.

    Args:
        posterior: The encoder's label probabilities for each picture.
        shares: The model's softmaxed logits for each picture.
        outputs: The output of each label, -1 for a label that the model does not know.
    """
    prior, mean_shares = posterior.mean(axis=0), shares.mean(axis=0)
    known = np.flatnonzero(outputs >= 0)
    known_shares = np.maximum(mean_shares[outputs[known]], _FLOOR)
    rest = max(1 - float(known_shares.sum()), 0.0)
    miss_rate = np.maximum(1 - known_shares / np.maximum(prior[known], _FLOOR), 0)
    miss_rate *= min(1.0, rest / max(float((prior[known] * miss_rate).sum()), _FLOOR))
    hit_rate = 1 - miss_rate
    likelihood_ratios = np.zeros((len(known) + 1, len(prior)))
    likelihood_ratios[np.arange(len(known)), known] = hit_rate / known_shares
    likelihood_ratios[-1, known] = miss_rate / max(rest, _FLOOR)
    unknown = np.flatnonzero(outputs < 0)
    if len(unknown):
        unexplained = np.append(
            np.maximum(known_shares - prior[known] * hit_rate, 0),
            max(rest - float((prior[known] * miss_rate).sum()), 0.0),
        )
        unexplained /= max(float(unexplained.sum()), _FLOOR)
        ratio = unexplained / np.append(known_shares, max(rest, _FLOOR))
        likelihood_ratios[:, unknown] = ratio[:, None]
    return OutputVotes(outputs, likelihood_ratios, prior)


def fit_votes(
    logits: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
    outputs: Int64[np.ndarray, " labels"],
    temperatures: tuple[float, ...] = TEMPERATURES,
) -> VoteFit:
    """Fits the weight and the temperature that maximize the log-likelihood gain.

    Args:
        logits: The encoder's label logits.
        shares: The model's softmaxed logits.
        outputs: The output of each label, -1 for a label that the model does not know.
        temperatures: Factors of the encoder's logits to try.
    """
    best: VoteFit | None = None
    for temperature in temperatures:
        posterior = softmax(temperature * logits)
        votes = make_votes(posterior, shares, outputs)
        weight, gain = fit_weight((posterior * votes.likelihood_ratio(shares)).sum(axis=1) - 1)
        if best is None or gain > best.log_likelihood_gain:
            best = VoteFit(votes, weight, temperature, gain)
    assert best is not None
    return best


def fit_weight(gains: Float64[np.ndarray, " pictures"]) -> tuple[float, float]:
    """The weight w in 0..MAX_WEIGHT that maximizes the sum of log(1 + w * gain), and that sum.

    `gains` are at least -1. The sum is concave in w and 0 for w = 0. A vote that does not help
    therefore has weight 0. The maximum is found by Newton's method, with bisection where a step
    leaves the bracket.
    """
    if not len(gains) or gains.sum() <= 0:
        return 0.0, 0.0
    low, high = 0.0, MAX_WEIGHT
    weight, step = high, high
    while abs(step) > _TOLERANCE:
        terms = gains / (1 + weight * gains)
        gradient = float(terms.sum())
        low, high = (weight, high) if gradient > 0 else (low, weight)
        next_weight = weight + gradient / max(float((terms * terms).sum()), _FLOOR)
        if not low < next_weight < high:
            next_weight = (low + high) / 2
        step = next_weight - weight
        weight = next_weight
    return weight, float(np.log1p(weight * gains).sum())


def evidence_factor(
    fit: VoteFit, shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "pictures labels"]:
    """The factor of each label's probability by the votes, before normalization to sum 1."""
    return 1 - fit.weight + fit.weight * fit.votes.likelihood_ratio(shares)


def information(posterior: Float64[np.ndarray, "pictures labels"]) -> float:
    """The mutual information of pictures and labels under these probabilities, in nats a picture.

    It is the mean over pictures of the KL divergence from the mean over all pictures.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(posterior > 0, np.log(posterior / posterior.mean(axis=0)), 0.0)
    return float((posterior * logs).sum(axis=1).mean())

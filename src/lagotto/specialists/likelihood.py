"""Votes of a model → how likely they make the encoder's view, and how far they are to be believed.

Both look at the same pictures. If a model's output is a label, and encoder and model err each on
their own, a picture on which the model is sure of that output has the label by a known factor: the
*odds* below, times what the encoder says, is what both say together. The mean log of that product
over pictures is what the model adds; it is zero for a model that has nothing to do with the labels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.vectors import softmax

TEMPERATURES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""How far the encoder's logits are believed, tried one after the other."""

MOST_EVIDENCE = 0.999
_FEW = 1e-9
_NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class OutputVotes:
    """A model's outputs as evidence on labels.

    `outputs` has the output of each label, -1 for a label that the model does not know. `odds` has
    a row for each known label's output, in the order of the labels, and one for all other outputs
    together: how much likelier that output is on a picture of the label than on any picture.
    `base` is the share of the pictures that each label was taken to have.
    """

    outputs: Int64[np.ndarray, " labels"]
    odds: Float64[np.ndarray, "known_and_rest labels"]
    base: Float64[np.ndarray, " labels"]

    @property
    def known(self) -> Int64[np.ndarray, " known"]:
        """The labels that the model knows."""
        return np.flatnonzero(self.outputs >= 0).astype(np.int64)

    def ratios(
        self, shares: Float64[np.ndarray, "pictures outputs"]
    ) -> Float64[np.ndarray, "pictures labels"]:
        """How much likelier each label is after the vote; `shares` are softmaxed logits."""
        said = shares[:, self.outputs[self.known]]
        rest = np.maximum(1 - said.sum(axis=1, keepdims=True), 0)
        return np.asarray(np.concatenate([said, rest], axis=1) @ self.odds)


@dataclass(frozen=True, slots=True)
class VoteFit:
    """How far votes are believed (`weight`, 0 to 1) and the encoder's logits (`temper`).

    `nats` is the log likelihood over all pictures beside that of a model without meaning.
    """

    votes: OutputVotes
    weight: float
    temper: float
    nats: float


def make_votes(
    view: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
    outputs: Int64[np.ndarray, " labels"],
) -> OutputVotes:
    """The odds of each output, from how often encoder and model speak of each label.

    A model that is sure of an output more often than the label occurs is wrong in what is beyond.
    On pictures of labels that it does not know, it says what is then left of its answers.
    """
    base, usual = view.mean(axis=0), shares.mean(axis=0)
    known = np.flatnonzero(outputs >= 0)
    said = np.maximum(usual[outputs[known]], _FEW)
    rest = max(1 - float(said.sum()), 0.0)
    missed = np.maximum(1 - said / np.maximum(base[known], _FEW), 0)
    missed *= min(1.0, rest / max(float((base[known] * missed).sum()), _FEW))
    hit = 1 - missed
    odds = np.zeros((len(known) + 1, len(base)))
    odds[np.arange(len(known)), known] = hit / said
    odds[-1, known] = missed / max(rest, _FEW)
    unknown = np.flatnonzero(outputs < 0)
    if len(unknown):
        left = np.append(
            np.maximum(said - base[known] * hit, 0),
            max(rest - float((base[known] * missed).sum()), 0.0),
        )
        left /= max(float(left.sum()), _FEW)
        odds[:, unknown] = (left / np.append(said, max(rest, _FEW)))[:, None]
    return OutputVotes(outputs, odds, base)


def fit_votes(
    logits: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
    outputs: Int64[np.ndarray, " labels"],
    tempers: tuple[float, ...] = TEMPERATURES,
) -> VoteFit:
    """The weight and temper under which the votes explain the encoder's logits best."""
    found: VoteFit | None = None
    for temper in tempers:
        view = softmax(temper * logits)
        votes = make_votes(view, shares, outputs)
        weight, nats = fit_weight((view * votes.ratios(shares)).sum(axis=1) - 1)
        if found is None or nats > found.nats:
            found = VoteFit(votes, weight, temper, nats)
    assert found is not None
    return found


def fit_weight(gains: Float64[np.ndarray, " pictures"]) -> tuple[float, float]:
    """The weight w in 0..MOST_BELIEVED with the highest sum of log(1 + w * gain), and that sum.

    `gains` are at least -1. The sum is concave in w, and 0 for w = 0: a vote that does not help is
    given no weight.
    """
    if not len(gains) or gains.sum() <= 0:
        return 0.0, 0.0
    low, high = 0.0, MOST_EVIDENCE
    weight, step = high, high
    while abs(step) > _NEAR:  # Newton's method on the slope, halving where it leaves the bracket
        shares = gains / (1 + weight * gains)
        slope = float(shares.sum())
        low, high = (weight, high) if slope > 0 else (low, weight)
        following = weight + slope / max(float((shares * shares).sum()), _FEW)
        if not low < following < high:
            following = (low + high) / 2
        step = following - weight
        weight = following
    return weight, float(np.log1p(weight * gains).sum())


def evidence_share(
    fit: VoteFit, shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "pictures labels"]:
    """The factor by which the votes change the probability of each label, before it sums to 1."""
    return 1 - fit.weight + fit.weight * fit.votes.ratios(shares)


def information(view: Float64[np.ndarray, "pictures labels"]) -> float:
    """What the probabilities say about a picture beyond what they say about all: nats, mean."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(view > 0, np.log(view / view.mean(axis=0)), 0.0)
    return float((view * logs).sum(axis=1).mean())

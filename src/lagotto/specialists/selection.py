"""Matches of many models come in; the few models that vote go out, selected greedily.

The first model is the one whose votes carry most information, of those that explain about as much
as the best. A further model must explain the joint probabilities of the encoder and the models
selected before. So a model that shares the errors of the encoder is compared with better models. A
near-copy of a selected model adds nothing and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import VoteFit, evidence_factor, fit_votes, information
from lagotto.specialists.matching import Match, SpecialistCandidate
from lagotto.specialists.probe_evidence import EncoderView, first_order_gain

MIN_RELATIVE_INFORMATION = 0.6
"""A model of all labels is considered if it explains at least this share of what the best one
explains."""

FURTHER_MIN_INFORMATION, FURTHER_MIN_RELATIVE_INFORMATION = 0.25, 0.75
"""A further model must explain at least the first share of the joint information, and the second
share of the most that any model explained in this or an earlier round."""

DUPLICATE_VOTE_DISTANCE = 0.05
"""Two models with a smaller total variation distance of their votes (mean over pictures) are
duplicates."""

COPY_DISTANCE = 0.1
"""Two models with a smaller `similarity_distance` are copies, whatever the order of their outputs.
An exact copy has 0, a quantised one 0.05 to 0.08 on four sets of pictures of five, the nearest two
different models 0.15 (docs/results.md)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The models that vote, in the order of selection, and the temperature of the other voices."""

    matches: tuple[Match, ...]
    temperature: float


def select_models(
    matches: Sequence[Match],
    candidates: Mapping[str, SpecialistCandidate],
    view: EncoderView,
    max_models: int,
) -> Selection:
    """Selects at most `max_models` of the matches; possibly none.

    Args:
        matches: The models with the labels that they know.
        candidates: The candidates by name, with their logits.
        view: The encoder's view of the pictures.
        max_models: Models that are selected, at most.
    """
    shares = {m.model: softmax(candidates[m.model].logits) for m in matches}
    complete = [m for m in matches if m.covers_all_labels]
    best_explainable = max((m.explainable_information for m in complete), default=0.0)
    complete = [
        m
        for m in complete
        if m.explainable_information >= MIN_RELATIVE_INFORMATION * best_explainable
    ]
    selected: list[Match] = []
    joint = softmax(view.logits)
    temperature = 1.0
    highest = 0.0
    while complete and len(selected) < max_models:
        if selected:
            refitted = [_refit(m, shares[m.model], joint) for m in complete]
            refitted = [
                m
                for m in refitted
                if not any(_is_duplicate(m, shares, other) for other in selected)
            ]
            highest = max([highest, *(m.explained_information for m in refitted)])
            threshold = max(FURTHER_MIN_INFORMATION, FURTHER_MIN_RELATIVE_INFORMATION * highest)
            complete = [m for m in refitted if m.explained_information >= threshold]
            if not complete:
                break
        best = max(
            complete,
            key=lambda m: (bool(m.named_labels), _vote_information(m.fit, shares[m.model])),
        )
        if not selected:
            temperature = best.fit.temperature
            joint = softmax(temperature * view.logits)
        selected.append(best)
        complete = [m for m in complete if m.model != best.model]
        joint = joint * evidence_factor(best.fit, shares[best.model])
        joint /= joint.sum(axis=1, keepdims=True)
    if not selected:
        selected = _select_partial([m for m in matches if not m.covers_all_labels], max_models)
    return Selection(tuple(selected), temperature)


def _refit(
    match: Match,
    shares: Float64[np.ndarray, "pictures outputs"],
    joint: Float64[np.ndarray, "pictures labels"],
) -> Match:
    """The match fitted again, to the joint probabilities so far."""
    outputs = match.fit.votes.outputs
    if not match.named_labels:
        outputs = best_assignment(first_order_gain(joint, shares))
    fit = fit_votes(np.log(np.maximum(joint, 1e-12)), shares, outputs, (1.0,))
    explained_information = fit.log_likelihood_gain / (len(shares) * max(information(joint), 1e-9))
    return replace(match, fit=fit, explained_information=explained_information)


def _vote_information(fit: VoteFit, shares: Float64[np.ndarray, "pictures outputs"]) -> float:
    """The information of a model's votes, times their weight."""
    votes = fit.votes.prior * fit.votes.likelihood_ratio(shares)
    return fit.weight * information(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12))


def _is_duplicate(
    one: Match, shares: Mapping[str, Float64[np.ndarray, "p o"]], other: Match
) -> bool:
    """Whether two models vote alike, or are copies with other outputs matched to the labels."""
    votes_of_models = []
    for match in (one, other):
        votes = match.fit.votes.prior * match.fit.votes.likelihood_ratio(shares[match.model])
        votes_of_models.append(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12))
    difference = np.abs(votes_of_models[0] - votes_of_models[1])
    if float(difference.sum(axis=1).mean() / 2) < DUPLICATE_VOTE_DISTANCE:
        return True
    return similarity_distance(shares[one.model], shares[other.model]) < COPY_DISTANCE


def similarity_distance(
    one: Float64[np.ndarray, "pictures outputs"], other: Float64[np.ndarray, "pictures others"]
) -> float:
    """The difference of two models in which pictures they consider similar, 0 to 1.

    The similarity of two pictures by a model is the dot product of their softmaxed outputs. The
    order of the outputs does not matter.

    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> similarity_distance(shares, shares[:, ::-1])
    0.0
    """
    similarities, other_similarities = one @ one.T, other @ other.T
    total = float((similarities + other_similarities).sum())
    return float(np.abs(similarities - other_similarities).sum()) / max(total, 1e-12)


def _select_partial(matches: list[Match], max_models: int) -> list[Match]:
    """Models of some labels, best first; each knows a label that the ones before do not know."""
    selected: list[Match] = []
    known: set[int] = set()
    for match in sorted(matches, key=lambda m: -m.fit.log_likelihood_gain):
        labels = set(match.fit.votes.known.tolist())
        if len(selected) < max_models and not labels <= known:
            selected.append(match)
            known |= labels
    return selected

"""Matches → the few models that are asked, each after those chosen before it.

The first is the one whose votes carry most information, of those that agree with the encoder about
as well as the best. Every further model of all labels must agree with what encoder and chosen
models say together: so one that only shares the encoder's errors is held to what better models
say. A near-copy of a chosen model adds nothing and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import VoteFit, evidence_share, fit_votes, information
from lagotto.specialists.matching import Match, SpecialistCandidate
from lagotto.specialists.probe_evidence import View, excess

NEAR_BEST = 0.6
"""A model of all labels is considered if it explains so much of what the best one explains."""

TOGETHER_AGREES, TOGETHER_NEAR_BEST = 0.25, 0.75
"""What a further model must explain of what is known by then: at least so much of it, and so much
of what the best model explains, or explained before it was chosen."""

SAME = 0.05
"""Two models whose votes differ by less, mean of half the absolute difference, say the same."""

COPIES = 0.1
"""Two models that differ by less in which pictures they take to be alike are copies, whatever the
order of their outputs. An exact copy differs by 0, a quantised one by 0.05 to 0.08 on four sets of
pictures of five, the nearest two different models by 0.15 (docs/results.md)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The models that vote, most informative first, and the temper of the other voices."""

    matches: tuple[Match, ...]
    temper: float


def choose(
    matches: Sequence[Match],
    candidates: Mapping[str, SpecialistCandidate],
    seen: View,
    max_models: int,
) -> Selection:
    """At most `max_models` of the matches; none may be worth asking."""
    shares = {m.model: softmax(candidates[m.model].logits) for m in matches}
    whole = [m for m in matches if m.whole]
    best = max((m.could_explain for m in whole), default=0.0)
    whole = [m for m in whole if m.could_explain >= NEAR_BEST * best]
    chosen: list[Match] = []
    together = softmax(seen.logits)
    temper = 1.0
    most = 0.0
    while whole and len(chosen) < max_models:
        if chosen:
            again = [_again(m, shares[m.model], together) for m in whole]
            again = [m for m in again if not any(_same(m, shares, other) for other in chosen)]
            most = max([most, *(m.explains for m in again)])
            bar = max(TOGETHER_AGREES, TOGETHER_NEAR_BEST * most)
            whole = [m for m in again if m.explains >= bar]
            if not whole:
                break
        found = max(whole, key=lambda m: (bool(m.named), _worth(m.fit, shares[m.model])))
        if not chosen:
            temper = found.fit.temper
            together = softmax(temper * seen.logits)
        chosen.append(found)
        whole = [m for m in whole if m.model != found.model]
        together = together * evidence_share(found.fit, shares[found.model])
        together /= together.sum(axis=1, keepdims=True)
    if not chosen:
        chosen = _partial([m for m in matches if not m.whole], max_models)
    return Selection(tuple(chosen), temper)


def _again(
    match: Match,
    shares: Float64[np.ndarray, "pictures outputs"],
    together: Float64[np.ndarray, "pictures labels"],
) -> Match:
    """The match seen anew beside all that is known by now."""
    outputs = match.fit.votes.outputs
    if not match.named:
        outputs = best_assignment(excess(together, shares))
    fit = fit_votes(np.log(np.maximum(together, 1e-12)), shares, outputs, (1.0,))
    explains = fit.nats / (len(shares) * max(information(together), 1e-9))
    return replace(match, fit=fit, explains=explains)


def _worth(fit: VoteFit, shares: Float64[np.ndarray, "pictures outputs"]) -> float:
    """What its votes say, as far as they are believed."""
    said = fit.votes.base * fit.votes.ratios(shares)
    return fit.weight * information(said / np.maximum(said.sum(axis=1, keepdims=True), 1e-12))


def _same(one: Match, shares: Mapping[str, Float64[np.ndarray, "p o"]], other: Match) -> bool:
    """Whether two models vote alike, or are copies that were taken to know other outputs."""
    rows = []
    for each in (one, other):
        said = each.fit.votes.base * each.fit.votes.ratios(shares[each.model])
        rows.append(said / np.maximum(said.sum(axis=1, keepdims=True), 1e-12))
    if float(np.abs(rows[0] - rows[1]).sum(axis=1).mean() / 2) < SAME:
        return True
    return apart(shares[one.model], shares[other.model]) < COPIES


def apart(
    one: Float64[np.ndarray, "pictures outputs"], other: Float64[np.ndarray, "pictures others"]
) -> float:
    """How far two models differ in which pictures they take to be alike, 0 to 1.

    The order of the outputs does not matter.

    >>> shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> apart(shares, shares[:, ::-1])
    0.0
    """
    alike, others = one @ one.T, other @ other.T
    total = float((alike + others).sum())
    return float(np.abs(alike - others).sum()) / max(total, 1e-12)


def _partial(matches: list[Match], max_models: int) -> list[Match]:
    """Models of some labels, best first, each of which knows a label that those before do not."""
    chosen: list[Match] = []
    known: set[int] = set()
    for each in sorted(matches, key=lambda m: -m.fit.nats):
        labels = set(each.fit.votes.known.tolist())
        if len(chosen) < max_models and not labels <= known:
            chosen.append(each)
            known |= labels
    return chosen

"""Chosen models' answers on pictures → their votes, and what all voices say together.

A product: p ~ others^temper x product over models of (1 - weight + weight x odds). A label that a
model does not know keeps what the others say of it, beside what the model leaves for the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import OutputVotes, evidence_share
from lagotto.specialists.matching import Match
from lagotto.specialists.selection import Selection
from lagotto.zeroshot.types import ModelVote, Prediction

_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Specialist:
    """A model that was asked, and why. `labels` are those that it knows, by number; `outputs`,
    `published`, `agreement` and `on_probes` have an entry for each. See `matching.Match`."""

    model: str
    weight: float
    explains: float
    labels: tuple[int, ...]
    outputs: tuple[int, ...]
    published: tuple[str | None, ...]
    agreement: tuple[float, ...]
    on_probes: tuple[float, ...]
    named: int
    names_agree: float

    @property
    def why(self) -> str:
        """What speaks for it, in one line."""
        said = [
            f"knows {len(self.labels)} labels",
            f"explains {100 * self.explains:.0f} % of what is known of the pictures without it",
        ]
        if self.named:
            said.append(f"{self.named} published under the label's name")
        elif self.names_agree == self.names_agree:
            said.append("its published names are not believed")
        return ", ".join(said)


def specialist(match: Match, names: Sequence[str | None]) -> Specialist:
    """A match with the names that its model publishes (none: an empty list)."""
    known = match.fit.votes.known
    outputs = [int(match.fit.votes.outputs[label]) for label in known]
    return Specialist(
        model=match.model,
        weight=match.fit.weight,
        explains=match.explains,
        labels=tuple(known.tolist()),
        outputs=tuple(outputs),
        published=tuple(names[output] if names else None for output in outputs),
        agreement=tuple(float(value) for value in match.agreement[known]),
        on_probes=tuple(float(value) for value in match.on_probes[known]),
        named=len(match.named),
        names_agree=match.names_agree,
    )


def together(
    others: Float64[np.ndarray, "pictures labels"],
    choice: Selection,
    logits: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
) -> Float64[np.ndarray, "pictures labels"]:
    """The probabilities of the other voices with the chosen models' votes; a model without logits
    (it failed) has none, and pictures on which no model votes keep what the others say."""
    asked = [match for match in choice.matches if match.model in logits]
    if not asked:
        return others
    scores = choice.temper * np.log(np.maximum(others, _LEAST))
    for match in asked:
        factors = evidence_share(match.fit, softmax(logits[match.model]))
        scores = scores + np.log(np.maximum(factors, _LEAST))
    return softmax(scores)


def specialists_alone(
    votes: OutputVotes, shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "pictures labels"]:
    """What one model says if nothing else is known but how often each label occurs."""
    said = votes.base * votes.ratios(shares)
    total = np.maximum(said.sum(axis=1, keepdims=True), _LEAST)
    return np.asarray(said / total)


def with_votes(
    predictions: Sequence[Prediction],
    choice: Selection,
    logits: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
    *,
    others: bool = True,
) -> list[Prediction]:
    """The predictions after the models were heard; without `others`, the models alone."""
    if not predictions:
        return []
    before = np.stack([row.probabilities for row in predictions])
    if not others:
        before = np.full_like(before, 1 / before.shape[1])
    after = together(before, choice, logits)
    asked = [match for match in choice.matches if match.model in logits]
    share = _hub_share(choice, asked, others=others)
    said = [specialists_alone(match.fit.votes, softmax(logits[match.model])) for match in asked]
    rows = []
    for i, row in enumerate(predictions):
        votes = tuple(_vote(match, each[i]) for match, each in zip(asked, said, strict=True))
        image, captions = (weight * (1 - share) for weight in row.weights)
        rows.append(
            replace(
                row,
                probabilities=after[i],
                weights=(image, captions),
                hub_weight=share,
                votes=votes,
            )
        )
    return rows


def _hub_share(choice: Selection, asked: Sequence[Match], *, others: bool) -> float:
    """The models' share of all exponents: their weights beside the temper of the other voices."""
    if not asked:
        return 0.0
    if not others:
        return 1.0
    heard = sum(match.fit.weight for match in asked)
    return heard / (heard + choice.temper)


def _vote(match: Match, said: Float64[np.ndarray, " labels"]) -> ModelVote:
    known = match.fit.votes.outputs >= 0
    return ModelVote(
        model=match.model,
        probabilities=np.where(known, said, 0.0),
        rest=float(said[~known].sum()),
        weight=match.fit.weight,
    )

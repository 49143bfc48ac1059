"""Predictions by image and captions and the logits of selected models come in; joint predictions
go out.

The joint probability is a product: p ~ others^temperature x the product over models of
(1 - weight + weight x likelihood ratio). Models do not change the relative probabilities of two
labels that they do not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import OutputVotes, evidence_factor
from lagotto.specialists.matching import Match
from lagotto.specialists.selection import Selection
from lagotto.zeroshot.types import ModelVote, Prediction

_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class Specialist:
    """A model that votes, and the evidence for it.

    `labels` are the indices of the labels that it knows. `outputs`, `published`, `agreement` and
    `probe_correlation` have one entry for each of these. `named_count` of them are published under
    the label's name. The other fields are those of `matching.Match`.
    """

    model: str
    weight: float
    explained_information: float
    labels: tuple[int, ...]
    outputs: tuple[int, ...]
    published: tuple[str | None, ...]
    agreement: tuple[float, ...]
    probe_correlation: tuple[float, ...]
    named_count: int
    name_agreement: float

    @property
    def why(self) -> str:
        """The evidence for the model, in one line."""
        percent = 100 * self.explained_information
        reasons = [
            f"knows {len(self.labels)} labels",
            f"explains {percent:.0f} % of what is known of the pictures without it",
        ]
        if self.named_count:
            known = "published" if any(self.published) else "by labels of other models known"
            reasons.append(f"{self.named_count} {known} under the label's name")
        elif self.name_agreement == self.name_agreement:
            reasons.append("its published names are not believed")
        return ", ".join(reasons)


def describe_specialist(match: Match, names: Sequence[str | None]) -> Specialist:
    """The facts of a match for a reader; `names` are the model's published names (empty: none)."""
    known_labels = match.fit.votes.known
    outputs = [int(match.fit.votes.outputs[label]) for label in known_labels]
    return Specialist(
        model=match.model,
        weight=match.fit.weight,
        explained_information=match.explained_information,
        labels=tuple(known_labels.tolist()),
        outputs=tuple(outputs),
        published=tuple(names[output] if names else None for output in outputs),
        agreement=tuple(float(value) for value in match.agreement[known_labels]),
        probe_correlation=tuple(float(value) for value in match.probe_correlation[known_labels]),
        named_count=len(match.named_labels),
        name_agreement=match.name_agreement,
    )


def combine_votes(
    others: Float64[np.ndarray, "pictures labels"],
    selection: Selection,
    logits: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
) -> Float64[np.ndarray, "pictures labels"]:
    """The joint probabilities of the other voices and the selected models.

    Args:
        others: Probabilities by image and captions.
        selection: The models that vote.
        logits: The logits of each model by name. A model without logits (it failed) does not
            vote; if no model votes, `others` is returned.
    """
    matches = [match for match in selection.matches if match.model in logits]
    if not matches:
        return others
    scores = selection.temperature * np.log(np.maximum(others, _FLOOR))
    for match in matches:
        factors = evidence_factor(match.fit, softmax(logits[match.model]))
        scores = scores + np.log(np.maximum(factors, _FLOOR))
    return softmax(scores)


def specialist_alone(
    votes: OutputVotes, shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "pictures labels"]:
    """The label probabilities by one model alone, given the prior of each label."""
    probabilities = votes.prior * votes.likelihood_ratio(shares)
    total = np.maximum(probabilities.sum(axis=1, keepdims=True), _FLOOR)
    return np.asarray(probabilities / total)


def add_votes(
    predictions: Sequence[Prediction],
    selection: Selection,
    logits: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
    *,
    others: bool = True,
) -> list[Prediction]:
    """Adds the votes of the selected models to predictions.

    Args:
        predictions: Predictions by image and captions.
        selection: The models that vote.
        logits: The logits of each model by name, a row a prediction.
        others: Whether image and captions vote too; if not, the models vote alone.
    """
    if not predictions:
        return []
    before = np.stack([row.probabilities for row in predictions])
    if not others:
        before = np.full_like(before, 1 / before.shape[1])
    after = combine_votes(before, selection, logits)
    matches = [match for match in selection.matches if match.model in logits]
    hub_weight = _hub_weight(selection, matches, others=others)
    alone = [specialist_alone(match.fit.votes, softmax(logits[match.model])) for match in matches]
    rows = []
    for i, row in enumerate(predictions):
        votes = tuple(
            _vote(match, probabilities[i])
            for match, probabilities in zip(matches, alone, strict=True)
        )
        image, captions = (weight * (1 - hub_weight) for weight in row.weights)
        rows.append(
            replace(
                row,
                probabilities=after[i],
                weights=(image, captions),
                hub_weight=hub_weight,
                votes=votes,
            )
        )
    return rows


def _hub_weight(selection: Selection, matches: Sequence[Match], *, others: bool) -> float:
    """The weight of the models: their share of all exponents in the product."""
    if not matches:
        return 0.0
    if not others:
        return 1.0
    models_weight = sum(match.fit.weight for match in matches)
    return models_weight / (models_weight + selection.temperature)


def _vote(match: Match, probabilities: Float64[np.ndarray, " labels"]) -> ModelVote:
    known = match.fit.votes.outputs >= 0
    return ModelVote(
        model=match.model,
        probabilities=np.where(known, probabilities, 0.0),
        rest=float(probabilities[~known].sum()),
        weight=match.fit.weight,
    )

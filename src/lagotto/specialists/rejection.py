"""Predictions and the logits of models come in; predictions whose P(none) heeds the models go out.

A model that covers all labels and knows more besides says how much of its probability lies outside
the labels. That is evidence against all of them at once, which image and vocabulary lack where the
encoder is weak. A model that misses some labels says nothing here: what lies outside its own labels
may be one that it misses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from lagotto.core.vectors import softmax
from lagotto.specialists.matching import Match
from lagotto.specialists.selection import Selection
from lagotto.zeroshot.rejection.suggestions import SUGGESTIONS
from lagotto.zeroshot.types import Prediction, Suggestion

OUTSIDE_WEIGHT = 0.8
"""Weight of a model's log odds outside : inside the labels, times how far the model is believed.
benchmarks/quality/none_of_these.py"""

LEAST_SHARE = 0.5
"""Share from which a model's output outside the labels is suggested."""

_FLOOR = 1e-3


def judge_with_models(
    predictions: Sequence[Prediction],
    selection: Selection,
    logits: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
    names: Mapping[str, Sequence[str | None]],
    reject: float | None,
) -> list[Prediction]:
    """The predictions with P(none) and suggestions by the voting models too.

    Args:
        predictions: Predictions by all voices, P(none) by image and vocabulary.
        selection: The models that vote.
        logits: The logits of each model by name, a row a prediction.
        names: The published names of each model's outputs; models without are not quoted.
        reject: P(none) from which a prediction is rejected; None for never.
    """
    matches = [match for match in selection.matches if match.model in logits]
    if not matches or not predictions:
        return list(predictions)
    shares = {match.model: softmax(logits[match.model]) for match in matches}
    shift = _shift(matches, shares, len(predictions))
    rows = []
    for i, row in enumerate(predictions):
        none = row.none if shift[i] == 0 else _moved(row.none, float(shift[i]))
        quoted = [
            suggestion
            for match in matches
            if (suggestion := _quote(match, shares[match.model][i], names.get(match.model, ())))
        ]
        rows.append(
            replace(
                row,
                none=none,
                rejected=reject is not None and none >= reject,
                suggestions=(*quoted, *row.suggestions)[:SUGGESTIONS],
            )
        )
    return rows


def _shift(
    matches: Sequence[Match],
    shares: Mapping[str, Float64[np.ndarray, "pictures outputs"]],
    pictures: int,
) -> Float64[np.ndarray, " pictures"]:
    """What the models that cover all labels add to the log odds of none: their mean."""
    terms = []
    for match in matches:
        outputs = match.fit.votes.outputs
        of_model = shares[match.model]
        if (outputs < 0).any() or len(np.unique(outputs)) >= of_model.shape[1]:
            continue
        inside = of_model[:, np.unique(outputs)].sum(axis=1)
        odds = np.log((1 - inside + _FLOOR) / (inside + _FLOOR))
        terms.append(OUTSIDE_WEIGHT * match.fit.weight * odds)
    return np.mean(terms, axis=0) if terms else np.zeros(pictures)


def _moved(probability: float, shift: float) -> float:
    """The probability after its log odds were moved."""
    clipped = min(max(probability, 1e-12), 1 - 1e-12)
    log_odds = np.log(clipped / (1 - clipped)) + shift
    return float(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))


def _quote(
    match: Match, shares: Float64[np.ndarray, " outputs"], names: Sequence[str | None]
) -> Suggestion | None:
    """The output outside the labels that a model is sure of, by its published name."""
    outputs = match.fit.votes.outputs
    best = int(shares.argmax())
    if best in outputs[outputs >= 0] or shares[best] < LEAST_SHARE or best >= len(names):
        return None
    name = names[best]
    return Suggestion(name, float(shares[best]), 0, match.model) if name else None

"""Predictions come in; the JSON object that `lagotto classify --json` prints goes out."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lagotto.core.types import JsonObject, JsonValue, Skipped
from lagotto.specialists.classifier import Classifier
from lagotto.specialists.fusion import Specialist
from lagotto.zeroshot.types import NONE_OF_THESE, ModelVote, Prediction, Suggestion

if TYPE_CHECKING:
    import numpy as np


def classification_answer(
    classifier: Classifier, rows: Iterable[Prediction | Skipped]
) -> JsonObject:
    """All rows with what is true of all of them; `specialists` only with a hub.

    The rows are drawn first: a classifier knows its specialists only then.
    """
    images: list[JsonValue] = [prediction_answer(classifier, row) for row in rows]
    answer: JsonObject = {
        "labels": [label.name for label in classifier.labels],
        "encoder": classifier.encoder.info.name,
        "mode": classifier.mode,
        "images": images,
    }
    if "hub" in classifier.voices:
        answer["specialists"] = [
            _specialist(classifier, specialist) for specialist in classifier.specialists
        ]
    return answer


def prediction_answer(classifier: Classifier, row: Prediction | Skipped) -> JsonObject:
    """One picture: its probabilities and what made them, or why it could not be read."""
    if isinstance(row, Skipped):
        return {"path": row.source, "error": row.reason}
    weights: JsonObject = {
        "image": round(row.weights[0], 6),
        "captions": round(row.weights[1], 6),
    }
    voices: JsonObject = {}
    if "hub" in classifier.voices:
        weights["hub"] = round(row.hub_weight, 6)
        voices["voices"] = [_vote(classifier, vote) for vote in row.votes]
    answer: JsonObject = {
        "path": row.path,
        "label": chosen_label(classifier, row),
        "probabilities": [round(float(p), 6) for p in row.probabilities],
        "image_only": {
            "label": best_label(classifier, row.image_only),
            "probabilities": [round(float(p), 6) for p in row.image_only],
        },
        "weights": weights,
        "captions": [
            {"text": each.text, "similarity": round(each.similarity, 6)} for each in row.captions
        ],
        **voices,
        "none": round(row.none, 6),
        "suggestions": [_suggestion(each) for each in row.suggestions],
    }
    return answer | ({"declined": row.declined} if row.declined else {})


def _suggestion(suggestion: Suggestion) -> JsonObject:
    return {
        "name": suggestion.name,
        "probability": round(suggestion.probability, 6),
        "captions": suggestion.captions,
        "model": suggestion.model or None,
    }


def _vote(classifier: Classifier, vote: ModelVote) -> JsonObject:
    reasons = {specialist.model: specialist.why for specialist in classifier.specialists}
    return {
        "model": vote.model,
        "why": reasons[vote.model],
        "weight": round(vote.weight, 6),
        "probabilities": [round(float(p), 6) for p in vote.probabilities],
        "rest": round(vote.rest, 6),
    }


def _specialist(classifier: Classifier, specialist: Specialist) -> JsonObject:
    """A model that voted: its facts, and one row for each label that it knows."""
    columns = zip(
        specialist.labels,
        specialist.outputs,
        specialist.published,
        specialist.agreement,
        specialist.probe_correlation,
        strict=True,
    )
    knows: list[JsonValue] = [
        {
            "label": classifier.labels[label].name,
            "output": output,
            "published": published,
            "agreement": round(agreement, 6),
            "on_probes": round(on_probes, 6),
        }
        for label, output, published, agreement, on_probes in columns
    ]
    return {
        "model": specialist.model,
        "why": specialist.why,
        "weight": round(specialist.weight, 6),
        "explains": round(specialist.explained_information, 6),
        "named": specialist.named_count,
        "names_agree": _number_or_none(specialist.name_agreement),
        "knows": knows,
    }


def _number_or_none(value: float) -> float | None:
    """The value rounded; None for nan."""
    return None if math.isnan(value) else round(value, 6)


def chosen_label(classifier: Classifier, row: Prediction) -> str:
    """The label of the highest probability, or that none fits."""
    return NONE_OF_THESE if row.rejected else best_label(classifier, row.probabilities)


def best_label(classifier: Classifier, probabilities: "np.ndarray") -> str:
    """The name of the label of the highest probability."""
    return classifier.labels[int(probabilities.argmax())].name

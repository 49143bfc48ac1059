"""A caption store and its encoder come in; the calibration of the guarded rule goes out.

The calibration is fitted once for a store and an encoder, on pseudo tasks made of the store itself.
It depends on no labels and no pictures of the user.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64

from lagotto.core.errors import CaptionError
from lagotto.core.files import canonical_json, read_json, write_atomically
from lagotto.core.types import JsonObject
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.calibration.conditional_logit import fit_conditional_logit
from lagotto.zeroshot.calibration.pseudo_tasks import (
    PseudoTasks,
    make_pseudo_tasks,
    option_scores,
    shift_word_prompts,
    two_fold_split,
)
from lagotto.zeroshot.prompts.adaptation import PromptShift, mean_row
from lagotto.zeroshot.prompts.labels import make_labels
from lagotto.zeroshot.prompts.templates import embed_labels
from lagotto.zeroshot.retrieval import Retriever
from lagotto.zeroshot.types import Captions

CALIBRATION_VERSION = 2
SHIFT_CANDIDATES = tuple(
    PromptShift(captions, pictures) for captions in (0.0, 1.0) for pictures in (0.0, 0.5, 1.0)
)
GATE_LOW_QUANTILE, GATE_HIGH_QUANTILE = 0.05, 0.5
"""Quantiles of the neighbour similarity of the stored pictures, between which the gate opens."""

_JSON_KEYS = {
    "prior": "prior",
    "prompt_shift": "naming",
    "gate_low": "far",
    "gate_high": "usual",
    "tasks": "tasks",
    "accuracy_before": "accuracy_before",
    "accuracy_after": "accuracy_after",
}
"""The key of each field in the file: those of format 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The parameters of the guarded rule for one store and one encoder.

    `prior` is the share of a label's mean score over the store's pictures that is subtracted from
    its scores. `prompt_shift` is how far prompts are shifted towards the captions that name them,
    and towards the pictures of those. `gate_low` and `gate_high` are neighbour similarities: at or
    below `gate_low` prompts are not shifted, from `gate_high` on they are shifted in full.

    The fit used `tasks` pseudo tasks: `accuracy_before` is the share of them that the image alone
    gets right, `accuracy_after` the share with prior and shifted prompts, on the same tasks.
    """

    prior: float
    prompt_shift: PromptShift
    gate_low: float
    gate_high: float
    tasks: int
    accuracy_before: float
    accuracy_after: float

    def gate(
        self, neighbour_similarity: Float64[np.ndarray, " pictures"]
    ) -> Float64[np.ndarray, " pictures"]:
        """How far prompts are shifted for a picture: 0 up to `gate_low`, 1 from `gate_high` on."""
        width = max(self.gate_high - self.gate_low, 1e-6)
        return np.clip((neighbour_similarity - self.gate_low) / width, 0.0, 1.0)


def calibrate(
    captions: Captions, retriever: Retriever, encoder: Encoder, template: str
) -> Calibration | None:
    """Fits the calibration of a store.

    Args:
        captions: The store.
        retriever: An exact search over the store.
        encoder: The encoder that made the store.
        template: The encoder's prompt template.

    Returns:
        The calibration; None if the store has too few captioned pictures.
    """
    tasks = make_pseudo_tasks(captions)
    if tasks is None:
        return None
    labels = make_labels(tasks.words)
    prompts = embed_labels(encoder, labels, (template,)).embeddings
    similarity = retriever.retrieve(tasks.pictures, 1).neighbour_similarity
    mean_picture = mean_row(captions.image_embeddings)
    return _fit(tasks, similarity[np.isfinite(similarity)], prompts, mean_picture)


def _fit(
    tasks: PseudoTasks,
    similarity: Float64[np.ndarray, " pictures"],
    prompts: Float32[np.ndarray, "words dim"],
    mean_picture: Float32[np.ndarray, " dim"],
) -> Calibration:
    plain = option_scores(tasks.pictures @ prompts.T, tasks)
    mean_scores = np.broadcast_to(mean_picture @ prompts.T, (len(tasks.pictures), len(prompts)))
    both = np.stack([plain, -option_scores(mean_scores, tasks)], axis=-1)
    prior = relative_weight(fit_conditional_logit(both).weights)
    candidates = []
    for shift in SHIFT_CANDIDATES:
        scores = _shifted_scores(tasks, prompts, mean_picture, prior, shift)
        candidates.append((fit_conditional_logit(scores[..., None]).loss, shift, scores))
    _, shift, scores = min(candidates, key=lambda candidate: candidate[0])
    return Calibration(
        prior=prior,
        prompt_shift=shift,
        gate_low=float(np.quantile(similarity, GATE_LOW_QUANTILE)),
        gate_high=float(np.quantile(similarity, GATE_HIGH_QUANTILE)),
        tasks=len(plain),
        accuracy_before=_accuracy(plain),
        accuracy_after=_accuracy(scores),
    )


def relative_weight(weights: Float64[np.ndarray, "2"]) -> float:
    """The second weight divided by the first, clipped to 0..1; 0 if the first is not positive."""
    return float(np.clip(weights[1] / weights[0], 0, 1)) if weights[0] > 0 else 0.0


def _shifted_scores(
    tasks: PseudoTasks,
    prompts: Float32[np.ndarray, "words dim"],
    mean_picture: Float32[np.ndarray, " dim"],
    prior: float,
    shift: PromptShift,
) -> Float[np.ndarray, "tasks options"]:
    """The cosine of each option minus its prior, with prompts shifted by the other fold."""
    scores = np.zeros(tasks.options.shape)
    fold_of_task = two_fold_split(tasks)[tasks.pictures_of_tasks]
    for fold in (0, 1):
        shifted = shift_word_prompts(tasks, prompts, fold, shift)
        for task in np.flatnonzero(fold_of_task == fold):
            picture, options = tasks.pictures_of_tasks[task], tasks.options[task]
            scores[task] = (tasks.pictures[picture] - prior * mean_picture) @ shifted[options].T
    return scores


def _accuracy(scores: Float[np.ndarray, "tasks options"]) -> float:
    return float((scores.argmax(axis=1) == 0).mean())


def read_calibration(path: Path, made_from: str) -> Calibration | None:
    """The calibration in a file; None if it is unreadable or `made_from` differs."""
    if not path.is_file():
        return None
    try:
        row = read_json(path, "calibration", CaptionError)
        if row.get("version") != CALIBRATION_VERSION or row.get("made_from") != made_from:
            return None
        return _from_json(row["calibration"])
    except (CaptionError, KeyError, TypeError, ValueError):
        return None


def _from_json(values: object) -> Calibration:
    """The calibration in `_to_json`'s form; KeyError, TypeError or ValueError for other values."""
    if not isinstance(values, dict):
        raise TypeError(type(values).__name__)
    field_of = {key: name for name, key in _JSON_KEYS.items()}
    fields = {field_of[key]: value for key, value in values.items()}
    shift, tasks = PromptShift(**fields.pop("prompt_shift")), int(fields.pop("tasks"))
    numbers = {name: float(value) for name, value in fields.items()}
    return Calibration(**numbers, prompt_shift=shift, tasks=tasks)


def _to_json(calibration: Calibration) -> JsonObject:
    return {_JSON_KEYS[name]: value for name, value in asdict(calibration).items()}


def write_calibration(path: Path, made_from: str, calibration: Calibration) -> None:
    """Writes the file atomically; HubError if it cannot be written."""
    row: JsonObject = {
        "version": CALIBRATION_VERSION,
        "made_from": made_from,
        "calibration": _to_json(calibration),
    }
    write_atomically(path, canonical_json(row) + b"\n")

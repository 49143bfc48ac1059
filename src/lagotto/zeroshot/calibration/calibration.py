"""Stage 4a of zero-shot classification: what a store's captions have earned, measured on itself.

Fitted once for a store and an encoder; labels, and pictures to classify, play no part.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64

from lagotto.core.errors import CaptionError
from lagotto.core.files import canonical_json, read_json, write_atomically
from lagotto.core.types import JsonObject
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.calibration.conditional_logit import ConditionalLogit, fit_conditional_logit
from lagotto.zeroshot.calibration.pseudo_tasks import (
    PseudoTasks,
    make_pseudo_tasks,
    option_scores,
    others_captions,
    two_fold_split,
    word_prompts,
)
from lagotto.zeroshot.prompts.adaptation import PromptShift, mean_row
from lagotto.zeroshot.prompts.labels import make_labels
from lagotto.zeroshot.prompts.templates import embed_labels
from lagotto.zeroshot.retrieval import Retrieved, Retriever
from lagotto.zeroshot.types import Captions
from lagotto.zeroshot.votes import caption_vote

CALIBRATION_VERSION = 1
CAPTIONS_ASKED = 16
STRENGTHS = tuple(PromptShift(text, shown) for text in (0.0, 1.0) for shown in (0.0, 0.5, 1.0))
CERTAIN = 1.96
"""Standard errors taken off the captions' weight: they vote with what they have surely earned."""

FAR, USUAL = 0.05, 0.5
"""Quantiles of the stored pictures' own reach between which captions gain their full weight."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learned from a store.

    `prior`: share of a label's mean score over the store's pictures that is taken off.
    `naming`: how far prompts are moved towards captions that name them, and their pictures.
    `caption_weight`: of the captions' log vote beside the image's. Below `far` (a reach) captions
    are declined, from `usual` on they count in full. `tasks` were in the exam, `accuracy_before` of
    them right by the image alone and `accuracy_after` with everything (fitted on the same tasks).
    """

    prior: float
    naming: PromptShift
    caption_weight: float
    far: float
    usual: float
    tasks: int
    accuracy_before: float
    accuracy_after: float

    def nearness(self, reach: Float64[np.ndarray, " pictures"]) -> Float64[np.ndarray, " pictures"]:
        """0 for a picture far from the store, 1 for one as near as its own pictures usually are."""
        width = max(self.usual - self.far, 1e-6)
        return np.clip((reach - self.far) / width, 0.0, 1.0)


def calibrate(
    captions: Captions, retriever: Retriever, encoder: Encoder, template: str
) -> Calibration | None:
    """The calibration of a store; None where it has too few captioned pictures to tell."""
    exam = make_pseudo_tasks(captions)
    if exam is None:
        return None
    labels = make_labels(exam.words)
    prompts = embed_labels(encoder, labels, (template,)).embeddings
    found = others_captions(exam, retriever, CAPTIONS_ASKED)
    picture, caption = mean_row(captions.image_embeddings), mean_row(captions.text_embeddings)
    return _fit(exam, found, prompts, (picture, caption), encoder.info.logit_scale)


def _fit(
    exam: PseudoTasks,
    found: Retrieved,
    prompts: Float32[np.ndarray, "words dim"],
    means: tuple[Float32[np.ndarray, " dim"], Float32[np.ndarray, " dim"]],
    scale: float,
) -> Calibration:
    plain = option_scores(exam.pictures @ prompts.T, exam)
    usual = np.broadcast_to(means[0] @ prompts.T, (len(exam.pictures), len(prompts)))
    both = np.stack([plain, -option_scores(usual, exam)], axis=-1)
    prior = relative_weight(fit_conditional_logit(both, exam.asked), certain=False)
    tried = []
    for strength in STRENGTHS:
        image, votes = _evidence(exam, found, prompts, means, (scale, prior, strength))
        loss = fit_conditional_logit(image[..., None], exam.asked).loss
        tried.append((loss, strength, image, votes))
    _, strength, image, votes = min(tried, key=lambda each: each[0])
    fit = fit_conditional_logit(np.stack([scale * image, votes], axis=-1), exam.asked)
    weight = relative_weight(fit, certain=True)
    reach = found.reach[np.isfinite(found.reach)]
    return Calibration(
        prior=prior,
        naming=strength,
        caption_weight=weight,
        far=float(np.quantile(reach, FAR)),
        usual=float(np.quantile(reach, USUAL)),
        tasks=len(exam.asked),
        accuracy_before=_accuracy(plain),
        accuracy_after=_accuracy(scale * image + weight * votes),
    )


def relative_weight(fit: ConditionalLogit, *, certain: bool) -> float:
    """The second weight over the first, within 0 and 1; if `certain`, what it surely exceeds."""
    if fit.weights[0] <= 0:
        return 0.0
    second = fit.weights[1] - (CERTAIN * fit.errors[1] if certain else 0.0)
    return float(np.clip(second / fit.weights[0], 0, 1))


def _evidence(
    exam: PseudoTasks,
    found: Retrieved,
    prompts: Float32[np.ndarray, "words dim"],
    means: tuple[Float32[np.ndarray, " dim"], Float32[np.ndarray, " dim"]],
    settings: tuple[float, float, PromptShift],
) -> tuple[Float[np.ndarray, "tasks options"], Float[np.ndarray, "tasks options"]]:
    """Of each task's options: the cosine less the prior, and the log of the captions' vote."""
    scale, prior, strength = settings
    image = np.zeros(exam.options.shape)
    votes = np.zeros(exam.options.shape)
    half_of = two_fold_split(exam)[exam.asked]
    for half in (0, 1):
        moved = word_prompts(exam, prompts, half, strength)
        usual = means[1] @ moved.T
        for task in np.flatnonzero(half_of == half):
            picture, options = exam.asked[task], exam.options[task]
            image[task] = (exam.pictures[picture] - prior * means[0]) @ moved[options].T
            vote = caption_vote(
                found.embeddings[picture][None],
                found.there[picture][None],
                moved[options],
                scale,
                usual[options],
            )
            votes[task] = np.log(np.maximum(vote[0], 1e-12))
    return image, votes


def _accuracy(scores: Float[np.ndarray, "tasks options"]) -> float:
    return float((scores.argmax(axis=1) == 0).mean())


def read_calibration(path: Path, made_from: str) -> Calibration | None:
    """The calibration in a file if it was made from the same; None if not, or not readable."""
    if not path.is_file():
        return None
    try:
        row = read_json(path, "calibration", CaptionError)
        if row.get("version") != CALIBRATION_VERSION or row.get("made_from") != made_from:
            return None
        values = row["calibration"]
        return _from_json(values)
    except (CaptionError, KeyError, TypeError, ValueError):
        return None


def _from_json(values: object) -> Calibration:
    """The calibration that asdict gave; KeyError, TypeError or ValueError for anything else."""
    if not isinstance(values, dict):
        raise TypeError(type(values).__name__)
    rest = {name: float(value) for name, value in values.items() if name not in ("naming", "tasks")}
    return Calibration(**rest, naming=PromptShift(**values["naming"]), tasks=int(values["tasks"]))


def write_calibration(path: Path, made_from: str, calibration: Calibration) -> None:
    """Writes the file, whole or not at all; HubError if it cannot be written."""
    row: JsonObject = {
        "version": CALIBRATION_VERSION,
        "made_from": made_from,
        "calibration": asdict(calibration),
    }
    write_atomically(path, canonical_json(row) + b"\n")

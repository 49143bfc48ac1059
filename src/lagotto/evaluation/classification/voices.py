"""A classifier with a hub and labelled pictures come in; accuracy by set of voices goes out.

Each picture is read once, and all sets of voices vote on the same embeddings and logits. Models are
selected on a sample of the pictures, as in use. The labels serve only for scoring.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from lagotto.core.progress import Progress, Silent
from lagotto.core.vectors import softmax
from lagotto.evaluation.classification.dataset import LabelledSet
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.specialists.classifier import Classifier
from lagotto.specialists.finder import FinderResult
from lagotto.specialists.fusion import (
    Specialist,
    combine_votes,
    specialist_alone,
)
from lagotto.specialists.model_runs import ModelRuns
from lagotto.specialists.pictures.batches import Batch, read_batches

IMAGE, CAPTIONS, HUB, ALL = "image", "image+captions", "image+hub", "image+captions+hub"
BEST_MODEL, ORACLE = "best single found model", "oracle choice of voice"


@dataclass(frozen=True, slots=True)
class VoiceScores:
    """The accuracy of one set of voices, and its gain over the image alone, paired by picture.

    BEST_MODEL is the selected model that is right most often, alone. ORACLE is right where any
    single voice (image, captions, a model) is right. Both use the labels: they are upper bounds for
    a better selection, not results that a user can reach.
    """

    voices: str
    acc1: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True)
class VoicesEvaluation:
    """The scores, image first; the models selected beside all other voices; and notes."""

    scores: tuple[VoiceScores, ...]
    specialists: tuple[Specialist, ...]
    notes: tuple[str, ...]


def evaluate_voices(
    classifier: Classifier, data: LabelledSet, *, seed: int = 0, progress: Progress | None = None
) -> VoicesEvaluation:
    """Scores every set of voices that the classifier has; an unreadable picture is a miss.

    Args:
        classifier: A classifier with a hub, whose labels are `data.labels`.
        data: The labelled pictures.
        seed: The seed of the bootstrap intervals.
        progress: Receives the progress of the work.
    """
    progress = progress or Silent()
    first_note = len(classifier.notes)
    pictures = list(data.pictures())
    readers: list[Callable[[], bytes]] = [picture.read for picture in pictures]
    hits_by_voices: dict[str, list[Bool[np.ndarray, " batch"]]] = {}
    image = classifier.variant("image-only", 1)
    with ModelRuns(classifier.limits) as runs:
        result_by_image = image.find_specialists(readers, runs)
        result_by_both = (
            classifier.find_specialists(readers, runs)
            if _has_captions(classifier)
            else result_by_image
        )
        progress.start("hearing voices", len(pictures), "pictures")
        for batch in read_batches(image.encoder, [result_by_image, result_by_both], readers, runs):
            positions = batch.positions
            readable = np.array([position not in batch.unreadable for position in positions], bool)
            truth = np.array([pictures[position].truth for position in positions])
            by_voices = {}
            if readable.any():
                by_voices = _probabilities_by_voices(
                    classifier, batch, result_by_image, result_by_both
                )
            for voices, probabilities in by_voices.items():
                hits = np.zeros(len(positions), bool)
                hits[readable] = probabilities.argmax(axis=1) == truth[readable]
                hits_by_voices.setdefault(voices, []).append(hits)
            progress.advance(len(positions))
        progress.finish()
    joined = {voices: np.concatenate(parts) for voices, parts in hits_by_voices.items()}
    return VoicesEvaluation(
        tuple(_scores(joined, seed)),
        classifier.specialists if _has_captions(classifier) else image.specialists,
        classifier.notes[first_note:] if _has_captions(classifier) else image.notes,
    )


def _has_captions(classifier: Classifier) -> bool:
    return "captions" in classifier.voices


def _probabilities_by_voices(
    classifier: Classifier, batch: Batch, by_image: FinderResult, by_both: FinderResult
) -> dict[str, Float64[np.ndarray, "readable labels"]]:
    """The probabilities by each set of voices, and by each model alone under "model NAME".

    Models were selected twice: beside the image alone, and beside image and captions.
    """
    embeddings, logits = batch.embeddings, batch.logits
    captions = classifier.retrieve(embeddings)
    votes = classifier.voting.vote(embeddings, captions)
    by_voices = {IMAGE: votes.image}
    if _has_captions(classifier):
        by_voices[CAPTIONS] = votes.pooled.probabilities
    by_voices[HUB] = combine_votes(votes.image, by_image.selection, logits)
    if _has_captions(classifier):
        by_voices[ALL] = combine_votes(votes.pooled.probabilities, by_both.selection, logits)
    for result in (by_image, by_both):
        for match in result.selection.matches:
            probabilities = votes.image
            if match.model in logits:
                probabilities = specialist_alone(match.fit.votes, softmax(logits[match.model]))
            by_voices[f"model {match.model}"] = probabilities
    return by_voices


def _scores(
    hits_by_voices: Mapping[str, Bool[np.ndarray, " samples"]], seed: int
) -> list[VoiceScores]:
    hits_of_model = {
        name: hits for name, hits in hits_by_voices.items() if name.startswith("model ")
    }
    rows = {name: hits for name, hits in hits_by_voices.items() if not name.startswith("model ")}
    if hits_of_model:
        rows[BEST_MODEL] = max(hits_of_model.values(), key=lambda hits: int(hits.sum()))
    voices = [hits for name, hits in rows.items() if name in (IMAGE, CAPTIONS)]
    rows[ORACLE] = np.any([*voices, *hits_of_model.values()], axis=0)
    return [
        VoiceScores(
            name,
            mean_interval(hits, seed=seed),
            mean_interval(hits.astype(np.int8) - rows[IMAGE].astype(np.int8), seed=seed),
        )
        for name, hits in rows.items()
    ]

"""Layer 4: a classifier with a hub and labelled pictures → accuracy by the voices that are heard.

One pass: each picture is read once, and all sets of voices vote on the same embeddings and logits.
Models are chosen as in use, on a sample of the pictures; the labels only score.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from lagotto.core.progress import Progress, Silent
from lagotto.core.vectors import softmax
from lagotto.evaluation.classification.dataset import LabelledSet
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.specialists.batches import Batch, read_batches
from lagotto.specialists.classifier import Classifier
from lagotto.specialists.finder import FinderResult
from lagotto.specialists.fusion import (
    Specialist,
    combine_votes,
    specialist_alone,
)
from lagotto.specialists.model_runs import ModelRuns

IMAGE, CAPTIONS, HUB, ALL = "image", "image+captions", "image+hub", "image+captions+hub"
BEST_MODEL, ORACLE = "best single found model", "oracle choice of voice"


@dataclass(frozen=True, slots=True)
class VoiceScores:
    """How often one set of voices is right, and the gain on the image alone, paired by picture.

    BEST_MODEL is the model that was asked and is right most often, by itself; ORACLE is right where
    any one voice (image, captions, a model) is. Both need the labels: they are what choosing better
    could give, not what can be had.
    """

    voices: str
    acc1: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True)
class VoicesEvaluation:
    """The scores, image first; the models that were asked beside all other voices, and remarks."""

    scores: tuple[VoiceScores, ...]
    specialists: tuple[Specialist, ...]
    notes: tuple[str, ...]


def evaluate_voices(
    classifier: Classifier, data: LabelledSet, *, seed: int = 0, progress: Progress | None = None
) -> VoicesEvaluation:
    """Scores every set of voices that the classifier has; a picture that cannot be read is a miss.

    The classifier must be made of `data.labels`, with a hub. `seed` is that of the intervals.
    """
    progress = progress or Silent()
    before = len(classifier.notes)
    pictures = list(data.pictures())
    reads: list[Callable[[], bytes]] = [picture.read for picture in pictures]
    right: dict[str, list[Bool[np.ndarray, " batch"]]] = {}
    image = classifier.variant("image-only", 1)
    with ModelRuns(classifier.limits) as runs:
        found = image.find_specialists(reads, runs)
        beside = classifier.find_specialists(reads, runs) if _has_captions(classifier) else found
        progress.start("hearing voices", len(pictures), "pictures")
        for batch in read_batches(image.encoder, [found, beside], reads, runs):
            places = batch.positions
            readable = np.array([place not in batch.unreadable for place in places], bool)
            truth = np.array([pictures[place].truth for place in places])
            heard = {}
            if readable.any():
                heard = _heard(classifier, batch, found, beside)
            for voices, probabilities in heard.items():
                hits = np.zeros(len(places), bool)
                hits[readable] = probabilities.argmax(axis=1) == truth[readable]
                right.setdefault(voices, []).append(hits)
            progress.advance(len(places))
        progress.finish()
    joined = {voices: np.concatenate(parts) for voices, parts in right.items()}
    return VoicesEvaluation(
        tuple(_scores(joined, seed)),
        classifier.specialists if _has_captions(classifier) else image.specialists,
        classifier.notes[before:] if _has_captions(classifier) else image.notes,
    )


def _has_captions(classifier: Classifier) -> bool:
    return "captions" in classifier.voices


def _heard(
    classifier: Classifier, batch: Batch, by_image: FinderResult, by_both: FinderResult
) -> dict[str, Float64[np.ndarray, "readable labels"]]:
    """The probabilities by each set of voices, and by each model alone under its own name.

    Models were found beside the image alone, and beside image and captions.
    """
    embeddings, logits = batch.embeddings, batch.logits
    captions = classifier.retrieve(embeddings)
    votes = classifier.voting.vote(embeddings, captions)
    heard = {IMAGE: votes.image}
    if _has_captions(classifier):
        heard[CAPTIONS] = votes.pooled.probabilities
    heard[HUB] = combine_votes(votes.image, by_image.selection, logits)
    if _has_captions(classifier):
        heard[ALL] = combine_votes(votes.pooled.probabilities, by_both.selection, logits)
    for found in (by_image, by_both):
        for match in found.selection.matches:
            own = votes.image
            if match.model in logits:
                own = specialist_alone(match.fit.votes, softmax(logits[match.model]))
            heard[f"model {match.model}"] = own
    return heard


def _scores(right: Mapping[str, Bool[np.ndarray, " samples"]], seed: int) -> list[VoiceScores]:
    own = {name: hits for name, hits in right.items() if name.startswith("model ")}
    rows = {name: hits for name, hits in right.items() if not name.startswith("model ")}
    if own:
        rows[BEST_MODEL] = max(own.values(), key=lambda hits: int(hits.sum()))
    voices = [hits for name, hits in rows.items() if name in (IMAGE, CAPTIONS)]
    rows[ORACLE] = np.any([*voices, *own.values()], axis=0)
    return [
        VoiceScores(
            name,
            mean_interval(hits, seed=seed),
            mean_interval(hits.astype(np.int8) - rows[IMAGE].astype(np.int8), seed=seed),
        )
        for name, hits in rows.items()
    ]

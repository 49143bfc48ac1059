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
from lagotto.evaluation.intervals import Estimate, mean_interval
from lagotto.evaluation.labelled import LabelledSet
from lagotto.specialists.finding import Found
from lagotto.specialists.pipeline import BATCH, Classifier
from lagotto.specialists.running import ModelRuns
from lagotto.specialists.voting import Specialist, alone, together

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
    """The scores, image first; the models that were asked, and remarks."""

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
    with ModelRuns(classifier.limits) as runs:
        found = classifier.find_specialists(reads, runs)
        progress.start("hearing voices", len(pictures), "pictures")
        for start in range(0, len(pictures), BATCH):
            places = range(start, min(start + BATCH, len(pictures)))
            rows, logits = classifier.read_batch(found, reads, places, runs)
            readable = np.array([not isinstance(row, str) for row in rows], bool)
            truth = np.array([pictures[place].truth for place in places])
            embeddings = [row for row in rows if not isinstance(row, str)]
            heard = _heard(classifier, np.stack(embeddings), found, logits) if embeddings else {}
            for voices, probabilities in heard.items():
                hits = np.zeros(len(places), bool)
                hits[readable] = probabilities.argmax(axis=1) == truth[readable]
                right.setdefault(voices, []).append(hits)
            progress.advance(len(places))
        progress.finish()
    joined = {voices: np.concatenate(parts) for voices, parts in right.items()}
    return VoicesEvaluation(
        tuple(_scores(joined, [each.model for each in classifier.specialists], seed)),
        classifier.specialists,
        classifier.notes[before:],
    )


def _heard(
    classifier: Classifier,
    embeddings: np.ndarray,
    found: Found,
    logits: Mapping[str, Float64[np.ndarray, "readable outputs"]],
) -> dict[str, Float64[np.ndarray, "readable labels"]]:
    """The probabilities by each set of voices, and by each model alone under its own name."""
    captions = classifier.retrieve(embeddings)
    votes = classifier.voting.vote(embeddings, captions)
    image = votes.image
    heard = {IMAGE: image}
    if captions is not None:
        heard[CAPTIONS] = votes.pooled.probabilities
    heard[HUB] = together(image, found.choice, logits)
    if captions is not None:
        heard[ALL] = together(votes.pooled.probabilities, found.choice, logits)
    for match in found.choice.matches:
        if match.model in logits:
            heard[f"model {match.model}"] = alone(match.fit.votes, softmax(logits[match.model]))
        else:
            heard[f"model {match.model}"] = image
    return heard


def _scores(
    right: Mapping[str, Bool[np.ndarray, " samples"]], models: list[str], seed: int
) -> list[VoiceScores]:
    own = {name: right[f"model {name}"] for name in models}
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

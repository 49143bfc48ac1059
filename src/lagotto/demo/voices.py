"""Held-out pictures come in; the accuracy of each set of voices on them goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.progress import Progress
from lagotto.demo import bundled
from lagotto.hub.hub import Hub
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.specialists.fusion import Specialist
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.types import Prediction

HIDDEN_MODEL = "baseline_old"
"""A model of forty concepts without published labels; the encoder does not know some of them."""

SETS = (("image",), ("image", "captions"), ("image", "hub"), ("image", "captions", "hub"))


@dataclass(frozen=True, slots=True)
class VoicesScore:
    """The accuracy of a set of voices, and the models that voted."""

    voices: tuple[str, ...]
    accuracy: float
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ThreeVoices:
    """The scores of every set of voices on the same pictures, and the specialists of the last."""

    labels: int
    pictures: int
    scores: tuple[VoicesScore, ...]
    specialists: tuple[Specialist, ...]


def score_voices(hub: Hub, store: CaptionStore, pictures: Path, progress: Progress) -> ThreeVoices:
    """Classifies the held-out pictures of HIDDEN_MODEL's concepts with each set of voices."""
    labels = sorted(bundled.read_classes()[HIDDEN_MODEL])
    heldout = [picture for picture in bundled.read_heldout() if picture.label in labels]
    files = [pictures / picture.name for picture in heldout]
    scores: list[VoicesScore] = []
    specialists: tuple[Specialist, ...] = ()
    for voices in SETS:
        classifier = Classifier(
            store.encoder,
            labels,
            store if "captions" in voices else None,
            hub=HubVoice(hub, 1, progress=progress) if "hub" in voices else None,
        )
        rows = list(classifier.predict(files))
        accuracy = _accuracy(rows, labels, [picture.label for picture in heldout])
        specialists = classifier.specialists
        models = tuple(specialist.model for specialist in specialists)
        scores.append(VoicesScore(voices, accuracy, models))
    return ThreeVoices(len(labels), len(files), tuple(scores), specialists)


def _accuracy(rows: Sequence[object], labels: list[str], truth: list[str]) -> float:
    predicted = [
        labels[int(row.probabilities.argmax())] if isinstance(row, Prediction) else ""
        for row in rows
    ]
    return sum(a == b for a, b in zip(predicted, truth, strict=True)) / len(truth)

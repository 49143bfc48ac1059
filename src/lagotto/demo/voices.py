"""The demo's third part: the same pictures under each set of voices, labels of one hidden model."""

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

TAUGHT = "baseline_old"
"""A model of forty concepts that publishes no labels; some of them the encoder never learned."""

SETS = (("image",), ("image", "captions"), ("image", "hub"), ("image", "captions", "hub"))


@dataclass(frozen=True, slots=True)
class VoicesScore:
    """Share of pictures named right by a set of voices, and the models that were asked."""

    voices: tuple[str, ...]
    accuracy: float
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ThreeVoices:
    """The scores of every set of voices on the same pictures, and what was asked beside all."""

    labels: int
    pictures: int
    scores: tuple[VoicesScore, ...]
    specialists: tuple[Specialist, ...]


def score_voices(hub: Hub, store: CaptionStore, pictures: Path, progress: Progress) -> ThreeVoices:
    """Held-out pictures of TAUGHT's concepts, named among those, with each set of voices."""
    labels = sorted(bundled.read_classes()[TAUGHT])
    shown = [picture for picture in bundled.read_heldout() if picture.label in labels]
    files = [pictures / picture.name for picture in shown]
    scores: list[VoicesScore] = []
    asked: tuple[Specialist, ...] = ()
    for voices in SETS:
        classifier = Classifier(
            store.encoder,
            labels,
            store if "captions" in voices else None,
            hub=HubVoice(hub, 1, progress=progress) if "hub" in voices else None,
        )
        rows = list(classifier.predict(files))
        accuracy = _accuracy(rows, labels, [picture.label for picture in shown])
        asked = classifier.specialists
        scores.append(VoicesScore(voices, accuracy, tuple(each.model for each in asked)))
    return ThreeVoices(len(labels), len(files), tuple(scores), asked)


def _accuracy(rows: Sequence[object], labels: list[str], truth: list[str]) -> float:
    given = [
        labels[int(row.probabilities.argmax())] if isinstance(row, Prediction) else ""
        for row in rows
    ]
    return sum(a == b for a, b in zip(given, truth, strict=True)) / len(truth)

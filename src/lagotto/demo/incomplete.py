"""A caption store and a picture come in; its answer among labels that all miss it goes out."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.demo import bundled
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.types import Prediction

SHOWN = "rabbit face"
LABELS = ("koala", "padlock", "pizza", "dog face", "violin", "lemon")


@dataclass(frozen=True, slots=True)
class IncompleteList:
    """What a picture of `shown` is answered among `labels`, none of which fits it."""

    picture: str
    shown: str
    labels: tuple[str, ...]
    label: str
    probability: float
    none: float
    remark: str


def ask_incomplete(store: CaptionStore, pictures: Path) -> IncompleteList:
    """Classifies the first held-out picture of SHOWN by labels that leave it out."""
    name = next(each.name for each in bundled.read_heldout() if each.label == SHOWN)
    classifier = ZeroShotClassifier(store.encoder, LABELS, store)
    row = next(classifier.predict(pictures / name))
    assert isinstance(row, Prediction)
    return IncompleteList(
        name, SHOWN, LABELS, row.label, float(row.probabilities.max()), row.none, row.none_remark
    )

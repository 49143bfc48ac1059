"""Held-out pictures come in; the accuracy of naming them, with and without captions, goes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lagotto.core.progress import Progress
from lagotto.demo import bundled
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import PICTURE_BATCH_SIZE, ZeroShotClassifier
from lagotto.zeroshot.images import embed_files


@dataclass(frozen=True, slots=True)
class NamingScore:
    """The accuracy of image-only, of the paper's rule and of the guarded rule.

    `kind` is how often the encoder's training data show the pictures' concepts.
    """

    kind: str
    pictures: int
    image_only: float
    paper: float
    guarded: float


def score_naming(folder: Path, pictures: Path, progress: Progress) -> tuple[NamingScore, ...]:
    """The accuracy on the held-out pictures, in all and by kind, among all concepts of the world.

    Args:
        folder: The caption store; made from the captions of the probes if it does not exist.
        pictures: The folder of the held-out pictures.
        progress: Receives the progress of the work.
    """
    encoder = str(bundled.DEMO_ENCODER)
    if folder.exists():
        store = CaptionStore.open(folder, encoder)
    else:
        store = CaptionStore.create(folder, [bundled.PROBES], encoder, progress=progress)
    kinds = bundled.read_kinds()
    heldout = bundled.read_heldout()
    names = sorted(kinds)
    guarded = ZeroShotClassifier(store.encoder, names, store)
    files = [pictures / picture.name for picture in heldout]
    progress.start("naming pictures", len(files), "pictures")
    parts = []
    for batch in embed_files(store.encoder, files, PICTURE_BATCH_SIZE):
        parts.append(batch.embeddings)
        progress.advance(len(batch.paths))
    progress.finish()
    embeddings = np.concatenate(parts)
    paths = [str(file) for file in files]
    right: dict[str, np.ndarray] = {}
    truth = np.array([names.index(picture.label) for picture in heldout])
    for classifier in (guarded, guarded.variant("paper", 16)):
        rows = list(classifier.predict_embeddings(embeddings, paths))
        right[classifier.mode] = np.array([r.probabilities.argmax() for r in rows]) == truth
        right["image-only"] = np.array([r.image_only.argmax() for r in rows]) == truth
    return tuple(_scores(right, np.array([kinds[picture.label] for picture in heldout])))


def _scores(right: Mapping[str, np.ndarray], kinds: np.ndarray) -> list[NamingScore]:
    scores = []
    for kind in ("all", *dict.fromkeys(kinds.tolist())):
        mask = np.ones(len(kinds), bool) if kind == "all" else kinds == kind
        share = {mode: float(hits[mask].mean()) for mode, hits in right.items()}
        scores.append(
            NamingScore(
                kind, int(mask.sum()), share["image-only"], share["paper"], share["guarded"]
            )
        )
    return scores

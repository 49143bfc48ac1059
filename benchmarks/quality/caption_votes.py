r"""What a vote of the captions adds to the guarded rule: variants on five labelled sets.

    python benchmarks/quality/caption_votes.py --assets DIR --hub HUB --cache DIR \
        --stores PHOTOS BOTH TEXTS --json > benchmarks/results/quality_caption_votes.json

The guarded rule without captions' votes (prior and shifted prompts alone) is the baseline; with a
store of texts alone, which cannot be calibrated, it is the image. Each variant adds its vote at
several weights; the best weight is chosen on the pictures with an even hash, the accuracy of the
others is reported. "as fitted" is the package's rule with the weight that the store gave it. HUB
and --cache are those of specialists.py.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from specialists import Data, read_set

import lagotto
from lagotto.core.vectors import softmax
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.prompts.adaptation import mean_row, names
from lagotto.zeroshot.retrieval import Retrieval
from lagotto.zeroshot.votes import caption_vote
from provenance import provenance

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8)
K = 16
AS_IN_PACKAGE = "mean of captions (as in the package)"
FLOOR = 0.02
AGREEMENT_SCALE = 10.0


@dataclass(frozen=True)
class Heard:
    """Logits without captions, the log votes of every variant, and the weight that was fitted."""

    logits: np.ndarray
    votes: dict[str, np.ndarray]
    fitted: float


def votes_of(data: Data, classifier: ZeroShotClassifier, store: CaptionStore) -> Heard:
    """The logits of the guarded rule without captions, and the log votes of every variant."""
    setting, scale = classifier.voting.guarded, classifier.voting.scale
    prompts, mean_caption = classifier.voting.prompts, mean_row(store.text_embeddings)
    found = classifier.retrieve(data.embeddings)
    assert found is not None
    gate, logits, fitted = np.ones((len(data.truth), 1)), scale * data.embeddings @ prompts.T, 0.0
    if setting is not None:
        gate = setting.calibration.gate(found.neighbour_similarity)[:, None]
        centred = data.embeddings - setting.calibration.prior * setting.mean_picture
        plain, shifted = centred @ prompts.T, centred @ setting.shifted_prompts.T
        logits = scale * ((1 - gate) * plain + gate * shifted)
        prompts, fitted = setting.shifted_prompts, setting.calibration.caption_weight
    reference = prompts @ mean_caption
    mean = caption_vote(found.embeddings, found.present, prompts, scale, reference)
    each = softmax(scale * (found.embeddings @ prompts.T - reference))
    agreement = agreement_weights(found)
    votes = {
        AS_IN_PACKAGE: np.log(mean + 1e-12),
        "weighted by their agreement": np.log((each * agreement[:, :, None]).sum(axis=1) + 1e-12),
        "labels that captions name": np.log(FLOOR + named_share(data, found, store)),
        "mean embedding of captions": scale
        * ((found.embeddings * agreement[:, :, None]).sum(axis=1) - mean_caption)
        @ prompts.T,
        "between the two best labels alone": between_two(logits, np.log(mean + 1e-12)),
        "less what is usual for the pictures": np.log(mean + 1e-12)
        - np.log(mean.mean(axis=0) + 1e-12),
    }
    if store.pictures:
        votes["pictures whose captions name the label"] = prototypes(data, store, scale)
    return Heard(logits, {name: gate * vote for name, vote in votes.items()}, fitted)


def between_two(logits: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """The votes on the two labels that the image has best; captions decide nothing else."""
    second = np.partition(logits, -2, axis=1)[:, -2:-1]
    return np.where(logits >= second, votes, votes.min(axis=1, keepdims=True))


def agreement_weights(found: Retrieval) -> np.ndarray:
    """Weights of the captions of each picture: softmax of the mean cosine with its others."""
    cosines = found.embeddings @ found.embeddings.transpose(0, 2, 1)
    means = np.where(found.present, cosines.mean(axis=2), -np.inf)
    return softmax(AGREEMENT_SCALE * means)


def named_share(data: Data, found: Retrieval, store: CaptionStore) -> np.ndarray:
    """The share of the captions of each picture that name each label."""
    shares = np.zeros((len(found.indices), len(data.labels)))
    cache: dict[int, np.ndarray] = {}
    for i, present in enumerate(found.present):
        for index in found.indices[i, present].tolist():
            if index not in cache:
                text = store.texts([index])[0]
                cache[index] = np.array([names(text, label) for label in data.labels], float)
            shares[i] += cache[index]
    return shares / K


def prototypes(data: Data, store: CaptionStore, scale: float) -> np.ndarray:
    """Logits by the mean picture of each label that captions name; 0 for labels without one."""
    pictures = store.image_embeddings.astype(np.float32)
    mean = pictures.mean(axis=0)
    result = np.zeros((len(data.embeddings), len(data.labels)))
    for number, label in enumerate(data.labels):
        owners = [
            row
            for row, (start, end) in enumerate(zip(store.starts[:-1], store.ends, strict=True))
            if any(names(text, label) for text in store.texts(list(range(int(start), int(end)))))
        ]
        if owners:
            direction = pictures[owners].mean(axis=0) - mean
            shrink = len(owners) / (len(owners) + 4) / np.linalg.norm(direction)
            result[:, number] = scale * shrink * ((data.embeddings - mean) @ direction)
    return result


def measure(store: CaptionStore, options: argparse.Namespace, hub: lagotto.Hub) -> dict[str, Any]:
    """The points of every variant with one store."""
    accuracy: dict[tuple[str, float, int], list[float]] = {}
    for name in SETS:
        data = read_set(name, options, hub)
        classifier = ZeroShotClassifier(hub.encoder, data.labels, store)
        heard = votes_of(data, classifier, store)
        answers = {("none", 0.0): heard.logits} | {
            (kind, weight): heard.logits + weight * vote
            for kind, vote in heard.votes.items()
            for weight in WEIGHTS
        }
        answers["as fitted", 1.0] = heard.logits + heard.fitted * heard.votes[AS_IN_PACKAGE]
        answers["the image alone", 1.0] = data.logits
        for half in (0, 1):
            mask = data.half == half
            for (kind, weight), scores in answers.items():
                right = float((scores.argmax(axis=1) == data.truth)[mask].mean())
                accuracy.setdefault((kind, weight, half), []).append(right)
        print(name, heard.fitted, file=sys.stderr, flush=True)
    means = {key: float(np.mean(values)) for key, values in accuracy.items()}
    rows = {}
    for kind in dict.fromkeys(kind for kind, _, _ in means):
        weights = [weight for each, weight, half in means if each == kind and half == 0]
        best = max(weights, key=lambda weight: means[kind, weight, 0])
        rows[kind] = {
            "weight": best,
            "chosen_half": round(100 * (means[kind, best, 0] - means["none", 0.0, 0]), 2),
            "reported_half": round(100 * (means[kind, best, 1] - means["none", 0.0, 1]), 2),
            "sets_reported_half": [round(value, 4) for value in accuracy[kind, best, 1]],
        }
    return {"pictures": store.pictures, "captions": store.captions, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    result = {
        "what": "points of accuracy that a vote of captions adds to the guarded rule without one",
        "stores": {
            folder.name: measure(CaptionStore.open(folder, hub.encoder), options, hub)
            for folder in options.stores
        },
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

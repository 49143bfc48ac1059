r"""What captions add to the image on five sets: parts of the guarded rule, and votes beside it.

    python benchmarks/quality/caption_votes.py --assets DIR --hub HUB --cache DIR \
        --stores PHOTOS BOTH TEXTS --json > benchmarks/results/quality_caption_votes.json

A part or a vote comes in several strengths. The strength is chosen on the pictures with an even
hash, the accuracy of the others is reported, in points of the mean of the five sets beside the
base: the image less the prior with shifted prompts where a store can be calibrated, else the image.
HUB and --cache are those of specialists.py. Intervals: 95 %, paired bootstrap within the sets.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from specialists import Data, read_set

import lagotto
from lagotto.core.vectors import softmax
from lagotto.evaluation.intervals import Estimate, class_mean_interval
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.prompts.adaptation import (
    PromptShift,
    mean_row,
    names,
    naming_captions,
    shift_prompts,
)
from lagotto.zeroshot.retrieval import Retrieval
from provenance import provenance

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8)
K = 16
FLOOR = 0.02
AGREEMENT_SCALE = 10.0
BASE = "base"
Scores = dict[tuple[str, float], np.ndarray]
"""Logits over the labels, by what is asked and its strength."""


def scores_of(data: Data, classifier: ZeroShotClassifier, store: CaptionStore) -> Scores:
    """The logits of every part and vote, in every strength."""
    setting, scale = classifier.voting.guarded, classifier.voting.scale
    prompts = classifier.voting.prompts
    found = classifier.retrieve(data.embeddings)
    assert found is not None
    image = scale * data.embeddings @ prompts.T
    parts: Scores = {("the image alone", 1.0): image}
    if setting is None:
        gate, base = np.ones((len(image), 1)), image
        mean = scale * mean_row(store.text_embeddings) @ prompts.T
        naming = naming_captions(prompts, data.labels, store)
        for length in (0.5, 1.0):
            moved = shift_prompts(prompts, naming, store, PromptShift(length, 0.0))
            parts["prompts moved to captions that name them", length] = (
                scale * data.embeddings @ moved.T
            )
        for weight in WEIGHTS:
            parts["less the mean of all captions", weight] = image - weight * mean
    else:
        gate = setting.calibration.gate(found.neighbour_similarity)[:, None]
        centred = data.embeddings - setting.calibration.prior * setting.mean_picture
        plain, prompts = centred @ prompts.T, setting.shifted_prompts
        base = scale * ((1 - gate) * plain + gate * (centred @ prompts.T))
        parts["the prior alone", 1.0] = scale * plain
    votes = votes_of(data, found, (prompts, scale), store, base)
    return (
        {(BASE, 0.0): base}
        | parts
        | {
            (kind, weight): base + weight * gate * vote
            for kind, vote in votes.items()
            for weight in WEIGHTS
        }
    )


def votes_of(
    data: Data,
    found: Retrieval,
    encoded: tuple[np.ndarray, float],
    store: CaptionStore,
    base: np.ndarray,
) -> dict[str, np.ndarray]:
    """The votes of the captions found for each picture, as logits over the labels."""
    (prompts, scale), mean_caption = encoded, mean_row(store.text_embeddings)
    each = softmax(scale * ((found.embeddings - mean_caption) @ prompts.T))
    mean = (each * found.present[:, :, None]).sum(axis=1) / found.present.sum(axis=1)[:, None]
    agreement = agreement_weights(found)[:, :, None]
    embedding = (found.embeddings * agreement).sum(axis=1) - mean_caption
    votes = {
        "mean of captions": np.log(mean + 1e-12),
        "weighted by their agreement": np.log((each * agreement).sum(axis=1) + 1e-12),
        "labels that captions name": np.log(FLOOR + named_share(data, found, store)),
        "mean embedding of captions": scale * embedding @ prompts.T,
        "between the two best labels alone": between_two(base, np.log(mean + 1e-12)),
        "less what is usual for the pictures": np.log(mean + 1e-12)
        - np.log(mean.mean(axis=0) + 1e-12),
    }
    if store.pictures:
        votes["pictures whose captions name the label"] = prototypes(data, store, scale)
    return votes


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
    """The points of every part and vote with one store."""
    hits: dict[tuple[str, float], list[np.ndarray]] = {}
    halves, owners = [], []
    for number, name in enumerate(SETS):
        data = read_set(name, options, hub)
        classifier = ZeroShotClassifier(hub.encoder, data.labels, store)
        for key, scores in scores_of(data, classifier, store).items():
            hits.setdefault(key, []).append(scores.argmax(axis=1) == data.truth)
        halves.append(data.half)
        owners.append(np.full(len(data.truth), number))
        print(store.folder.name, name, file=sys.stderr, flush=True)
    half, owner = np.concatenate(halves), np.concatenate(owners)
    joined = {key: np.concatenate(parts).astype(int) for key, parts in hits.items()}

    def gain(key: tuple[str, float], of_half: int) -> Estimate:
        difference = joined[key] - joined[BASE, 0.0]
        return class_mean_interval(difference[half == of_half], owner[half == of_half])

    rows = {}
    for kind in dict.fromkeys(kind for kind, _ in joined):
        strengths = [strength for each, strength in joined if each == kind]
        best = max(strengths, key=lambda strength: gain((kind, strength), 0).value)
        chosen, reported = gain((kind, best), 0), gain((kind, best), 1)
        rows[kind] = {
            "strength": best,
            "chosen_half": round(100 * chosen.value, 2),
            "reported_half": round(100 * reported.value, 2),
            "reported_ci95": [round(100 * reported.low, 2), round(100 * reported.high, 2)],
            "sets_reported_half": [
                round(float(joined[kind, best][(half == 1) & (owner == number)].mean()), 4)
                for number in range(len(SETS))
            ],
        }
        print(kind, rows[kind], file=sys.stderr, flush=True)
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
        "what": "points beside the base, mean of five sets, by part of the rule or vote",
        "stores": {
            folder.name: measure(CaptionStore.open(folder, hub.encoder), options, hub)
            for folder in options.stores
        },
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

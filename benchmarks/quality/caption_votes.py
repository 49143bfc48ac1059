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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

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
from quality.specialist_data import Data, read_set

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8)
K = 16
FLOOR = 0.02
AGREEMENT_SCALE = 10.0
BASE = "base"
MOVED = "prompts moved to captions that name them"
SIZES, SAMPLES = (200, 1_000, 5_000), 3
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
    if setting is None or setting.calibration is None:
        gate, base = np.ones((len(image), 1)), image
        naming = naming_captions(prompts, data.labels, store)
        for length in (0.5, 1.0):
            moved = shift_prompts(prompts, naming, store, PromptShift(length, 0.0))
            parts[MOVED, length] = scale * data.embeddings @ moved.T
        mean = mean_row(store.text_embeddings)
        special = found.embeddings.mean(axis=1) - mean
        for weight in WEIGHTS:
            parts["less the mean of all captions", weight] = (
                image - weight * scale * mean @ prompts.T
            )
            parts[f"{MOVED}, and their mean embedding", weight] = (
                parts[MOVED, 1.0] + weight * scale * special @ moved.T
            )
    else:
        gate = setting.calibration.gate(found.neighbour_similarity)[:, None]
        centred = data.embeddings - setting.calibration.prior * setting.mean_picture
        plain, prompts = centred @ prompts.T, setting.shifted_prompts
        base = scale * ((1 - gate) * plain + gate * (centred @ prompts.T))
        parts["the prior alone", 1.0] = scale * plain
    votes = votes_of(data, found, (prompts, scale), store, base)
    weighted = {
        (kind, weight): base + weight * gate * vote
        for kind, vote in votes.items()
        for weight in WEIGHTS
    }
    return {(BASE, 0.0): base} | parts | weighted


def votes_of(
    data: Data,
    found: Retrieval,
    encoded: tuple[np.ndarray, float],
    store: CaptionStore,
    base: np.ndarray,
) -> dict[str, np.ndarray]:
    """The votes of the captions found for each picture, as logits over the labels."""
    (prompts, scale), mean_caption = encoded, mean_row(store.text_embeddings)
    present = found.present[:, :, None]
    each = softmax(scale * ((found.embeddings - mean_caption) @ prompts.T))
    mean = (each * present).sum(axis=1) / present.sum(axis=1)
    agreement = agreement_weights(found)[:, :, None]
    plain = (found.embeddings * present).sum(axis=1) / present.sum(axis=1) - mean_caption
    embedding = (found.embeddings * agreement).sum(axis=1) - mean_caption
    votes = {
        "mean of captions": np.log(mean + 1e-12),
        "weighted by their agreement": np.log((each * agreement).sum(axis=1) + 1e-12),
        "labels that captions name": np.log(FLOOR + named_share(data, found, store)),
        "mean embedding of captions": scale * plain @ prompts.T,
        "mean embedding, weighted by agreement": scale * embedding @ prompts.T,
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
    pictures = store.image_embeddings[:].astype(np.float32)
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
        data = read_set(name, options.assets, options.cache, hub)
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


@dataclass(frozen=True)
class SomeTexts:
    """A Captions of some rows of a store, without pictures."""

    store: CaptionStore
    rows: np.ndarray

    image_embeddings = property(lambda self: self.store.image_embeddings[:0])
    text_embeddings = property(lambda self: self.store.text_embeddings[self.rows])
    starts = property(lambda self: np.zeros(1, np.int64))
    ends = property(lambda self: np.zeros(0, np.int64))

    def texts(self, indices: Sequence[int]) -> list[str]:
        return self.store.texts(self.rows[list(indices)].tolist())


def by_size(store: CaptionStore, options: argparse.Namespace, hub: lagotto.Hub) -> dict[str, Any]:
    """Points over the image that moved prompts earn with samples of a store of texts, by size."""
    sets, rng = (
        [read_set(name, options.assets, options.cache, hub) for name in SETS],
        np.random.default_rng(0),
    )
    template = hub.encoder.info.prompt_template
    prompts = [hub.encoder.embed_texts([template.format(x) for x in s.labels]) for s in sets]
    rows: dict[str, Any] = {}
    for size in SIZES:
        gains = np.zeros((SAMPLES, len(SETS), 2))
        for sample in range(SAMPLES):
            some = SomeTexts(store, np.sort(rng.permutation(store.captions)[:size]))
            for number, (data, plain) in enumerate(zip(sets, prompts, strict=True)):
                naming = naming_captions(plain, data.labels, some)
                moved = shift_prompts(plain, naming, some, PromptShift(1.0, 0.0))
                before, after = (
                    (data.embeddings @ each.T).argmax(axis=1) == data.truth
                    for each in (plain, moved)
                )
                for half in (0, 1):
                    mask = data.half == half
                    gains[sample, number, half] = after[mask].mean() - before[mask].mean()
        chosen, reported = (100 * gains.mean(axis=(0, 1))).round(2).tolist()
        rows[str(size)] = {"chosen_half": chosen, "reported_half": reported}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    stores = [CaptionStore.open(folder, hub.encoder) for folder in options.stores]
    result = {
        "what": "points beside the base, mean of five sets, by part of the rule or vote",
        "stores": {
            store.folder.name: measure(store, options, hub)
            | ({} if store.pictures else {"moved_prompts_by_size": by_size(store, options, hub)})
            for store in stores
        },
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

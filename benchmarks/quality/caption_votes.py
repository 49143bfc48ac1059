r"""What a vote of the captions adds to the guarded rule: variants on five labelled sets.

    python benchmarks/quality/caption_votes.py --assets DIR --hub HUB --cache DIR --store STORE \
        --json > benchmarks/results/quality_caption_votes.json

The guarded rule without captions' votes (prior and shifted prompts alone) is the baseline. Each
variant adds its vote at several weights; the best weight is chosen on the pictures with an even
hash, the accuracy of the others is reported. HUB and --cache are those of specialists.py.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from specialists import Data, read_set

import lagotto
from lagotto.core.vectors import softmax
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.prompts.adaptation import names
from lagotto.zeroshot.retrieval import Retrieval
from lagotto.zeroshot.votes import caption_vote
from provenance import provenance

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8)
K = 16
FLOOR = 0.02
AGREEMENT_SCALE = 10.0


def votes_of(
    data: Data, classifier: ZeroShotClassifier, store: CaptionStore
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The logits of the guarded rule without captions, and the log votes of every variant."""
    setting, scale = classifier.voting.guarded, classifier.voting.scale
    assert setting is not None
    found = classifier.retrieve(data.embeddings)
    assert found is not None
    gate = setting.calibration.gate(found.neighbour_similarity)[:, None]
    centred = data.embeddings - setting.calibration.prior * setting.mean_picture
    plain, shifted = centred @ classifier.voting.prompts.T, centred @ setting.shifted_prompts.T
    logits = scale * ((1 - gate) * plain + gate * shifted)
    reference = setting.shifted_prompts @ setting.mean_caption
    prompts = setting.shifted_prompts
    mean = caption_vote(found.embeddings, found.present, prompts, scale, reference)
    each = softmax(scale * (found.embeddings @ prompts.T - reference))
    agreement = agreement_weights(found)
    votes = {
        "mean of captions (as in the package)": np.log(mean + 1e-12),
        "weighted by their agreement": np.log((each * agreement[:, :, None]).sum(axis=1) + 1e-12),
        "labels that captions name": np.log(FLOOR + named_share(data, found, store)),
        "mean embedding of captions": scale
        * ((found.embeddings * agreement[:, :, None]).sum(axis=1) - setting.mean_caption)
        @ prompts.T,
        "pictures whose captions name the label": prototypes(data, store, scale),
    }
    return logits, {name: gate * vote for name, vote in votes.items()}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    store = CaptionStore.open(options.store, hub.encoder)
    accuracy: dict[tuple[str, float, int], list[float]] = {}
    for name in SETS:
        data = read_set(name, options, hub)
        classifier = ZeroShotClassifier(hub.encoder, data.labels, store)
        logits, votes = votes_of(data, classifier, store)
        answers = {("none", 0.0): logits} | {
            (kind, weight): logits + weight * vote
            for kind, vote in votes.items()
            for weight in WEIGHTS
        }
        for half in (0, 1):
            mask = data.half == half
            for (kind, weight), scores in answers.items():
                right = float((scores.argmax(axis=1) == data.truth)[mask].mean())
                accuracy.setdefault((kind, weight, half), []).append(right)
        print(name, file=sys.stderr, flush=True)
    means = {key: float(np.mean(values)) for key, values in accuracy.items()}
    rows = {}
    for kind in dict.fromkeys(kind for kind, _, _ in means):
        weights = WEIGHTS if kind != "none" else (0.0,)
        best = max(weights, key=lambda weight: means[kind, weight, 0])
        rows[kind] = {
            "weight": best,
            "chosen_half": round(100 * (means[kind, best, 0] - means["none", 0.0, 0]), 2),
            "reported_half": round(100 * (means[kind, best, 1] - means["none", 0.0, 1]), 2),
            "sets_reported_half": [round(value, 4) for value in accuracy[kind, best, 1]],
        }
    result = {
        "what": "points of accuracy that a vote of captions adds to the guarded rule without one",
        "captions": store.captions,
        "rows": rows,
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

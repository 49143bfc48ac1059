r"""Zero-shot accuracy on the five shared sets: every mode, K from 2 to 64, against image-only.

    python benchmarks/quality/classify.py --assets DIR --json \
        > benchmarks/results/quality_classify.json

There are two stores: the 1,239 captioned photos (flickr8k + coco), and the same with the 25,014
captions of coco-val2017.txt, which have no pictures (--photos-only leaves these out). Nothing is
fitted on the sets; the guarded rule is fitted on the store alone. `mean_of_five` is the unweighted
mean over the sets, with paired intervals. `oracle` is right where the image or the captions alone
are right: an upper bound for every rule that chooses between the two. Intervals: 95 %, bootstrap.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lagotto.core.types import EncoderInfo
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.classification.classification import Evaluation, evaluate
from lagotto.evaluation.classification.dataset import open_labelled
from lagotto.evaluation.classification.sweep import Setting
from lagotto.evaluation.intervals import Estimate, class_mean_interval
from lagotto.evaluation.report import Method, results
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.classifier import ZeroShotClassifier
from provenance import provenance

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
MODES = ("guarded", "paper", "paper-code", "captions-only")
REFERENCE = {
    "what": "a plain numpy version of the paper's rule at K = 16 on the photos, measured elsewhere",
    "image-only": dict(zip(SETS, (0.796, 0.920, 0.348, 0.150, 0.409), strict=True)),
    "paper": dict(zip(SETS, (0.750, 0.920, 0.340, 0.135, 0.402), strict=True)),
}


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class CachingEncoder:
    """An encoder with a cache of all texts and pictures, shared by sets and stores."""

    inner: Encoder
    rows: dict[bytes, np.ndarray] = field(default_factory=dict)

    @property
    def info(self) -> EncoderInfo:
        return self.inner.info

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        keys = [hashlib.sha256(picture.tobytes()).digest() for picture in pixels]
        missing = [position for position, key in enumerate(keys) if key not in self.rows]
        if missing:
            embeddings = self.inner.embed_pixels(pixels[missing])
            self.rows |= {
                keys[position]: row for position, row in zip(missing, embeddings, strict=True)
            }
        return np.stack([self.rows[key] for key in keys])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        missing = [text for text in dict.fromkeys(texts) if text.encode() not in self.rows]
        if missing:
            embeddings = self.inner.embed_texts(missing)
            self.rows |= {text.encode(): row for text, row in zip(missing, embeddings, strict=True)}
        return np.stack([self.rows[text.encode()] for text in texts])

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self.inner.token_counts(texts)


def rounded_estimate(estimate: Estimate) -> dict[str, object]:
    return {
        "value": round(estimate.value, 4),
        "ci95": [round(estimate.low, 4), round(estimate.high, 4)],
    }


def mean_of_sets(evaluations: Sequence[Evaluation], seed: int) -> list[dict[str, object]]:
    """For each setting, the mean over the sets of its accuracy and of its paired gain."""
    rows: list[dict[str, object]] = []
    set_of_picture = np.concatenate(
        [np.full(evaluation.ranks.shape[1], i) for i, evaluation in enumerate(evaluations)]
    )
    for row, scores in enumerate(evaluations[0].scores):
        hits = np.concatenate([evaluation.ranks[row] == 1 for evaluation in evaluations]).astype(
            int
        )
        image_only = np.concatenate(
            [evaluation.ranks[0] == 1 for evaluation in evaluations]
        ).astype(int)
        rows.append(
            {
                "mode": scores.setting.mode,
                "k": scores.setting.k,
                "acc1": rounded_estimate(class_mean_interval(hits, set_of_picture, seed=seed)),
                "difference_to_image_only": rounded_estimate(
                    class_mean_interval(hits - image_only, set_of_picture, seed=seed)
                ),
                "worst_set_difference": round(
                    min(e.scores[row].gain.value for e in evaluations), 4
                ),
            }
        )
    return rows


def oracle(evaluation: Evaluation, k: int) -> float:
    """The share of pictures that image-only or captions-only gets right."""
    row = next(
        i
        for i, scores in enumerate(evaluation.scores)
        if scores.setting == Setting("captions-only", k)
    )
    return round(float(((evaluation.ranks[0] == 1) | (evaluation.ranks[row] == 1)).mean()), 4)


def measure(
    store: CaptionStore, encoder: Encoder, photos: Path, options: argparse.Namespace
) -> dict[str, object]:
    """The results on all sets with one store."""
    ks = [int(k) for k in options.k.split(",")]
    settings = [Setting(mode, k) for mode in options.modes.split(",") for k in ks]
    evaluations, sets = [], {}
    for name in SETS:
        data = open_labelled([photos / name])
        classifier = ZeroShotClassifier(encoder, data.labels, store, mode="image-only")
        evaluations.append(evaluate(classifier, data, settings, seed=options.seed))
        method = Method(encoder.info, classifier.templates, store)
        sets[name] = results(evaluations[-1], method)
        del sets[name]["per_class"]
        if "captions-only" in options.modes:
            sets[name]["oracle"] = {str(k): oracle(evaluations[-1], k) for k in ks}
        for scores in evaluations[-1].scores:
            log(f"{name} {scores.setting} {scores.acc1.value:.4f} {scores.gain.value:+.4f}")
    means = mean_of_sets(evaluations, options.seed)
    for row in means:
        log(f"mean of five: {row}")
    return {
        "store": {
            "digest": store.digest,
            "pictures": store.pictures,
            "captions": store.captions,
        },
        "sets": sets,
        "mean_of_five": means,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--k", default="2,4,8,16,32,64")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos-only", action="store_true", help="the first store alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = options.assets / "photos"
    encoder = CachingEncoder(load_encoder(str(options.assets / "encoder" / "photo-lit")))
    stores = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        store = CaptionStore.create(folder, [photos / "flickr8k", photos / "coco"], encoder)
        stores["photos"] = measure(store, encoder, photos, options)
        if not options.photos_only:
            store.add([options.assets / "captions-text" / "coco-val2017.txt"])
            store = CaptionStore.open(folder, encoder)
            stores["photos and coco-val2017.txt"] = measure(store, encoder, photos, options)
    result = {
        "what": "zero-shot classification by mode and K, five sets",
        "encoder": {"name": encoder.info.name, "fingerprint": encoder.info.fingerprint},
        "seed": options.seed,
        "reference": REFERENCE,
        "stores": stores,
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

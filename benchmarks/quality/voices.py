r"""Accuracy by set of voices, as `lagotto eval classification` measures it, on five sets.

    python benchmarks/quality/voices.py --assets DIR --hub HUB \
        --out benchmarks/results/quality_voices.json

HUB holds the shared models, probed on flickr8k + coco; their files must not have moved. The caption
store is flickr8k + coco too. Models are selected on a sample of 256 pictures and run in workers,
once with their published names as evidence and once by behaviour only. The labels serve only for
scoring.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lagotto.core.types import EncoderInfo
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.classification.dataset import LabelledSet, open_labelled
from lagotto.evaluation.classification.voices import evaluate_voices
from lagotto.evaluation.report import voices_as_json
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.zeroshot.captions.store import CaptionStore
from provenance import provenance

SETS = ("flowers5", "cats-dogs", "grocery43", "imagenet100x5", "cifar10")


class CachingEncoder:
    """An encoder with a cache of pictures: both kinds of evidence use the same ones."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[bytes, np.ndarray] = {}

    @property
    def info(self) -> EncoderInfo:
        return self._encoder.info

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        keys = [blake2b(each.tobytes()).digest() for each in pixels]
        new = [i for i, key in enumerate(keys) if key not in self._rows]
        if new:
            for i, row in zip(new, self._encoder.embed_pixels(pixels[new]), strict=True):
                self._rows[keys[i]] = row
        return np.stack([self._rows[key] for key in keys])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoder.embed_texts(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--max-models", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="Rewritten after each set.")
    options = parser.parse_args()
    photos = options.assets / "photos"
    encoder = CachingEncoder(load_encoder(str(options.assets / "encoder" / "photo-lit")))
    sets: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        store = CaptionStore.create(
            Path(temporary) / "store", [photos / "flickr8k", photos / "coco"], encoder
        )
        for name in options.sets.split(","):
            for evidence, names in (("with names", True), ("behaviour only", False)):
                sets.setdefault(name, {})[evidence] = measure(
                    store, open_labelled([photos / name]), names, options
                )
                write(sets, encoder, options)


def measure(
    store: CaptionStore, data: LabelledSet, names: bool, options: argparse.Namespace
) -> dict[str, object]:
    """The scores of all sets of voices on one labelled set."""
    hub_voice = HubVoice(options.hub, options.max_models, use_names=names)
    classifier = Classifier(store.encoder, data.labels, store, hub=hub_voice)
    evaluation = evaluate_voices(classifier, data, seed=options.seed)
    for row in evaluation.scores:
        print(
            f"{data.name:14} {names:1} {row.voices:24} {row.acc1.value:.4f}",
            file=sys.stderr,
            flush=True,
        )
    return {"pictures": len(data)} | voices_as_json(evaluation, data.labels)


def write(
    sets: dict[str, dict[str, object]], encoder: Encoder, options: argparse.Namespace
) -> None:
    result = {
        "what": "accuracy by voices, end to end, five labelled sets",
        "encoder": {"name": encoder.info.name, "fingerprint": encoder.info.fingerprint},
        "max_models": options.max_models,
        "seed": options.seed,
        "sets": sets,
        **provenance(),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

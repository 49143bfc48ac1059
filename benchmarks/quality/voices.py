r"""Accuracy by the voices that are heard, as `lagotto eval classification` measures it, five sets.

    python benchmarks/quality/voices.py --assets DIR --hub HUB --json \
        > benchmarks/results/quality_voices.json

HUB: the shared models on flickr8k + coco, their files where they were when it was made. The caption
store is flickr8k + coco too. Models run in workers on the pictures themselves, found on a sample of
256 of them; once with their published names as evidence, once by behaviour only. Labels only score.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.labelled import open_labelled
from lagotto.evaluation.report import voices_as_json
from lagotto.evaluation.voices import evaluate_voices
from lagotto.specialists.pipeline import Classifier, HubVoice
from lagotto.zeroshot.caption_store import CaptionStore

SETS = ("flowers5", "cats-dogs", "grocery43", "imagenet100x5", "cifar10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--max-models", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = options.assets / "photos"
    encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
    sets: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        store = CaptionStore.create(
            Path(temporary) / "store", [photos / "flickr8k", photos / "coco"], encoder
        )
        for name in options.sets.split(","):
            data = open_labelled([photos / name])
            rows: dict[str, object] = {}
            for evidence, names in (("with names", True), ("behaviour only", False)):
                voice = HubVoice(options.hub, options.max_models, use_names=names)
                classifier = Classifier(encoder, data.labels, store, hub=voice)
                heard = evaluate_voices(classifier, data, seed=options.seed)
                rows[evidence] = voices_as_json(heard, data.labels)
                for row in heard.scores:
                    print(
                        f"{name:14} {evidence:15} {row.voices:24} {row.acc1.value:.4f}",
                        file=sys.stderr,
                        flush=True,
                    )
            sets[name] = {"pictures": len(data), "evidence": rows}
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    result = {
        "what": "accuracy by voices, end to end, five labelled sets",
        "encoder": {"name": encoder.info.name, "fingerprint": encoder.info.fingerprint},
        "max_models": options.max_models,
        "seed": options.seed,
        "sets": sets,
        "commit": done.stdout.strip() or "unknown",
        "machine": f"{platform.machine()}, {platform.system()}",
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

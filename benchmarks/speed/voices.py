r"""The cost of the third voice, relative to the bare inference of the selected models.

    python benchmarks/speed/voices.py --hub HUB --encoder DIR --pictures DIR --json \
        > benchmarks/results/speed_voices.json

DIR has a labels.jsonl. If it has fewer than --count pictures, variants of them (mirrored, cropped)
are added, so that no two are equal. There are three timings, interleaved and repeated: `predict`
with the hub; `predict` without it; and the selected models over arrays prepared beforehand, in as
many processes as there are workers. The last is the baseline: inference alone, without decoding,
resizing, loading or starting. `ratio` is the first minus the second, divided by the third. It
includes the search for models, candidates that were not selected, resizing, workers and files.
`ratio_of_medians` is the same for the median times. The votes are compared with those of the bare
run.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

import lagotto
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.core.types import ModelSource
from lagotto.encoders.registry import load_encoder
from lagotto.jobs.worker_limits import Limits
from lagotto.models.registry import load_model
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.specialists.model_runs import find_runnable
from lagotto.zeroshot.types import Prediction


def bare(job: tuple[ModelSource, Path]) -> tuple[str, float, np.ndarray]:
    """Runs one model over its prepared array; returns the seconds of the loop alone."""
    source, prepared = job
    model = load_model(source)
    pixels = np.load(prepared)
    started = time.perf_counter()
    logits = model.logits(pixels)
    return source.name, time.perf_counter() - started, logits


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def cut(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((0, 0, width - max(1, width // 10), height - max(1, height // 10)))


VARIANTS = (mirrored, cut, lambda picture: cut(mirrored(picture)))


def distinct_files(files: list[Path], options: argparse.Namespace) -> list[Path]:
    """--count files, no two with the same pixels."""
    variants = list(files)
    for number, change in enumerate(VARIANTS):
        for file in files:
            if len(variants) >= options.count:
                break
            file_made = options.folder / f"{options.pictures.name}-{number}-{file.name}"
            if not file_made.is_file():
                with Image.open(file) as picture:
                    change(picture.convert("RGB")).save(file_made, quality=95)
            variants.append(file_made)
    if len(variants) < options.count:
        raise SystemExit(f"only {len(variants)} pictures; give a larger set or a lower --count")
    return variants[: options.count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--max-models", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, default=Path("speed-voices"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    lines = (options.pictures / "labels.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    files = distinct_files([options.pictures / row["image"] for row in rows], options)
    labels = sorted({row["label"] for row in rows})
    encoder = load_encoder(options.encoder)
    hub_voice = HubVoice(options.hub, options.max_models, limits=Limits(workers=options.workers))
    seconds: dict[str, list[float]] = {"with_hub": [], "without": [], "bare": []}
    for number in range(options.repeats):
        print(f"round {number + 1} of {options.repeats}", file=sys.stderr, flush=True)
        with_hub = Classifier(encoder, labels, hub=hub_voice)
        started = time.perf_counter()
        predictions = [row for row in with_hub.predict(files) if isinstance(row, Prediction)]
        seconds["with_hub"].append(time.perf_counter() - started)
        without = Classifier(encoder, labels)
        started = time.perf_counter()
        image_rows = list(without.predict(files))
        seconds["without"].append(time.perf_counter() - started)
        if not with_hub.specialists or len(image_rows) != len(predictions):
            raise SystemExit(f"nothing to compare: {with_hub.notes}")
        seconds["bare"].append(run_bare(with_hub, predictions, files, options))
    result = {
        "ratio": round(
            statistics.median(
                (a - b) / c
                for a, b, c in zip(
                    seconds["with_hub"], seconds["without"], seconds["bare"], strict=True
                )
            ),
            3,
        ),
        "ratio_of_medians": round(
            (statistics.median(seconds["with_hub"]) - statistics.median(seconds["without"]))
            / statistics.median(seconds["bare"]),
            3,
        ),
        "seconds": {name: [round(s, 2) for s in times] for name, times in seconds.items()},
        "pictures": options.count,
        "set": options.pictures.name,
        "models_in_hub": len(lagotto.Hub.open(options.hub).reader.records()),
        "models_asked": [specialist.model for specialist in with_hub.specialists],
        "workers": options.workers,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "lagotto": lagotto.__version__,
    }
    print(json.dumps(result) if options.json else result)


def run_bare(
    classifier: Classifier,
    predictions: list[Prediction],
    files: list[Path],
    options: argparse.Namespace,
) -> float:
    """Seconds that the selected models need for prepared arrays, in as many processes."""
    records = {record.name: record for record in lagotto.Hub.open(options.hub).reader.records()}
    jobs = []
    for specialist in classifier.specialists:
        runnable = find_runnable(records[specialist.model])
        prepared = options.folder / f"{options.pictures.name}-{runnable.pixels.key}.npy"
        if not prepared.is_file():
            decoded = (decode_picture(read_picture_file(file)) for file in files)
            np.save(prepared, np.stack([to_pixels(p, runnable.pixels) for p in decoded]))
        jobs.append((runnable.source, prepared))
    with get_context("spawn").Pool(options.workers) as pool:
        pool.map(abs, range(options.workers))
        started = time.perf_counter()
        answers = list(pool.imap_unordered(bare, jobs, chunksize=1))
        wall = time.perf_counter() - started
    by_model = {name: logits for name, _, logits in answers}
    first = classifier.specialists[0]
    if len(first.labels) > 1:
        argmax_bare = by_model[first.model][:, list(first.outputs)].argmax(axis=1)
        argmax_votes = [
            row.votes[0].probabilities[list(first.labels)].argmax() for row in predictions
        ]
        if np.mean(argmax_bare == argmax_votes) < 0.8:
            raise SystemExit("the votes are not those of the bare run")
    return wall


if __name__ == "__main__":
    main()

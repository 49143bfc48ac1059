"""What `hub add` costs beside the bare inference of the same models.

    python benchmarks/speed/probing.py --models DIR --json

Three timings on the same probes, models and workers, interleaved and repeated; each ratio is the
median over the rounds of the ratio within a round:
`hub add` as a user runs it (worker start, inspection, decoding, probing, storing, blocks); the same
responses from arrays prepared beforehand, by the bare loop of each model (the baseline); and the
same with every model decoding and resizing the probes for itself (no shared cache). The responses
of all three are compared. Without --probes, pictures of noise and shapes are made, 640 x 480, JPEG.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFilter

import lagotto
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import ModelSource
from lagotto.hub.hub import Hub
from lagotto.hub.probes.pixel_cache import ProbeCache
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model

Job: TypeAlias = tuple[ModelSource, str, str]
WORLD_ENCODER = Path(lagotto.__file__).parent / "demo" / "world" / "encoder"


def make_pictures(folder: Path, count: int, seed: int) -> None:
    """JPEG pictures that cost what photos cost to decode: smooth noise and some shapes."""
    chance = np.random.default_rng(seed)
    for number in range(count):
        noise = chance.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((640, 480)).filter(ImageFilter.GaussianBlur(2))
        draw = ImageDraw.Draw(picture)
        for _ in range(8):
            x, y, size = chance.integers(0, 480, 3)
            colour = tuple(int(value) for value in chance.integers(0, 256, 3))
            draw.ellipse([x, y, x + size // 3 + 5, y + size // 3 + 5], fill=colour)
        picture.save(folder / f"{number:05d}.jpg", quality=90)


def bare_model(job: Job) -> tuple[str, float, bytes]:
    """Baseline: one model over its prepared array; the seconds of the loop alone."""
    source, probes, cache = job
    model = load_model(source)
    pixels = np.array(ProbeCache(Path(probes), Path(cache)).open(model.spec.input.pixels))
    started = time.perf_counter()
    values = model.logits(pixels)
    return source.name, time.perf_counter() - started, values.tobytes()


def uncached_model(job: Job) -> tuple[str, float, bytes]:
    """Without the cache: the model decodes and resizes every probe for itself."""
    from lagotto.hub.probes.probe_set import ProbeSet

    source, probes, _ = job
    started = time.perf_counter()
    model = load_model(source)
    pictures = ProbeSet.open(Path(probes))
    spec = model.spec.input.pixels
    pixels = np.stack(
        [to_pixels(decode_picture(pictures.picture(i)), spec) for i in range(len(pictures.probes))]
    )
    values = model.logits(pixels)
    return source.name, time.perf_counter() - started, values.tobytes()


def run_all(
    work: Callable[[Job], tuple[str, float, bytes]], jobs: list[Job], workers: int, hub: Hub
) -> tuple[float, float]:
    """Wall seconds of a started pool over all jobs, and the sum of what each job timed itself.

    Every answer must be what `hub add` stored, bit for bit.
    """
    with get_context("spawn").Pool(workers) as pool:
        pool.map(abs, range(workers))
        started = time.perf_counter()
        answers = list(pool.imap_unordered(work, jobs, chunksize=1))
        wall = time.perf_counter() - started
    for model, _, values in answers:
        if hub.responses(model).tobytes() != values:
            raise SystemExit(f"{work.__name__}: {model} answers differently from hub add")
    return wall, sum(seconds for _, seconds, _ in answers)


def median_ratio(seconds: list[float], baseline: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(seconds, baseline, strict=True)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--probes", type=Path, action="append", help="[default: made pictures]")
    parser.add_argument("--count", type=int, default=300, help="how many pictures to make")
    parser.add_argument("--max-probes", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sources = scan_models([options.models])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        probes = options.probes
        if not probes:
            probes = [folder / "pictures"]
            probes[0].mkdir()
            make_pictures(probes[0], options.count, options.seed)
        fresh = Hub.create(
            folder / "fresh", probes, str(WORLD_ENCODER), max_probes=options.max_probes
        )
        times: dict[str, list[float]] = {"hub_add": [], "bare": [], "uncached": [], "loops": []}
        for number in range(options.repeats):
            hub = Hub.open(shutil.copytree(fresh.folder, folder / f"hub{number}"))
            print(f"round {number + 1}: hub add ...", file=sys.stderr)
            started = time.perf_counter()
            report = hub.add([options.models], limits=Limits(workers=options.workers))
            times["hub_add"].append(time.perf_counter() - started)
            if report.failures:
                raise SystemExit(f"models failed: {report.failures}")
            jobs = [(s, str(hub.folder / "probes"), str(hub.folder / "cache")) for s in sources]
            for name, work in (("bare", bare_model), ("uncached", uncached_model)):
                print(f"round {number + 1}: {name} ...", file=sys.stderr)
                wall, loops = run_all(work, jobs, options.workers, hub)
                times[name].append(wall)
                if name == "bare":
                    times["loops"].append(loops / options.workers)
            pixel_specs = len(list((hub.folder / "cache").glob("*.npy")))
            shutil.rmtree(hub.folder)
        result = {
            "ratio_to_bare": median_ratio(times["hub_add"], times["bare"]),
            "ratio_without_cache": median_ratio(times["uncached"], times["bare"]),
            "ratio_to_bare_loops_only": median_ratio(times["hub_add"], times["loops"]),
            "seconds": {name: [round(s, 2) for s in each] for name, each in times.items()},
            "models": len(sources),
            "probes": len(fresh.probes),
            "workers": options.workers,
            "pixel_specs": pixel_specs,
            "versions": {
                "lagotto": lagotto.__version__,
                "onnxruntime": onnxruntime.__version__,
                "python": platform.python_version(),
            },
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "seed": options.seed,
        }
    print(json.dumps(result) if options.json else result)


if __name__ == "__main__":
    main()

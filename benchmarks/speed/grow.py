"""What `lagotto hub grow` costs and gives: the new probes' cost, the bytes of a hub made at once.

    python benchmarks/speed/grow.py --assets DIR --json > benchmarks/results/speed_grow.json

A hub of the models of DIR/hub on --first photos of flickr8k grows by --second photos of
imagenet1k-sample. Its cost is compared with that of a hub of the new photos alone, made and filled
from nothing, and with that of a hub of both made at once. Cost is processor time of this process
and of its workers, so that other work on the machine counts little; seconds by the clock are told
too. Asserted: the responses of the grown hub and of the one made at once are equal byte for byte,
but for models whose input was inferred (they are named: a grown hub keeps feeding them as before),
and the ratio to the new photos alone is at most --most.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lagotto.core.types import JsonObject
from lagotto.hub.hub import Hub
from lagotto.hub.store.layout import HubLayout

INFERRED = "inferred"


def linked(folder: Path, source: Path, count: int) -> Path:
    """A folder with links to the first pictures of a collection."""
    folder.mkdir()
    pictures = sorted(path for path in source.rglob("*") if path.suffix in (".jpg", ".JPEG"))
    for path in pictures[:count]:
        os.link(path, folder / path.name) if _same_disk(folder, path) else (
            (folder / path.name).write_bytes(path.read_bytes())
        )
    return folder


def _same_disk(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Seconds by the clock and of processors, workers included."""
    before, started = _processor_s(), time.perf_counter()
    work()
    return {
        "clock_s": round(time.perf_counter() - started, 2),
        "processor_s": round(_processor_s() - before, 2),
    }


def _processor_s() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def compare(grown: Hub, whole: Hub) -> tuple[int, dict[str, float]]:
    """Models with equal bytes; of the others the largest difference in standard deviations."""
    equal, other = 0, {}
    for record in grown.reader.records():
        paths = [HubLayout(hub.folder).responses_of(record.digest) for hub in (grown, whole)]
        if paths[0].read_bytes() == paths[1].read_bytes():
            equal += 1
            continue
        values = [hub.responses(record.name) for hub in (grown, whole)]
        spread = float(np.std(values[1]))
        other[record.name] = round(float(np.abs(values[0] - values[1]).max()) / spread, 4)
    return equal, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--first", type=int, default=200)
    parser.add_argument("--second", type=int, default=200)
    parser.add_argument("--most", type=float, default=1.1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder, models = str(options.assets / "encoder" / "photo-lit"), options.assets / "hub"
    photos = options.assets / "photos"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first = linked(folder / "first", photos / "flickr8k", options.first)
        second = linked(folder / "second", photos / "imagenet1k-sample", options.second)

        def make(name: str, *probes: Path) -> Hub:
            hub = Hub.create(folder / name, list(probes), encoder)
            hub.add(models)
            return hub

        costs = {"the first photos alone": timed(lambda: make("grown", first))}
        costs["grown by the second"] = timed(lambda: Hub.open(folder / "grown").grow(second))
        costs["the second photos alone"] = timed(lambda: make("alone", second))
        costs["both at once"] = timed(lambda: make("whole", first, second))
        grown, whole = Hub.open(folder / "grown"), Hub.open(folder / "whole")
        equal, other = compare(grown, whole)
        inferred = {
            model.name
            for model in grown.status().models
            if any(part.origin == INFERRED for part in model.input)
        }
        assert grown.probe_digest == whole.probe_digest
        assert not grown.verify()
        assert set(other) <= inferred, set(other) - inferred
    ratio = (
        costs["grown by the second"]["processor_s"]
        / costs["the second photos alone"]["processor_s"]
    )
    print(f"ratio {ratio:.3f}", costs, equal, other, file=sys.stderr)
    assert ratio <= options.most, ratio
    result: JsonObject = {
        "what": "cost and content of a grown hub",
        "models": equal + len(other),
        "first": options.first,
        "second": options.second,
        "costs": {name: {**cost} for name, cost in costs.items()},
        "ratio": round(ratio, 3),
        "equal_bytes": equal,
        "other_models": {**other},
        "inferred_models": len(inferred),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

"""A probe set and pixel specs come in; a filled pixel cache goes out, decoded on a runner.

Each probe is decoded once for all pixel specs that the cache lacks.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.images import MAX_PIXELS
from lagotto.core.progress import Progress
from lagotto.core.types import PixelSpec
from lagotto.hub.probes.pixel_cache import ProbeCache, spec_to_json
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Runner, Task

_PROBES_A_TASK = 32
_SHARE_OF_DISK = 0.9
"""Of the free disk, what decoded probes may take; the rest is for responses and blocks."""

_LARGE_BYTES = 1 << 30
"""What any model may ask for: a disk without room for it is full, which is no model's fault."""


def find_refusal(spec: PixelSpec, probes: int, cache_folder: Path, planned_bytes: int) -> str:
    """Why the probes cannot be decoded for a model's input; "" if they can.

    One model must not take the memory or the disk of a whole run.

    Args:
        spec: The form in which the model takes pictures.
        probes: How many there are.
        cache_folder: The folder of the cache, or where it will be.
        planned_bytes: What the other forms will take there.
    """
    edges = [round(edge / spec.crop_fraction) for edge in (spec.height, spec.width)]
    if edges[0] * edges[1] > MAX_PIXELS:
        return (
            f"pictures become {edges[0]:,} x {edges[1]:,} pixels before they are cropped; at most "
            f"{MAX_PIXELS:,} are allowed: use a smaller input.size or a larger crop_fraction"
        )
    needed = probes * math.prod(spec.shape)
    folder = next(place for place in (cache_folder, *cache_folder.parents) if place.exists())
    free = shutil.disk_usage(folder).free - planned_bytes
    if needed > max(_LARGE_BYTES, _SHARE_OF_DISK * free):
        return (
            f"{probes:,} probes of {spec.height} x {spec.width} take {needed / 1e9:,.1f} GB of "
            f"disk once decoded, and {max(free, 0) / 1e9:,.1f} GB are free; free some, or use a "
            "hub of fewer probes"
        )
    return ""


def prepare_pixels(
    runner: Runner,
    probe_set: ProbeSet,
    cache_folder: Path,
    specs: Sequence[PixelSpec],
    progress: Progress,
) -> ProbeCache:
    """A cache that holds an array for each pixel spec; what it lacks is decoded first.

    Args:
        runner: Where the probes are decoded.
        probe_set: The probes.
        cache_folder: The folder of the cache.
        specs: The forms in which the pixels are needed.
        progress: Receives the probes decoded.

    Raises:
        HubError: A probe cannot be decoded, or the cache cannot be written.
    """
    cache = ProbeCache(probe_set.folder, cache_folder)
    missing = cache.missing(specs)
    if not missing:
        return cache
    cache.allocate(missing)
    progress.start("decoding probes", len(probe_set.probes), "pictures")
    tasks = _tasks(probe_set, cache_folder, missing)
    for outcome in runner.run(tasks, lambda _, count: progress.advance(count)):
        if outcome.failure is not None:
            raise HubError(f"cannot decode the probes: {outcome.failure.reason}")
    cache.finish(missing)
    progress.finish()
    return cache


def _tasks(probe_set: ProbeSet, cache_folder: Path, specs: Sequence[PixelSpec]) -> Iterator[Task]:
    count = len(probe_set.probes)
    for start in range(0, count, _PROBES_A_TASK):
        yield Task(
            key=str(start),
            entry="lagotto.hub.probes.pixel_cache:fill_cache",
            payload={
                "probes": str(probe_set.folder.absolute()),
                "cache": str(cache_folder.absolute()),
                "specs": [spec_to_json(spec) for spec in specs],
                "start": start,
                "stop": min(start + _PROBES_A_TASK, count),
            },
            in_place=True,
        )

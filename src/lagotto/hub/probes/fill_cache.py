"""A probe set and pixel specs come in; a filled pixel cache goes out, decoded on a runner.

Each probe is decoded once for all pixel specs that the cache lacks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.progress import Progress
from lagotto.core.types import PixelSpec
from lagotto.hub.probes.pixel_cache import ProbeCache, spec_to_json
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Runner, Task

_PROBES_A_TASK = 32


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
        )

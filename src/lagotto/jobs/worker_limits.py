"""Limits for running models come in; a runner that keeps them goes out."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.machine import usable_cores
from lagotto.jobs.base import Runner
from lagotto.jobs.registry import load_runner


@dataclass(frozen=True, slots=True)
class Limits:
    """Where models run, and within which limits.

    `timeout_s` (seconds) and `memory_bytes` are for one model. `workers` is the number of worker
    processes; None for one per usable core. `cache_bytes` is the disk space that models from a
    remote source may take until they are probed.
    """

    runner: str = "local"
    workers: int | None = None
    timeout_s: float = 600.0
    memory_bytes: int = 4 * 2**30
    cache_bytes: int = 10 * 2**30

    def start(self, *writable: Path) -> Runner:
        """Makes the runner; its workers may change files only in the `writable` folders.

        The folders must exist when the first task starts.
        """
        workers = self.workers if self.workers is not None else usable_cores()
        return load_runner(self.runner, workers, self.timeout_s, self.memory_bytes, writable)

"""Limits for running models come in; a runner that keeps them goes out."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.jobs.base import Runner
from lagotto.jobs.registry import load_runner


@dataclass(frozen=True, slots=True)
class Limits:
    """Where models run, and within which limits.

    `timeout_s` (seconds) and `memory_bytes` are for one model. `workers` is the number of worker
    processes; None for one per usable core, of this machine or of the cluster. `cache_bytes` is the
    disk space that models from a remote source may take until they are probed. `ray_address` is
    that of a running cluster, for the runner "ray": "HOST:PORT" or "auto"; None starts one here.
    `device` is where models run: "cpu", "cuda", "cuda:N", or "auto", a GPU where one can be used.
    """

    runner: str = "local"
    workers: int | None = None
    timeout_s: float = 600.0
    memory_bytes: int = 4 * 2**30
    cache_bytes: int = 10 * 2**30
    ray_address: str | None = None
    device: str = "cpu"

    def start(self, *writable: Path) -> Runner:
        """Makes the runner; its workers may change files only in the `writable` folders.

        The folders must exist when the first task starts.
        """
        given = (self.workers, self.timeout_s, self.memory_bytes, writable)
        return load_runner(self.runner, *given, self.ray_address, self.device)

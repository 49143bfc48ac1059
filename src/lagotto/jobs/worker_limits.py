"""Where and within which bounds models run."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.machine import usable_cores
from lagotto.jobs.base import Runner
from lagotto.jobs.registry import load_runner


@dataclass(frozen=True, slots=True)
class Limits:
    """Where and within which bounds models run; time and memory are for one model.

    `cache_bytes` is the disk that models from a remote source may take until they are probed.
    """

    runner: str = "local"
    workers: int | None = None
    timeout_s: float = 600.0
    memory_bytes: int = 4 * 2**30
    cache_bytes: int = 10 * 2**30

    def start(self, *writable: Path) -> Runner:
        """The runner; without a number of workers, one a core that this process may use.

        Its workers change files in the `writable` folders alone, which must be there when the first
        task comes.
        """
        workers = self.workers if self.workers is not None else usable_cores()
        return load_runner(self.runner, workers, self.timeout_s, self.memory_bytes, writable)

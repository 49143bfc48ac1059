"""The name of a runner comes in; the runner goes out.

A new runner is a file here that passes tests/contracts/test_runner_contract.py.
"""

from collections.abc import Sequence
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.jobs.base import Runner

RUNNERS = {"local": Adapter("lagotto.jobs.local", "LocalRunner")}


def load_runner(
    name: str,
    workers: int,
    timeout_s: float,
    memory_bytes: int | None,
    writable: Sequence[Path] | None = None,
) -> Runner:
    """Makes a runner.

    Args:
        name: A name in RUNNERS.
        workers: Number of worker processes, 1 or more.
        timeout_s: Time limit of one task, in seconds.
        memory_bytes: Memory limit of one task; None for no limit.
        writable: Folders in which workers may change files; None for everywhere.

    Returns:
        The runner; its workers start with the first tasks.

    Raises:
        UsageError: The runner is unknown, or a value is out of range.
    """
    if name == "ray":
        raise UsageError("the runner 'ray' is not available in this version; use 'local'")
    start = load_adapter(RUNNERS, name, "runner")
    runner: Runner = start(workers, timeout_s, memory_bytes, writable)
    return runner

"""Runners by name. A new one: a file here that passes tests/contracts/test_runner_contract.py."""

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
    """A runner with `workers` workers; the limits are for one task (None: no memory limit).

    Workers change files in `writable` folders alone, None: everywhere.

    Raises UsageError for an unknown runner or a value out of range.
    """
    if name == "ray":
        raise UsageError("the runner 'ray' is not available in this version; use 'local'")
    start = load_adapter(RUNNERS, name, "runner")
    runner: Runner = start(workers, timeout_s, memory_bytes, writable)
    return runner

"""The name of a runner comes in; the runner goes out.

A new runner is a file here that passes tests/contracts/test_runner_contract.py.
"""

from collections.abc import Sequence
from pathlib import Path

from lagotto.core.devices.placement import CPU, check_device
from lagotto.core.errors import UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.jobs.base import Runner

RUNNERS = {
    "local": Adapter("lagotto.jobs.local", "LocalRunner"),
    "ray": Adapter("lagotto.jobs.cluster.runner", "RayRunner"),
}


def load_runner(
    name: str,
    workers: int | None,
    timeout_s: float,
    memory_bytes: int | None,
    writable: Sequence[Path] | None = None,
    address: str | None = None,
    device: str = CPU,
) -> Runner:
    """Makes a runner.

    Args:
        name: A name in RUNNERS.
        workers: Number of worker processes, 1 or more; None for as many as there is room for.
        timeout_s: Time limit of one task, in seconds.
        memory_bytes: Memory limit of one task; None for no limit.
        writable: Folders in which workers may change files; None for everywhere.
        address: Of the running cluster, for a runner on a cluster; None to start one.
        device: Where tasks may run networks; for another one than the CPU, workers may reach the
            GPUs of this machine.

    Returns:
        The runner; its workers start with the first tasks.

    Raises:
        UsageError: The runner is unknown, a value is out of range, the runner has no address, or
            it does not reach GPUs.
        MissingExtraError: Its package is not installed.
        LagottoError: No cluster answers at the address.
    """
    if check_device(device) != CPU and name == "ray":
        raise UsageError(
            f"device {device!r} and runner {name!r}: models run on a GPU with --runner local; on a "
            "cluster they run on the CPU: leave --device out"
        )
    start = load_adapter(RUNNERS, name, "runner")
    limits = (workers, timeout_s, memory_bytes, writable)
    if address is None:
        runner: Runner = start(*limits) if device == CPU else start(*limits, gpu=True)
    elif name == "ray":
        runner = start(*limits, address)
    else:
        raise UsageError(f"runner {name!r} has no address; --ray-address goes with --runner ray")
    return runner

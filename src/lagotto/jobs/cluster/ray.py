"""Seats on a Ray cluster: actors of ours, which hold a Member each. Ray carries bytes only."""

import contextlib
import json
import logging
import secrets
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from lagotto.core.errors import LagottoError, reason, shortened
from lagotto.core.files import writing
from lagotto.core.machine import usable_cores
from lagotto.core.temporary.leftovers import make_socket_folder
from lagotto.jobs.base import Task
from lagotto.jobs.cluster.member import Member, own_versions
from lagotto.jobs.cluster.messages import Unseen, pack_task, unpack_message
from lagotto.jobs.cluster.schedule import Advanced, Ended, Event, Lost, Ready

_LOG = logging.getLogger(__name__)
_GIB = 1 << 30
_STOP_S = 10.0
_WAY_OUT = "put the hub and the models in a folder that all nodes have under the same path"


class RaySeats:
    """Seats on a Ray cluster: actors that are a Member each. It joins the cluster when it must."""

    def __init__(
        self,
        workers: int | None,
        timeout_s: float,
        memory_bytes: int | None,
        writable: Sequence[Path] | None,
        address: str | None,
    ) -> None:
        self._workers = workers
        self._limits = (timeout_s, memory_bytes)
        self._memory_bytes = memory_bytes or 0
        self._writable = None if writable is None else [path.absolute() for path in writable]
        self._address = address
        self._folder: Path | None = None
        self._mark: Path | None = None
        self._joined = False
        self._started = False
        self._number = 0
        self._members: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}
        self._machines: dict[int, str] = {}

    def count(self) -> int:
        """The workers that the user asked for, else as many as the nodes have room for."""
        self._join()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = sum(self._room(node) for node in nodes)
        if not room:
            cores = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
            memory = max((node.get("memory", 0.0) for node in nodes), default=0.0) / _GIB
            raise LagottoError(
                f"no node of the Ray cluster has room for a worker, which takes 1 core and "
                f"{self._memory_bytes / _GIB:.2f} GiB of memory; the largest of its "
                f"{len(nodes)} nodes offers {cores:g} cores and {memory:.2f} GiB: lower "
                "--memory-gb, or add a node"
            )
        return room if self._workers is None else self._workers

    def request(self) -> int:
        """An actor that is still to start."""
        self._join()
        self._number += 1
        folders = None if self._writable is None else [str(path) for path in self._writable]
        mark = None if self._mark is None else str(self._mark)
        member = ray.remote(_RayMember).options(
            num_cpus=1, memory=self._memory_bytes or None, max_restarts=0
        )
        actor = member.remote(*self._limits, folders, mark)
        self._members[self._number] = actor
        self._pending[actor.describe.remote()] = self._number
        return self._number

    def give(self, seat: int, task: Task) -> None:
        """Lets the actor begin the task, after those that it has; its messages come one by one."""
        work = self._members[seat].work.options(num_returns="streaming")
        self._pending[work.remote(pack_task(task))] = seat

    def wait(self, timeout_s: float) -> list[Event]:
        """What the actors say or that they are gone."""
        if not self._pending:
            return []
        first = {seat: each for each, seat in reversed(self._pending.items())}
        ready, _ = ray.wait(list(first.values()), num_returns=1, timeout=timeout_s)
        return [event for each in ready if (event := self._read(each)) is not None]

    def end(self, seat: int) -> None:
        """Kills the actor; its worker process ends with it."""
        actor = self._forget(seat)
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def leave(self) -> None:
        """Leaves the cluster, which ends if it was started here; safe to call twice."""
        if self._mark is not None:
            self._mark.unlink(missing_ok=True)
            self._mark = None
        if self._members and ray.is_initialized():
            stops = [actor.stop.remote() for actor in self._members.values()]
            ray.wait(stops, num_returns=len(stops), timeout=_STOP_S)
        for seat in list(self._members):
            self.end(seat)
        if self._joined:
            ray.shutdown()
        self._joined = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _join(self) -> None:
        if self._started:
            return
        self._started = True
        if self._writable:
            mark = self._writable[-1] / f"shared-{secrets.token_hex(8)}"
            with writing(mark):
                mark.touch()
            self._mark = mark
        if ray.is_initialized():  # by the caller, who also leaves it
            return
        _keep_off_stdout()
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        try:
            with _own_signals():
                if self._address is None:
                    self._start(quiet)
                else:
                    ray.init(address=self._address, **quiet)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            where = "start a Ray cluster" if self._address is None else f"join {self._address}"
            raise LagottoError(f"cannot {where}: {reason(error)}") from error
        self._joined = True

    def _start(self, quiet: dict[str, Any]) -> None:
        """A cluster of this machine alone, which ends with this process, and answers no other."""
        self._folder = make_socket_folder()
        ray.init(
            num_cpus=max(self._workers or 0, usable_cores()),
            num_gpus=0,
            include_dashboard=False,
            _temp_dir=str(self._folder),
            **quiet,
        )

    def _room(self, resources: dict[str, float]) -> int:
        """How many workers a node can hold, if nothing else runs on it."""
        cores, memory = int(resources.get("CPU", 0.0)), self._memory_bytes
        return min(cores, int(resources.get("memory", 0.0) // memory)) if memory else cores

    def _read(self, each: Any) -> Event | None:
        """What became of a description that was asked for, or the next message of a task."""
        seat = self._pending[each]
        try:
            if isinstance(each, ray.ObjectRef):
                description = json.loads(ray.get(self._take(each)))
                self._machines[seat] = _name_of(description)
                self._check(self._machines[seat], description)
                return Ready(seat, self._machines[seat])
            message = unpack_message(ray.get(next(each)))
        except (RayError, StopIteration, SystemExit) as error:  # SystemExit: that of the actor
            if isinstance(error, RayTaskError) and not isinstance(error.cause, SystemExit):
                machine = self._machines.get(seat, "some node")
                said = reason(error.cause)
                raise LagottoError(f"a worker on {machine} failed: {said}") from error
            self._forget(seat)
            return Lost(seat, _why_lost(error))
        if isinstance(message, int):
            return Advanced(seat, message)
        self._take(each)
        if isinstance(message, Unseen):
            raise LagottoError(
                f"node {self._machines[seat]} has no {message.path} as it is here; {_WAY_OUT}"
            )
        return Ended(seat, message)

    def _forget(self, seat: int) -> Any:
        """The actor of a seat, of which nothing is expected any more; None if there is none."""
        self._pending = {each: number for each, number in self._pending.items() if number != seat}
        return self._members.pop(seat, None)

    def _take(self, each: Any) -> Any:
        del self._pending[each]
        return each

    def _check(self, machine: str, description: dict[str, Any]) -> None:
        """Raises LagottoError for a node that would answer otherwise, or sees other files."""
        for name, version in own_versions().items():
            there = description["versions"].get(name)
            if there != version:
                raise LagottoError(
                    f"node {machine} has {name} {there}, and this machine {version}; responses "
                    "depend on it: install the same version on all nodes"
                )
        if not description["shares"] and self._mark is not None:
            raise LagottoError(
                f"node {machine} does not see {self._mark.parent}; {_WAY_OUT}, or add on each "
                "machine by itself with hub add --shard"
            )


class _RayMember(Member):
    """A Member that knows its node."""

    def describe(self) -> bytes:
        """As a Member's, with "node", the id of the node."""
        node = ray.get_runtime_context().get_node_id()
        return json.dumps({**json.loads(super().describe()), "node": node}).encode()


def _name_of(description: dict[str, Any]) -> str:
    """The name of a node's machine; with a part of its id if there are several of that name."""
    hosts = Counter(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"])
    host, node = str(description["host"]), str(description["node"])
    return host if hosts[host] < 2 else f"{host}/{node[:6]}"


def _why_lost(error: BaseException) -> str:
    """The last sentence of an error that says more than that an actor died."""
    if isinstance(error, StopIteration):
        return "it ended without an answer"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(lines[-1] if lines else type(error).__name__, 300)


def _keep_off_stdout() -> None:
    """Has what Ray says of workers and nodes that it lost go to the log: it prints it to stdout,
    where a command's answer is, whatever it is told of logs."""
    printed = getattr(ray, "_private", None)
    for name in ("worker", "print_to_stdstream"):
        if not hasattr(printed, name):
            return  # another Ray: it may speak, rather than fail
        printed, holder = getattr(printed, name), printed
    holder.print_to_stdstream = _log_lines


def _log_lines(data: dict[str, Any], *_: Any, **__: Any) -> None:
    for line in data.get("lines", ()):
        _LOG.info("%s", line)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps what this process does at SIGTERM, which Ray changes."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

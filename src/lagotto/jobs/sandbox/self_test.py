"""Tries from inside what a worker must not reach; what it reached all the same goes out.

`python -m lagotto.jobs.sandbox.self_test FOLDER FILE BYSTANDER PORT SOCKET` isolates itself as a
worker does, with FOLDER to write in, and prints as JSON what took effect and what is still open.
FILE lies outside FOLDER, BYSTANDER is the id of another process of the user, PORT and SOCKET (a
path) are listened on by the parent, but for a PORT of 0 and an empty SOCKET. Each try does no harm
where it succeeds. It imports the standard library only.
"""

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from lagotto.jobs.sandbox.isolation import isolate_self

_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_NOT_REACHED = (errno.ENETUNREACH, errno.ENXIO)  # an empty network; no terminal of its own
_TYPE_INTO = 0x5412  # TIOCSTI
_OWNER_OF_SIGNALS = 8  # F_SETOWN
_READ_MEMORY = {"x86_64": 310, "aarch64": 270}
_SHARED_MEMORY = {"x86_64": 29, "aarch64": 194}
_NO_CALL = -1  # on another machine, which says that there is none

Attempt: TypeAlias = Callable[[], object]


def attempts(
    outside: Path, bystander: int, port: int, service: str
) -> dict[str, dict[str, Attempt]]:
    """What to try for each guard, under the words that say what it would reach."""
    parent = os.getppid()
    machine = os.uname().machine
    size = os.stat(outside).st_size
    network: dict[str, Attempt] = {}
    if port:
        network["connecting to a port"] = lambda: _connect(socket.AF_INET, ("127.0.0.1", port))
    if service:
        network["connecting to a service of this machine"] = lambda: _connect(
            socket.AF_UNIX, service
        )
    return {
        "network": network,
        "processes": {
            "starting a process": _fork,
            "starting a program": lambda: os.execv("/nowhere/program", ["program"]),
            "signals to other processes": lambda: os.kill(parent, 0),
            "signals by a descriptor": lambda: _signal_by_descriptor(parent),
            "the memory of its parent": lambda: _open_memory(parent),
            "the memory of other processes": lambda: _open_memory(bystander),
            "reading the memory of other processes": lambda: _read_memory(bystander),
            "the environment of other processes": Path(f"/proc/{bystander}/environ").read_bytes,
            "the limits of other processes": lambda: _same_limit(parent),
            "the order in which other processes run": lambda: os.setpriority(
                os.PRIO_PROCESS, parent, os.getpriority(os.PRIO_PROCESS, parent)
            ),
            "shared memory that outlives it": lambda: _call(
                _SHARED_MEMORY.get(machine, _NO_CALL), 0, -1, 0
            ),
            "typing into a terminal": _type,
            "the terminal": lambda: os.close(os.open("/dev/tty", os.O_RDONLY)),
        },
        "files": {
            "changing a file": lambda: os.close(os.open(outside, os.O_WRONLY)),
            "cutting a file": lambda: os.truncate(outside, size),
            "making a file": lambda: Path(f"{outside}.new").touch(),
            "removing a file": lambda: os.unlink(f"{outside}.spare"),
            "changing a file's mode": lambda: os.chmod(outside, outside.stat().st_mode & 0o777),
            "changing a file's times": lambda: os.utime(outside),
        },
    }


def still_open(tries: Mapping[str, Attempt]) -> list[str]:
    """What was reached: the words of each attempt that the system did not refuse."""
    reached = []
    for words, attempt in tries.items():
        try:
            attempt()
        except OSError as error:
            if error.errno in _REFUSALS + _NOT_REACHED:
                continue
        reached.append(words)
    return reached


def _connect(family: int, address: tuple[str, int] | str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(2.0)
        made.connect(address)


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _signal_by_descriptor(process: int) -> None:
    import fcntl

    reader, writer = os.pipe()
    try:
        fcntl.fcntl(reader, _OWNER_OF_SIGNALS, process)
    finally:
        os.close(reader)
        os.close(writer)


def _type() -> None:
    """Into the null device, which is no terminal: the system says so if it does not refuse."""
    import fcntl

    with open(os.devnull, "rb") as nothing:
        fcntl.ioctl(nothing, _TYPE_INTO, b"x")


def _same_limit(process: int) -> None:
    import resource

    limits = resource.prlimit(process, resource.RLIMIT_CORE)
    resource.prlimit(process, resource.RLIMIT_CORE, limits)


def _open_memory(process: int) -> None:
    os.close(os.open(f"/proc/{process}/mem", os.O_RDWR))


def _read_memory(process: int) -> None:
    """Reads a byte from an address that no process has: EFAULT if the kernel would have read it."""
    byte = ctypes.create_string_buffer(1)
    here, there = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1), (ctypes.c_size_t * 2)(8, 1)
    number = _READ_MEMORY.get(os.uname().machine, _NO_CALL)
    _call(number, process, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)


def _call(number: int, *arguments: int) -> None:
    """A system call with arguments that make it fail, with EPERM only where it is refused."""
    library = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_long(argument) for argument in (*arguments, *[0] * 6)[:6]]
    if library.syscall(ctypes.c_long(number), *padded) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def try_all() -> None:
    """Isolates this process and prints, for each guard, its means, a reason, and what is open."""
    folder, outside, bystander, port, service = sys.argv[1:6]
    tries = attempts(Path(outside), int(bystander), int(port), service)
    effects = isolate_self([Path(folder)])
    found = {what: (*effect, still_open(tries[what])) for what, effect in effects.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    try_all()

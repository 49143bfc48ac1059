"""Tasks that try to reach what a worker is cut off from; each tells how far it came."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_NO_RESERVE = 0x4000


def tried(attempt):
    """Whether an attempt succeeded, else the name of its error."""
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


def reach_out(payload, progress):
    return {
        "internet": tried(lambda: socket.create_connection(("127.0.0.1", payload["port"]), 2)),
        "unix": tried(lambda: socket.socket(socket.AF_UNIX)),
        "program": tried(lambda: subprocess.run([sys.executable, "-c", "0"], check=True)),
        "shell": tried(lambda: os.execv("/bin/sh", ["sh", "-c", "exit 9"])),
        "fork": tried(lambda: os.fork() or os._exit(0)),
        "signal_parent": tried(lambda: os.kill(os.getppid(), 0)),
        "limit_parent": tried(
            lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1000, 1000))
        ),
        "chroot": tried(lambda: os.chroot("/")),
        "signal_all": tried(lambda: os.kill(-1, signal.SIGTERM)),
    }


def write(payload, progress):
    outside = Path(payload["outside"])
    inside = Path(payload["inside"])
    return {
        "new": tried(lambda: (outside / "new").write_text("x")),
        "changed": tried(lambda: (outside / "old").open("a").close()),
        "removed": tried((outside / "old").unlink),
        "link": tried(lambda: (outside / "link").symlink_to("/")),
        "parent_memory": tried(lambda: open(f"/proc/{os.getppid()}/mem", "rb").close()),
        "inside": tried(lambda: (inside / "new").write_text("x")),
        "temporary": tried(lambda: tempfile.TemporaryFile().close()),
        "nothing": tried(lambda: open(os.devnull, "w").close()),
    }


def threads_still_start(payload, progress):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    return {"seen": seen}


def reserve(payload, progress):
    """Address space that is only reserved, which no allocator's limit counts."""
    size, flags = payload["gib"] << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    return {"length": len(mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ))}


def environment(payload, progress):
    return {"variables": dict(os.environ), "temporary": tempfile.gettempdir()}


def burn(payload, progress):
    Path(payload["folder"], str(os.getpid())).touch()
    while True:
        pass


def ties(payload, progress):
    """The signal at the parent's end, the session, and which of root's powers are left."""
    signal_number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(signal_number), 0, 0, 0)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "at_parents_end": signal_number.value,
        "session": os.getsid(0) == os.getpid(),
        "powers": int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
        "user": os.getuid(),
    }

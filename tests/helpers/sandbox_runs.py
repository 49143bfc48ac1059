"""Runs the sandbox probes in a real worker, as some user, on a system that lacks some guards."""

import contextlib
import ctypes
import errno
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sandbox_probes
from sandbox_probes import PROBES, Probe

ORDINARY_USER = 65534
SECRET = "a token that no worker may have"
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PRCTL, PR_SET_SECCOMP, LANDLOCK = (157, 167)[sandbox_probes.ARM], 22, 444
SITE = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


@dataclass(frozen=True)
class Verdict:
    """A probe in one run: what became of it, and whether that is as it must be."""

    probe: Probe
    outcome: str
    expected: bool

    @property
    def reached(self) -> bool:
        """Whether the worker got there."""
        return self.outcome == "reached"


def lose(*features: str) -> None:
    """Makes this process and its children a system without "landlock" or "seccomp", for good."""
    code = [(LOAD, 0, 0, 0)]
    if "landlock" in features:
        code += [(IF_EQUAL, 0, 1, LANDLOCK), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    if "seccomp" in features:
        code += [
            (IF_EQUAL, 0, 3, PRCTL),
            (LOAD, 0, 0, 16),
            (IF_EQUAL, 0, 1, PR_SET_SECCOMP),
            (RETURN, 0, 0, ERROR | errno.EINVAL),
            (LOAD, 0, 0, 0),
        ]
    code.append((RETURN, 0, 0, ALLOW))
    data = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    kept = ctypes.create_string_buffer(data, len(data))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program(len(data) // 8, ctypes.addressof(kept))
    library = ctypes.CDLL(None)
    assert library.prctl(38, 1, 0, 0, 0) == 0
    assert library.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0


def python_of(user: str) -> str | None:
    """A Python that the user may run, with this one's packages; None if there is none."""
    if user != "ordinary" or os.geteuid() != 0:
        return sys.executable
    found = [sys.executable, shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin")]
    for path in [str(Path(each).resolve()) for each in found if each]:
        words = [path, "-c", "import numpy, jaxtyping"]
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                words, user=ORDINARY_USER, group=ORDINARY_USER, extra_groups=[],
                env=_environment(), check=True, capture_output=True, cwd="/",
            )  # fmt: skip
            return path
    return None


def _environment() -> dict[str, str]:
    source = Path(sandbox_probes.__file__).resolve()
    import lagotto

    paths = [str(Path(lagotto.__file__).parents[1]), str(source.parent), *SITE]
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "A_TOKEN": SECRET,
    }


def run_probes(python: str, user: str, without: tuple[str, ...]) -> list[Verdict]:
    """Every probe in a worker of a process that `user` ("root", "ordinary") runs."""
    options: dict[str, object] = {}
    if user == "ordinary" and os.geteuid() == 0:
        options = {"user": ORDINARY_USER, "group": ORDINARY_USER, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="lp-", dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        ended = subprocess.run(
            [python, "-m", "sandbox_runs", folder, *without],
            env=_environment() | {"TMPDIR": folder},
            check=False, capture_output=True, text=True, cwd="/", timeout=120,
            start_new_session=True, **options,  # type: ignore[call-overload]
        )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"the probes did not run: {ended.stderr}")
    answer = json.loads(ended.stdout)
    active = active_guards(without, answer["landlock"])
    return [verdict(probe, answer["outcomes"][probe.name], active) for probe in PROBES]


def active_guards(without: tuple[str, ...], landlock: int) -> set[str]:
    """What should keep a worker from things, on a system that lacks some."""
    active = {"always", "session", "privileges"}
    active |= set() if "seccomp" in without else {"seccomp"}
    active |= {"namespace"} if "seccomp" in without else set()
    if "landlock" not in without and landlock:
        active |= {"landlock", *(f"landlock {version}" for version in range(1, landlock + 1))}
    return active


def verdict(probe: Probe, outcome: str, active: set[str]) -> Verdict:
    """A probe must be refused if a guard against it is active, and reached if none is."""
    kept = bool(active & set(probe.kept_by))
    reached = outcome == "reached"
    return Verdict(probe, outcome, reached != kept or (not kept and probe.either))


def main() -> None:
    """In the process that starts the worker: it has a terminal, a victim and sockets."""
    folder, without = Path(sys.argv[1]), sys.argv[2:]
    if without:
        lose(*without)
    from lagotto.jobs.base import Task
    from lagotto.jobs.local import LocalRunner
    from lagotto.jobs.sandbox.landlock import landlock_version

    outside = folder / "outside"
    outside.mkdir()
    for name in ("file", "spare", "spare2"):
        (outside / name).write_text("xx")
    (outside / "inside").mkdir()
    _, slave = pty.openpty()
    terminal = os.ttyname(slave)
    os.close(os.open(terminal, os.O_RDWR))  # of a session without one: it becomes its terminal
    os.close(os.open("/dev/tty", os.O_RDWR))
    os.set_inheritable(slave, True)
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as service,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["sleep", "60"]) as victim,
    ):
        service.bind(str(folder / "service"))
        abstract.bind(f"\0lagotto-{os.getpid()}")
        service.listen()
        abstract.listen()
        payload = {
            "outside": str(outside),
            "port": port.getsockname()[1],
            "service": str(folder / "service"),
            "abstract": f"\0lagotto-{os.getpid()}",
            "terminal": terminal,
            "victim": victim.pid,
            "token": SECRET,
        }
        with closing(LocalRunner(1, 60.0, 1 << 30, [outside / "inside"])) as runner:
            task = Task("probes", "sandbox_probes:try_all", payload)
            (outcome,) = runner.run([task])
        victim.kill()
        if outcome.failure is not None:
            raise SystemExit(f"{outcome.failure}")
        print(json.dumps({"landlock": landlock_version(), "outcomes": outcome.value}))


if __name__ == "__main__":
    main()

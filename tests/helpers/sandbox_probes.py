"""Probes of what a worker can reach, run inside one; it imports the standard library only.

A probe is a function that gets the place of the experiment. It returns if it reached what it is
named for, and raises OSError if the system refused. `kept_by` names what keeps a worker from it:
any one of them is enough. It is empty for what a worker needs and must reach.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARM = platform.machine() == "aarch64"
LIBRARY = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "get_robust_list": (274, 100), "pidfd_open": (434, 434),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "shmget": (29, 194), "shmctl": (31, 195), "msgget": (68, 186),
    "msgctl": (71, 187), "semget": (64, 190), "semctl": (66, 191), "mq_open": (240, 180),
    "memfd_create": (319, 279), "keyctl": (250, 219), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "personality": (135, 92), "bpf": (321, 280), "acct": (163, 89),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "name_to_handle_at": (303, 264),
    "io_uring_setup": (425, 425), "vhangup": (153, 58), "syslog": (103, 116), "splice": (275, 76),
    "execveat": (322, 281), "seccomp": (317, 277), "clock_adjtime": (305, 266),
    "sched_setscheduler": (144, 119), "setuid": (105, 146), "quotactl": (179, 60),
}  # fmt: skip
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22


@dataclass(frozen=True)
class Place:
    """Where the experiment is: what a worker may use, and what it must not reach."""

    outside: Path
    port: int
    service: str
    abstract: str
    terminal: str
    victim: int
    token: str

    @property
    def parent(self) -> int:
        """The process that started this worker."""
        return os.getppid()

    @property
    def file(self) -> Path:
        """A file that must not change, and may be read."""
        return self.outside / "file"


@dataclass(frozen=True)
class Probe:
    """One thing to try. `either`: where nothing of ours keeps it away, the system still may."""

    kind: str
    name: str
    kept_by: tuple[str, ...]
    reach: Callable[[Place], object]
    either: bool = False


def call(name: str, *arguments: Any) -> int:
    """A system call by its name; OSError if it fails."""
    padded = (*arguments, *[0] * 6)[:6]
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in padded]
    result = int(LIBRARY.syscall(ctypes.c_long(CALLS[name][ARM]), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def known(name: str, *arguments: Any) -> None:
    """The call with arguments that the kernel cannot use: reached if it looked at them at all."""
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise


def must(done: bool) -> None:
    """Not reached, unless it was done."""
    if not done:
        raise OSError(errno.EPERM, "no effect")


def prctl(*arguments: int) -> None:
    """A setting of this process; OSError if it is refused."""
    if LIBRARY.prctl(*arguments, *[0] * (5 - len(arguments))) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def shared(file: Path) -> None:
    """Makes a file in shared memory, and leaves none behind."""
    opened(str(file), os.O_CREAT | os.O_RDWR)
    file.unlink()


def opened(path: str | Path, flags: int) -> None:
    os.close(os.open(path, flags))


def connected(family: int, address: "tuple[str, int] | str") -> None:
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(2.0)
        made.connect(address)


def forked(place: Place) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def spawned(place: Place) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    must(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0)


def signalled_by_descriptor(place: Place) -> None:
    """A signal of choice to another process, as the owner of a pipe that works asynchronously."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, place.victim)
    fcntl.fcntl(reader, 10, int(signal.SIGKILL))  # F_SETSIG
    flags = fcntl.fcntl(reader, fcntl.F_GETFL)
    fcntl.fcntl(reader, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")
    time.sleep(0.3)
    state = Path(f"/proc/{place.victim}/stat").read_text().rpartition(")")[2].split()[0]
    must(state == "Z")


def typed(place: Place) -> None:
    descriptor = os.open(place.terminal, os.O_RDONLY | os.O_NOCTTY)
    try:
        fcntl.ioctl(descriptor, 0x5412, b"x")  # TIOCSTI
    finally:
        os.close(descriptor)


def asked_device(request: int) -> None:
    """An ioctl of the null device: reached if the device itself said that it does not know it."""
    with open(os.devnull, "rb") as nothing:
        try:
            fcntl.ioctl(nothing, request, b"x" * 8)
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise


def kept_shared(kind: str) -> None:
    """A thing of System V that outlives the process; it is removed again."""
    sizes = {"shm": (0, 4096, 0o1600), "msg": (0, 0o1600), "sem": (0, 1, 0o1600)}
    number = call(f"{kind}get", *sizes[kind])
    call(f"{kind}ctl", number, *((0, 0) if kind == "sem" else (0,)))


def inherited(place: Place) -> None:
    """Descriptors of the parent: more than the standard three, the way back and the tasks."""
    targets = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists the folder
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    pipes = [target for target in targets if target.startswith("pipe:")]
    must(len(pipes) > 3 or bool({*targets} - {*pipes, os.devnull}))  # tasks, answers, errors


def threads_started(place: Place) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    must(seen == [1])


def moved(place: Place) -> None:
    """A file of the worker's own, made, written, renamed and removed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a")
        file.write_text("x")
        file.rename(Path(folder, "b"))


def made_in_own(mode: int) -> None:
    path = Path(tempfile.mktemp())
    os.mknod(path, mode | 0o600, os.makedev(1, 3))
    path.unlink()


def executable_memory(place: Place) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def limited(process: int) -> None:
    limits = resource.prlimit(process, resource.RLIMIT_CORE)
    resource.prlimit(process, resource.RLIMIT_CORE, limits)


def raised_limit(place: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard + (1 << 30)))
    except ValueError as error:  # the wording of Python for EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def lived_on(place: Place) -> None:
    prctl(PR_SET_PDEATHSIG, 0)
    prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def seized(place: Place) -> None:
    call("ptrace", 0x4206, place.victim, 0, 0)
    call("ptrace", 17, place.victim, 0, 0)


def read_memory(process: int) -> None:
    """From an address that no process has: reached if the kernel looked there."""
    byte = ctypes.create_string_buffer(1)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1)
    there = (ctypes.c_size_t * 2)(8, 1)
    known("process_vm_readv", process, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


def joined_network(place: Place) -> None:
    with open("/proc/self/ns/net", "rb") as network:
        call("setns", network.fileno(), 0)


MEMORY = ("seccomp", "landlock", "privileges")
SIGNALS = ("seccomp", "landlock 6")
ROOT = ("seccomp", "privileges")
NEEDED: tuple[str, ...] = ()

PROBES = (
    Probe("powers", "has an inherited descriptor", ("always",), inherited),  # before any is opened
    Probe("needed", "reads a file", NEEDED, lambda p: p.file.read_bytes()),
    Probe("needed", "makes, moves and removes files of its own", NEEDED, moved),
    Probe("needed", "writes to the null device", NEEDED, lambda p: opened(os.devnull, os.O_RDWR)),
    Probe("needed", "reads random numbers", NEEDED, lambda p: opened("/dev/urandom", os.O_RDONLY)),
    Probe("needed", "starts threads", NEEDED, threads_started),
    Probe("needed", "signals itself", NEEDED, lambda p: os.kill(os.getpid(), 0)),
    Probe("needed", "runs code that it compiled", NEEDED, executable_memory),
    Probe("needed", "lowers its own limits", NEEDED, lambda p: limited(0)),
    Probe("needed", "sleeps and reads clocks", NEEDED, lambda p: time.sleep(0.001)),
    Probe("files", "changes a file", ("landlock",), lambda p: opened(p.file, os.O_WRONLY)),
    Probe("files", "cuts a file", ("landlock 3",), lambda p: os.truncate(p.file, 1)),
    Probe("files", "makes a file", ("landlock",), lambda p: (p.outside / "new").touch()),
    Probe("files", "removes a file", ("landlock",), lambda p: (p.outside / "spare").unlink()),
    Probe("files", "renames a file", ("landlock",),
          lambda p: (p.outside / "spare2").rename(p.outside / "spare3")),
    Probe("files", "makes a folder", ("landlock",), lambda p: (p.outside / "folder").mkdir()),
    Probe("files", "makes a symbolic link", ("landlock",),
          lambda p: (p.outside / "link").symlink_to("/")),
    Probe("files", "links a file into its own folder", ("landlock",),
          lambda p: os.link(p.file, tempfile.mktemp(dir=p.outside / "inside"))),
    Probe("files", "makes a named pipe", ("seccomp",), lambda p: made_in_own(0o010000)),
    Probe("files", "makes a device", ("landlock", *ROOT), lambda p: made_in_own(0o020000)),
    Probe("files", "changes a mode", ("seccomp",), lambda p: os.chmod(p.file, 0o644)),
    Probe("files", "changes a mode by a descriptor", ("seccomp",),
          lambda p: os.chmod(os.open(p.file, os.O_RDONLY), 0o644)),
    Probe("files", "changes an owner", ("seccomp",),
          lambda p: os.chown(p.file, os.getuid(), os.getgid())),
    Probe("files", "changes times", ("seccomp",), lambda p: os.utime(p.file)),
    Probe("files", "sets an attribute", ("seccomp",),
          lambda p: os.setxattr(p.file, "user.probe", b"1"), either=True),
    Probe("files", "watches a folder", ("seccomp",), lambda p: call("inotify_init1", 0)),
    Probe("files", "watches all files", ("seccomp",), lambda p: call("fanotify_init", 0, 0),
          either=True),
    Probe("files", "names a file by its handle", ("seccomp",),
          lambda p: known("name_to_handle_at", -100, None, None, None, 0)),
    Probe("files", "opens a device", ("landlock",), lambda p: opened("/dev/ptmx", os.O_RDONLY)),
    Probe("files", "shares memory by /dev/shm", ("landlock",),
          lambda p: shared(Path(f"/dev/shm/lagotto-probe-{os.getpid()}"))),
    Probe("network", "connects to a port", ("seccomp", "landlock 4", "namespace"),
          lambda p: connected(socket.AF_INET, ("127.0.0.1", p.port))),
    Probe("network", "sends a datagram", ("seccomp", "namespace"),
          lambda p: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
              b"x", ("127.0.0.1", p.port))),
    Probe("network", "connects to a service by its path", ("seccomp",),
          lambda p: connected(socket.AF_UNIX, p.service)),
    Probe("network", "connects to a service by its name", ("seccomp", "landlock 6", "namespace"),
          lambda p: connected(socket.AF_UNIX, p.abstract)),
    Probe("network", "makes a pair of sockets", ("seccomp",), lambda p: socket.socketpair()),
    Probe("network", "asks the kernel by netlink", ("seccomp",),
          lambda p: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    Probe("network", "reads raw packets", ROOT,
          lambda p: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    Probe("network", "makes sockets by io_uring", ("seccomp",),
          lambda p: known("io_uring_setup", 0, None), either=True),
    Probe("processes", "starts a process", ("seccomp",), forked),
    Probe("processes", "starts a program", ("seccomp", "landlock"), spawned),
    Probe("processes", "becomes a program", ("seccomp",),
          lambda p: known("execveat", -1, b"/nowhere", None, None, 0)),
    Probe("processes", "signals its parent", SIGNALS, lambda p: os.kill(p.parent, 0)),
    Probe("processes", "signals a thread of its parent", SIGNALS,
          lambda p: call("tgkill", p.parent, p.parent, 0)),
    Probe("processes", "signals everybody", ("seccomp",), lambda p: os.kill(-1, 0)),
    Probe("processes", "signals another process by a descriptor", SIGNALS,
          signalled_by_descriptor),
    Probe("processes", "opens a handle to a process", ("seccomp",),
          lambda p: call("pidfd_open", p.parent, 0)),
    Probe("processes", "traces a process", MEMORY, seized),
    Probe("processes", "reads its parent's memory", MEMORY, lambda p: read_memory(p.parent)),
    Probe("processes", "opens its parent's memory", MEMORY[1:],
          lambda p: opened(f"/proc/{p.parent}/mem", os.O_RDWR)),
    Probe("processes", "opens another process's memory", MEMORY[1:],
          lambda p: opened(f"/proc/{p.victim}/mem", os.O_RDWR)),
    Probe("processes", "reads its parent's environment", MEMORY[1:],
          lambda p: Path(f"/proc/{p.parent}/environ").read_bytes()),
    Probe("processes", "reads what its parent has open", MEMORY[1:],
          lambda p: os.readlink(f"/proc/{p.parent}/fd/1")),
    Probe("processes", "compares itself with its parent", MEMORY,
          lambda p: call("kcmp", os.getpid(), p.parent, 1, 0, 0), either=True),
    Probe("processes", "reads the locks of its parent's threads", MEMORY,
          lambda p: known("get_robust_list", p.parent, None, None)),
    Probe("processes", "slows its parent down", ("seccomp",),
          lambda p: os.setpriority(os.PRIO_PROCESS, p.parent,
                                   os.getpriority(os.PRIO_PROCESS, p.parent)), either=True),
    Probe("processes", "picks its parent's cores", ("seccomp",),
          lambda p: os.sched_setaffinity(p.parent, os.sched_getaffinity(p.parent)), either=True),
    Probe("processes", "picks its parent's order", ("seccomp",),
          lambda p: os.sched_setscheduler(p.parent, os.SCHED_OTHER, os.sched_param(0)),
          either=True),
    Probe("processes", "delays its parent's files", ("seccomp",),
          lambda p: call("ioprio_set", 1, p.parent, 0), either=True),
    Probe("processes", "moves its parent's memory", MEMORY,
          lambda p: known("migrate_pages", p.parent, 0, None, None), either=True),
    Probe("processes", "sets its parent's limits", ("seccomp",), lambda p: limited(p.parent)),
    Probe("terminal", "opens its terminal", ("session",),
          lambda p: opened("/dev/tty", os.O_RDONLY)),
    Probe("terminal", "reads the user's terminal", ("landlock",),
          lambda p: opened(p.terminal, os.O_RDONLY | os.O_NOCTTY)),
    Probe("terminal", "writes to the user's terminal", ("landlock",),
          lambda p: opened(p.terminal, os.O_WRONLY | os.O_NOCTTY)),
    Probe("terminal", "types into the user's terminal", ("landlock", *ROOT), typed),
    Probe("terminal", "asks a device to type", ("seccomp",), lambda p: asked_device(0x5412)),
    Probe("terminal", "asks a console to paste", ("seccomp",), lambda p: asked_device(0x541C)),
    Probe("terminal", "takes a terminal over", ("seccomp",), lambda p: asked_device(0x540E)),
    Probe("terminal", "hangs the terminal up", ROOT, lambda p: call("vhangup")),
    Probe("sharing", "keeps memory", ("seccomp",), lambda p: kept_shared("shm"), either=True),
    Probe("sharing", "keeps a queue", ("seccomp",), lambda p: kept_shared("msg"), either=True),
    Probe("sharing", "keeps a semaphore", ("seccomp",), lambda p: kept_shared("sem"), either=True),
    Probe("sharing", "opens a message queue", ("seccomp",),
          lambda p: known("mq_open", b"/nowhere", 0, 0, None), either=True),
    Probe("sharing", "makes a file of memory", ("seccomp",),
          lambda p: os.close(call("memfd_create", b"x", 0))),
    Probe("sharing", "reads the kernel's keys", ("seccomp",),
          lambda p: call("keyctl", 0, -3, 0), either=True),
    Probe("sharing", "moves pages between files", ("seccomp",),
          lambda p: known("splice", -1, None, -1, None, 0, 0)),
    Probe("powers", "has a token of the user's environment", ("always",),
          lambda p: must(p.token in os.environ.values())),
    Probe("powers", "raises a limit", ("privileges",), raised_limit),
    Probe("powers", "outlives its parent", ("seccomp",), lived_on),
    Probe("powers", "becomes another user", ("seccomp",), lambda p: os.setuid(os.getuid())),
    Probe("powers", "adds a filter", ("seccomp",),
          lambda p: known("seccomp", 99, 0, None), either=True),
    Probe("powers", "changes its personality", ("seccomp",),
          lambda p: call("personality", 0xFFFFFFFF)),
    Probe("powers", "makes a user namespace", ("seccomp",),
          lambda p: call("unshare", 0x10000000), either=True),
    Probe("powers", "makes a mount namespace", ("seccomp",),
          lambda p: call("unshare", 0x00020000), either=True),
    Probe("powers", "joins a network namespace", ROOT, joined_network, either=True),
    Probe("powers", "changes its root folder", ROOT, lambda p: os.chroot("/"), either=True),
    Probe("powers", "mounts", ROOT,
          lambda p: call("mount", b"none", bytes(p.outside), b"tmpfs", 0, None), either=True),
    Probe("powers", "loads a module", ROOT, lambda p: known("init_module", None, 0, None)),
    Probe("powers", "accounts processes", ROOT, lambda p: known("acct", b"/nowhere")),
    Probe("powers", "sets quotas", ("seccomp",), lambda p: known("quotactl", 0, None, 0, None),
          either=True),
    Probe("powers", "reads the kernel's messages", ("seccomp",),
          lambda p: known("syslog", 3, None, 0), either=True),
    Probe("powers", "loads a program into the kernel", ("seccomp",),
          lambda p: known("bpf", 99, None, 0), either=True),
    Probe("powers", "counts events of the machine", ("seccomp",),
          lambda p: known("perf_event_open", None, 0, -1, -1, 0), either=True),
    Probe("powers", "handles page faults", ("seccomp",),
          lambda p: call("userfaultfd", 1), either=True),
)  # fmt: skip


def try_all(payload: dict[str, object], progress: Callable[[int], None]) -> dict[str, object]:
    """The task: for each probe "reached", or the name of the error that refused it."""
    place = Place(**{**payload, "outside": Path(str(payload["outside"]))})  # type: ignore[arg-type]
    return {probe.name: outcome(probe, place) for probe in PROBES}


def outcome(probe: Probe, place: Place) -> str:
    """What became of one probe."""
    try:
        probe.reach(place)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "reached"

"""A seccomp filter that refuses system calls for sockets, programs and other processes.

The filter needs no privileges and costs a fraction of a microsecond a call. Nothing that runs in
the process later can remove it. It exists for Linux on x86-64 and on 64-bit ARM.
"""

import ctypes
import errno
import os
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16  # in struct seccomp_data
_CLONE_THREAD = 0x10000
_X32 = 0x40000000  # x86-64 has its calls a second time above this number

# Number of each call on (x86-64, 64-bit ARM); -1 where it has none.
_REFUSED = {
    "socket": (41, 198),  # also those of files: a container's control socket is one
    "io_uring_setup": (425, 425),  # makes sockets by another way
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, -1),
    "vfork": (58, -1),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "unshare": (272, 97),
    "setns": (308, 268),
    # What only root may do, and what ordinary programs never do: a smaller kernel to attack.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}
# Signals and limits: those of this process alone, which is the first argument.
_ONLY_SELF = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
_LIMITS = (302, 261)  # prlimit64, where 0 is this process too
_CLONE, _CLONE3 = (56, 220), (435, 435)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def refuse_calls() -> str:
    """Installs the filter on this process for good; returns "", or the reason if it fails.

    Call it while the process has one thread; threads that start later inherit the filter. Refused
    calls fail with EPERM, which Python raises as PermissionError.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        return f"no filter for {sys.platform} on {machine}"
    code = filter_code(machine, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    calls = (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0),
    )
    for call in calls:
        if library.prctl(*call) != 0:
            return os.strerror(ctypes.get_errno())
    return ""


def filter_code(machine: str, pid: int) -> bytes:
    """The filter program for the process `pid`, 8 bytes an instruction, as the kernel reads it."""
    column, architecture = _ARCHITECTURES[machine]
    refused = _ERRNO | errno.EPERM
    code = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if machine == "x86_64":
        code += [(_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, refused)]
    for numbers in _REFUSED.values():
        if numbers[column] >= 0:
            code += [(_IF_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, refused)]
    # A filter cannot read the flags of clone3, which a pointer hides; libraries then use clone.
    code += [(_IF_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += _if_call(_CLONE[column], [(_IF_SET, 0, 1, _CLONE_THREAD)], refused)
    code += _if_call(_LIMITS[column], [(_IF_EQUAL, 1, 0, 0), (_IF_EQUAL, 0, 1, pid)], refused)
    for numbers in _ONLY_SELF.values():
        code += _if_call(numbers[column], [(_IF_EQUAL, 0, 1, pid)], refused)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _if_call(
    number: int, tests: list[tuple[int, int, int, int]], refused: int
) -> list[tuple[int, int, int, int]]:
    """Instructions that allow a call if the low 32 bits of its first argument pass the tests.

    A test that fails jumps over the instruction that allows the call.
    """
    return [
        (_IF_EQUAL, 0, 3 + len(tests), number),
        (_LOAD, 0, 0, _AT_FIRST_ARGUMENT),
        *tests,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refused),
    ]

"""The process comes in; a filter then refuses every system call that system_calls.py does not list.

The filter needs no privileges and costs a fraction of a microsecond a call. Nothing that runs in
the process later can remove it. It exists for Linux on x86-64 and on 64-bit ARM.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import TypeAlias

from lagotto.jobs.sandbox.system_calls import (
    ALLOWED,
    GPU_CALLS,
    LAST_LISTED,
    LIMITED,
    NOT_THERE,
    OWN_PID,
    ArgumentTest,
    LimitedCall,
    call_numbers,
)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_REFUSED, _ABSENT = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AND, _SECOND_BYTE = 0x54, 0xFF00
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16  # in struct seccomp_data
_ARGUMENT_BYTES = 8  # of which the first four are the low bits, on both architectures
_X32 = 0x40000000  # x86-64 has its calls a second time above this number
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

Instruction: TypeAlias = tuple[int, int, int, int]
"""Code, instructions to skip if true, to skip if false, and operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def refuse_calls(*, gpu: bool = False) -> str:
    """Installs the filter on this process for good; returns "", or the reason if it fails.

    Call it while the process has one thread; threads that start later inherit the filter. Refused
    calls fail with EPERM, which Python raises as PermissionError. Nothing is killed for a call.
    With `gpu`, the driver of NVIDIA GPUs may be called, too.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        return f"no filter for {sys.platform} on {machine}"
    code = filter_code(machine, os.getpid(), gpu=gpu)
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


def has_filters() -> bool:
    """Whether this system takes filters: it then looks for the one that is not given here."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def filter_code(machine: str, pid: int, *, gpu: bool = False) -> bytes:
    """The filter program for the process `pid`, 8 bytes an instruction, as the kernel reads it."""
    column, architecture = _ARCHITECTURES[machine]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSED),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if machine == "x86_64":
        code += [(_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSED)]
    numbers = {pair[column] for calls in ALLOWED for pair in call_numbers(calls.text).values()}
    for first, last in _ranges(numbers - {-1}):
        code += [
            (_IF_AT_LEAST, 0, 2, first),
            (_IF_AT_LEAST, 1, 0, last + 1),
            (_RETURN, 0, 0, _ALLOW),
        ]
    limited = [GPU_CALLS if gpu and call.text == GPU_CALLS.text else call for call in LIMITED]
    for call in limited:
        for pair in call_numbers(call.text).values():
            code += _limited(call, pair[column], pid)
    for pair in call_numbers(NOT_THERE.text).values():
        code += [(_IF_EQUAL, 0, 1, pair[column]), (_RETURN, 0, 0, _ABSENT)]
    code += [(_IF_AT_LEAST, 0, 1, LAST_LISTED + 1), (_RETURN, 0, 0, _ABSENT)]
    code.append((_RETURN, 0, 0, _REFUSED))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _ranges(numbers: set[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers, in order."""
    ordered = sorted(numbers)
    first = last = ordered[0]
    for number in ordered[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _limited(call: LimitedCall, number: int, pid: int) -> list[Instruction]:
    """Instructions that allow a call if its arguments pass the tests, and else refuse it."""
    body = [instruction for test in call.tests for instruction in _tested(test, pid)]
    body.append((_RETURN, 0, 0, _ALLOW))
    return [(_IF_EQUAL, 0, len(body), number), *body]


def _tested(test: ArgumentTest, pid: int) -> list[Instruction]:
    """Instructions that go on if an argument passes the test, and else refuse the call."""
    values = [pid if value == OWN_PID else value for value in test.values]
    count = len(values)
    checks: list[Instruction] = []
    kinds = len(test.types)
    for index, value in enumerate(values):
        left = count - index  # instructions from the one after this check to the end of the test
        if test.kind == "one of":
            checks.append((_IF_EQUAL, left + (kinds and kinds + 1), 0, value))
        elif test.kind == "no bits of":
            checks.append((_IF_ANY_BIT, left - 1, 0 if left > 1 else 1, value))
        else:
            checks.append((_IF_ANY_BIT, 0 if left > 1 else 1, left - 1, value))
    if kinds:
        checks.append((_AND, 0, 0, _SECOND_BYTE))
        checks += [(_IF_EQUAL, kinds - i, 0, kind << 8) for i, kind in enumerate(test.types)]
    load = (_LOAD, 0, 0, _AT_ARGUMENTS + _ARGUMENT_BYTES * test.position)
    return [load, *checks, (_RETURN, 0, 0, _REFUSED)]

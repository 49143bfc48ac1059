"""The filter read back by instructions: what it says to each call of each architecture."""

import errno
import os

import pytest

from filter_machine import run_filter
from lagotto.jobs.sandbox.seccomp import filter_code
from lagotto.jobs.sandbox.system_calls import (
    ALLOWED,
    LAST_LISTED,
    LIMITED,
    NOT_THERE,
    call_numbers,
)

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
PID = 4242
ALLOW, REFUSE, ABSENT = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
THREAD, NEW_USER = 0x3D0F00, 0x10000000


def answer(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter of a machine returns for a call."""
    here = ARCHITECTURES[machine][1] if architecture is None else architecture
    return run_filter(filter_code(machine, PID), here, number, *arguments)


def number_of(name: str, machine: str) -> int:
    for group in (*ALLOWED, *LIMITED, NOT_THERE):
        if name in (numbers := call_numbers(group.text)):
            return numbers[name][ARCHITECTURES[machine][0]]
    raise KeyError(name)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_is_listed_is_allowed_and_nothing_else(machine: str) -> None:
    column = ARCHITECTURES[machine][0]
    allowed = {n[column] for group in ALLOWED for n in call_numbers(group.text).values()}
    limited = {n[column] for group in LIMITED for n in call_numbers(group.text).values()}
    absent = {n[column] for n in call_numbers(NOT_THERE.text).values()}
    for number in range(LAST_LISTED + 50):
        if number in limited:
            continue
        expected = ALLOW if number in allowed else REFUSE
        if number in absent or number > LAST_LISTED:
            expected = ABSENT
        assert answer(machine, number) == expected, number


def test_each_call_is_listed_once() -> None:
    for column in (0, 1):
        numbers = [
            pair[column]
            for group in (*ALLOWED, *LIMITED, NOT_THERE)
            for pair in call_numbers(group.text).values()
            if pair[column] >= 0
        ]
        assert len(numbers) == len(set(numbers))
    for group in (*ALLOWED, *LIMITED):
        assert len(group.reason) > 15


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_newer_calls_have_one_number(machine: str) -> None:
    for group in (*ALLOWED, *LIMITED, NOT_THERE):
        for name, (x86, arm) in call_numbers(group.text).items():
            if max(x86, arm) >= 424:
                assert x86 == arm, name


LAWS = (
    ("clone", (THREAD,), True),
    ("clone", (17,), False),
    ("clone", (THREAD | NEW_USER,), False),
    ("kill", (PID, 9), True),
    ("kill", (PID + 1, 0), False),
    ("kill", (-1 & 0xFFFFFFFF, 9), False),
    ("tgkill", (PID, 7), True),
    ("prlimit64", (0, 1), True),
    ("prlimit64", (PID, 1), True),
    ("prlimit64", (1, 1), False),
    ("sched_setaffinity", (1,), False),
    ("setpriority", (0, 0), True),
    ("setpriority", (0, 1), False),
    ("setpriority", (1, 0), False),
    ("ioctl", (0, 0x5401), True),
    ("ioctl", (0, 0x5412), False),
    ("ioctl", (0, 0xFFFFFFFF00005412), False),  # the kernel reads the low half alone
    ("ioctl", (0, 0x541C), False),
    ("ioctl", (0, 0x540E), False),
    ("fcntl", (0, 3), True),
    ("fcntl", (0, 8), False),
    ("fcntl", (0, 10), False),
    ("fcntl", (0, 15), False),
    ("prctl", (15,), True),
    ("prctl", (1,), False),
    ("prctl", (4,), False),
    ("prctl", (22,), False),
)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(("name", "arguments", "allowed"), LAWS)
def test_arguments_are_looked_at(
    machine: str, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    expected = ALLOW if allowed else REFUSE
    assert answer(machine, number_of(name, machine), *arguments) == expected


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_another_architecture_are_refused(machine: str) -> None:
    assert answer(machine, 0, architecture=0x40000003) == REFUSE
    if machine == "x86_64":
        assert answer(machine, 0x40000000) == REFUSE


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the header is of x86-64")
def test_the_numbers_are_those_of_this_system() -> None:
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    if not os.path.exists(header):
        pytest.skip("the headers of the kernel are not installed")
    with open(header) as stream:
        rows = [line.split() for line in stream if line.startswith("#define __NR_")]
    here = {row[1].removeprefix("__NR_"): int(row[2]) for row in rows}
    for group in (*ALLOWED, *LIMITED, NOT_THERE):
        for name, (x86, _) in call_numbers(group.text).items():
            assert here.get(name, x86) == x86, name


def test_the_filter_is_short() -> None:
    """Kernels before 5.11 run it at each call."""
    assert max(len(filter_code(machine, PID)) // 8 for machine in ARCHITECTURES) < 350

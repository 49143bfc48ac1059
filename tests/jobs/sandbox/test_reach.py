"""What a worker reaches, probe by probe: as root and as a plain user, guarded and not."""

import os

import pytest

from lagotto.jobs.sandbox import guards
from lagotto.jobs.sandbox.guards import find_guards
from lagotto.jobs.sandbox.self_test import still_open
from sandbox_probes import PROBES
from sandbox_runs import active_guards, python_of, run_probes, verdict

SYSTEMS = ((), ("landlock",), ("seccomp",), ("landlock", "seccomp"))
USERS = ("root", "ordinary") if os.geteuid() == 0 else ("ordinary",)
KEPT = all(guard.means for guard in find_guards())


def test_the_probes_are_many_and_named_once() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES) >= 60
    assert sum(not probe.kept_by for probe in PROBES) >= 9


@pytest.mark.skipif(not KEPT, reason="this system lacks a guard of its own")
@pytest.mark.parametrize("without", SYSTEMS, ids=lambda lost: "no " + " or ".join(lost or "loss"))
@pytest.mark.parametrize("user", USERS)
def test_a_worker_reaches_what_it_must_and_no_more(user: str, without: tuple[str, ...]) -> None:
    python = python_of(user)
    if python is None:
        pytest.skip("no Python that an ordinary user may run has the packages")
    found = run_probes(python, user, without)
    assert [(v.probe.name, v.outcome) for v in found if not v.expected] == []
    if not without:
        assert {v.probe.name for v in found if v.reached} == {
            probe.name for probe in PROBES if not probe.kept_by
        }


def test_a_probe_that_gets_through_is_seen() -> None:
    (probe,) = [probe for probe in PROBES if probe.name == "types into the user's terminal"]
    active = active_guards((), 7)
    assert verdict(probe, "EPERM", active).expected
    assert not verdict(probe, "reached", active).expected


def test_the_self_test_tells_what_was_reached() -> None:
    def refused() -> None:
        raise PermissionError(1, "no")

    def strange() -> None:
        raise FileNotFoundError(2, "the kernel looked for it")

    tries = {"a": refused, "b": strange, "c": lambda: None}
    assert still_open(tries) == ["b", "c"]


def test_a_guard_under_which_something_was_reached_is_none() -> None:
    found = guards._guard("processes", "seccomp", "", ["the memory of other processes"])
    assert found.means == ""
    assert "still reached the memory of other processes" in found.reason
    assert guards._guard("files", "landlock", "", []).means == "landlock"
    assert guards._guard("files", "", "not there", ["changing a file"]).reason == "not there"

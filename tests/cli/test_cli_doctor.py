"""`lagotto doctor`, `lagotto` alone, and the page that a message names."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import lagotto, lagotto_process
from lagotto.core import errors
from lagotto.diagnosis import doctor
from lagotto.diagnosis.doctor import DoctorReport
from lagotto.diagnosis.packages import ExtraState, PackageState
from lagotto.diagnosis.trial import TrialResult
from lagotto.jobs.sandbox.guards import Guard

REPORT = DoctorReport(
    lagotto="0.1.0",
    location="~/env/lib/lagotto",
    python="CPython 3.12.1",
    system="Linux 6.1 x86_64",
    cores=1,
    packages=(PackageState("numpy", "2.1.0", "2.0", ""),),
    extras=(
        ExtraState("ann", (PackageState("usearch", None, "2.16", "ann"),), "pip install 'x[ann]'"),
        ExtraState("plots", (PackageState("matplotlib", "3.9", "3.9", "plots"),), ""),
    ),
    providers=("CPUExecutionProvider",),
    devices=("cpu",),
    device_note="no GPU",
    isolation=(Guard("network", "seccomp", ""), Guard("files", "", "no landlock")),
    caches=(),
    trials=(TrialResult("search", True, "it found " + "it " * 60, 1.25),),
    problems=(),
)


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> list[DoctorReport]:
    """What the doctor says: the last of the list."""
    given = [REPORT]
    monkeypatch.setattr(doctor, "doctor", lambda progress: given[-1])
    return given


def test_the_report_is_one_screen(report: list[DoctorReport]) -> None:
    answer = lagotto("doctor", "--quiet")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 100
    assert lines[:4] == [
        "lagotto     0.1.0 in ~/env/lib/lagotto",
        "system      CPython 3.12.1, Linux 6.1 x86_64, 1 core",
        "packages    numpy 2.1.0",
        "extras      matplotlib 3.9",
    ]
    assert "no extra    ann: pip install 'x[ann]'" in lines
    assert "sandbox     models run cut off from: network (seccomp)" in lines
    assert "            not from changing files outside the hub: no landlock" in lines
    assert lines[-1] == "Everything that is installed works."


def test_a_problem_is_exit_code_1(report: list[DoctorReport]) -> None:
    failed = TrialResult("search", False, "no\nworker", 0.0)
    report.append(replace(REPORT, trials=(failed,), problems=("search: no\nworker",)))
    answer = lagotto("doctor", "--quiet")
    assert answer.code == 1
    assert answer.out.splitlines()[-1] == r"problem: search: no\nworker"
    assert "search      FAILS (0.0 s)" in answer.out
    answer = lagotto("doctor", "--json", "--quiet")
    assert (answer.code, answer.json["ok"]) == (1, False)
    report.append(replace(REPORT, packages=None))
    assert "without being installed" in lagotto("doctor").out


def test_lagotto_alone_says_what_to_do_first() -> None:
    answer = lagotto()
    assert (answer.code, answer.out) == (2, "")
    for line in ("  lagotto demo\n", "  lagotto doctor\n", "lagotto --help"):
        assert line in answer.err
    assert lagotto_process().code == 2


def test_a_message_names_the_place_that_explains_it(tmp_path: Path) -> None:
    missing = lagotto("hub", "status", tmp_path / "none")
    missing.refused(1, "make one with")
    assert missing.err.endswith(" [docs/reference/errors.md#huberror]\n")
    wrong = lagotto("completion", "basch")
    wrong.refused(2, "give one of bash, fish, zsh", "Did you mean 'bash'?")
    assert wrong.err.endswith(" [docs/reference/errors.md#usageerror]\n")


def test_every_place_that_a_message_names_is_there() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md"
    places = {title.lower() for title in re.findall(r"^## (\w+)$", page.read_text(), re.M)}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.LagottoError):
            name, _, place = errors.help_page(kind("no")).partition("#")
            assert name == "docs/reference/errors.md"
            assert place in places

    class InnerError(errors.SourceError):
        """A kind that only one room knows."""

    assert errors.help_page(InnerError("no")).endswith("#sourceerror")

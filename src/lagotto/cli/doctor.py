"""`lagotto doctor`: what is installed, what is missing, and whether it works, on one screen."""

from collections.abc import Iterable
from textwrap import wrap
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import JSON, QUIET, bar
from lagotto.cli.output import print_json, print_line, printable

if TYPE_CHECKING:
    from lagotto.diagnosis.doctor import DoctorReport

_WIDTH = 100
_INDENT = 12
_TIE = "\N{NO-BREAK SPACE}"


def doctor_command(quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Tell what is installed and whether it works; paste the answer into a bug report.

    Packages and extras, the sandbox, caches, and a search on bundled models. The exit code is 1 if
    anything does not work. Nothing of yours is read, and your name is left out of the paths.

    Example: lagotto doctor
    """
    from lagotto.diagnosis.doctor import doctor

    report = doctor(progress=bar(quiet))
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def _print_report(report: "DoctorReport") -> None:
    _print_row("lagotto", f"{report.lagotto} in {report.location}")
    cores = f"{report.cores} core" + "s" * (report.cores != 1)
    _print_row("system", f"{report.python}, {report.system}, {cores}")
    if report.packages is None:
        _print_row("packages", "not known: lagotto runs from its source, without being installed")
    else:
        _print_items("packages", (package.words for package in report.packages))
    whole = [extra for extra in report.extras if not extra.pip]
    packages = dict.fromkeys(package.words for extra in whole for package in extra.packages)
    if whole:
        _print_items("extras", packages)
    for extra in report.extras:
        if extra.pip:
            _print_row("no extra", f"{extra.name}: {extra.pip}")
    _print_row("providers", ", ".join(report.providers) or "none")
    note = f"; {report.device_note}" if report.device_note else ""
    _print_row("devices", f"{', '.join(report.devices)}{note}")
    held = [f"{guard.what} ({guard.means})" for guard in report.isolation if guard.means]
    _print_row("sandbox", f"models run cut off from: {', '.join(held) or 'nothing'}")
    for guard in report.isolation:
        if not guard.means:
            _print_row("", f"not from {guard.words}: {guard.reason}")
    for cache in report.caches:
        _print_row("cache", f"{cache.what}: {cache.bytes / 1e6:,.1f} MB in {cache.path}")
    for trial in report.trials:
        state = "works" if trial.ok else "FAILS"
        _print_row(trial.what, f"{state} ({trial.elapsed_s:.1f} s): {trial.found}")
    print_line()
    if report.ok:
        print_line("Everything that is installed works.")
    for problem in report.problems:
        print_line(f"problem: {printable(problem)}")


def _print_row(title: str, text: str) -> None:
    """A row with its title in front; a long text goes on below itself."""
    _print_wrapped(title, printable(text))


def _print_items(title: str, items: Iterable[str]) -> None:
    """A row of items with commas; none of them is broken at the end of a line."""
    _print_wrapped(title, ", ".join(printable(item).replace(" ", _TIE) for item in items))


def _print_wrapped(title: str, text: str) -> None:
    lines = wrap(text, _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        print_line(f"{'' if number else title:<{_INDENT}}{line.replace(_TIE, ' ')}")

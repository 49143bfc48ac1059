"""`lagotto hub merge` comes in; one hub with the models of all, and what became of them, go out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import HUB_FOLDER, JSON, QUIET, bar, print_files, print_outcome
from lagotto.cli.hub.index_status import notify_index
from lagotto.cli.output import notice, print_json, print_line, printable

if TYPE_CHECKING:
    from lagotto.hub.ingest.merging.report import MergeReport


def hub_merge(
    hub: Path = HUB_FOLDER,
    parts: list[Path] = typer.Argument(
        metavar="OTHER...", help="Hubs of the same probes and encoder; they stay as they are."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Add the models of other hubs to a hub without probing them again.

    A HUB that is not there is made. Run it again after it was cut off, or when more parts are done.

    Example: lagotto hub merge my-hub part1 part2
    """
    from lagotto.hub.hub import Hub

    opened = Hub.open(hub) if hub.exists() else Hub.create_like(hub, parts[0])
    report = opened.merge(parts, progress=bar(quiet))
    if not quiet:
        notify_index(opened)
        for note in report.notes:
            notice(f"note: {printable(note)}")
    if as_json:
        print_json({"hub": str(hub), **report.as_json()})
    else:
        _print_report(report, quiet)
    if report.is_failure:
        raise typer.Exit(1)


def _print_report(report: "MergeReport", quiet: bool) -> None:
    print_outcome(report, report.added, report.extended)
    if report.unfinished:
        names = ", ".join(map(printable, report.unfinished[:3]))
        more = ", ..." if len(report.unfinished) > 3 else ""
        print_line(
            f"{len(report.unfinished)} models were never probed ({names}{more}): run the hub add "
            "of their part again, and merge it again"
        )
    if report.missing_shards:
        shown = ", ".join(report.missing_shards[:20])
        more = ", ..." if len(report.missing_shards) > 20 else ""
        print_line(f"missing shards: {shown}{more}; merge them too when they are done")
    print_files(report.files, report.not_read, quiet)

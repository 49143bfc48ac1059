"""`lagotto hub index` comes in; a low-rank index that searches may scan first goes out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import (
    HUB_FOLDER,
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import open_own_hub
from lagotto.cli.output import notice, print_json, print_line, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.hub.search.recall import IndexReport


def hub_index(
    hub: Path = HUB_FOLDER,
    rank: int | None = typer.Option(
        None, min=1, help="Numbers a logit. [default: 64, or what makes a tenth of the size]"
    ),
    remove: bool = typer.Option(False, "--remove", help="Take the index away instead."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Make a low-rank index for searches over all probes, and measure what it misses.

    Run it again after models were added or removed: until then searches do without it.

    Example: lagotto hub index my-hub
    """
    opened = open_own_hub(hub, quiet=quiet)
    if not remove:
        report = opened.build_index(rank, progress=bar(quiet))
        if as_json:
            print_json({"hub": str(hub), **report.as_json()})
        else:
            _print_report(hub, report, quiet)
        return
    if rank is not None:
        raise UsageError("--remove and --rank given; give one of them")
    removed = opened.remove_index()
    if as_json:
        print_json({"hub": str(hub), "removed": removed})
    else:
        print_line(f"{hub}: the index was removed" if removed else f"{hub}: there was no index")


def _print_report(hub: Path, report: "IndexReport", quiet: bool) -> None:
    index = report.index
    print_line(f"{hub}: {index.logits:,} logits in {index.rank} numbers each")
    size = f"{index.bytes / 1e6:.1f} MB, {index.ratio:.1f} times smaller"
    print_line(f"size      {size} than the descriptors")
    print_line(f"keeps     {index.captured:.1%} of the descriptors' variance")
    print_line(f"recall@10 {report.recall_at_10:.3f} of {report.queries} known logits")
    if index.ratio < 1 and not quiet:
        notice(f"note: this hub is small, the index takes more than {printable(str(hub))} needs")

"""`lagotto hub grow`: more probes for a hub; what became of it is printed."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import HUB_FOLDER, JSON, QUIET, RAY_ADDRESS, RUNNER, bar
from lagotto.cli.hub.create import ACCEPT, PROBES_HELP, tell_probes
from lagotto.cli.hub.index_status import notify_index
from lagotto.cli.hub.opening import DEVICE, checked_device, open_own_hub
from lagotto.cli.output import notice, print_json, print_line, printable

if TYPE_CHECKING:
    from lagotto.hub.ingest.grow import GrowReport


def hub_grow(
    hub: Path = HUB_FOLDER,
    probes: list[str] = typer.Option(..., help=PROBES_HELP),
    max_probes: int | None = typer.Option(
        None, min=1, help="Take a random sample of so many new pictures. [default: all]"
    ),
    seed: int = typer.Option(0, help="Seed of that sample."),
    accept: bool = ACCEPT,
    runner: str = RUNNER,
    ray_address: str | None = RAY_ADDRESS,
    device: str = DEVICE,
    workers: int | None = typer.Option(None, min=1, help="Worker processes. [default: cores]"),
    timeout: float = typer.Option(600.0, min=1.0, help="Seconds that one model may take."),
    memory_gb: float = typer.Option(4.0, min=0.1, help="Memory that one model may take, in GiB."),
    cache_gb: float = typer.Option(
        10.0, min=0.001, help="Disk that fetched models may take until they are probed, in GiB."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Add probes to a hub: its models see the new ones only; run it again to resume.

    The hub stays as it was until the end. A model whose file is gone keeps its older answers.

    Example: lagotto hub grow my-hub --probes more-photos/
    """
    from lagotto.jobs.worker_limits import Limits

    memory, cache = int(memory_gb * 2**30), int(cache_gb * 2**30)
    given = (runner, workers, timeout, memory, cache, ray_address)
    limits = Limits(*given, checked_device(device, quiet=quiet))
    opened = open_own_hub(hub, None, device, quiet=quiet)
    for source in probes if not quiet else ():
        tell_probes(source, max_probes)
    had_index = opened.status().low_rank is not None
    report = opened.grow(
        probes,
        max_probes=max_probes,
        seed=seed,
        accept=accept,
        limits=limits,
        progress=bar(quiet),
    )
    if as_json:
        print_json({"hub": str(hub), **report.as_json()})
    else:
        _print_report(hub, report, quiet)
    if had_index and not quiet:
        notice(f"note: the low-rank index was of the old probes; lagotto hub index {hub} makes one")
    if not quiet:
        notify_index(opened)


def _print_report(hub: Path, report: "GrowReport", quiet: bool) -> None:
    print_line(
        f"{hub}: {report.probes} probes, {report.probes - report.probes_before} of them new; "
        f"{len(report.extended)} models saw the new ones"
    )
    if report.resumed:
        print_line(f"{report.resumed} of them had seen them before the run that was cut off ended")
    for item in report.unseen:
        print_line(f"  not seen by {printable(item.model)}: {printable(item.reason)}")
    if quiet:
        return
    for note in report.notes:
        notice(f"note: {printable(note)}")
    if report.unseen:
        notice(
            f"note: {len(report.unseen)} models keep the answers that they have, on "
            f"{report.probes_before} probes or fewer; searches complete them where other models "
            "allow it. When a file is back where it was, this lets its model see the rest: "
            f"lagotto hub add {hub} FILE --probes-per-model {report.probes}"
        )
    if report.skipped:
        notice(f"{len(report.skipped)} pictures set aside:")
        for skipped in report.skipped[:10]:
            notice(f"  {printable(skipped.source)}: {printable(skipped.reason)}")
        if len(report.skipped) > 10:
            more = len(report.skipped) - 10
            notice(f"  and {more} more; all in {hub / 'probes' / 'set_aside.jsonl'}")
    notice(f"pictures and files: {printable(str(report.source_count))}")

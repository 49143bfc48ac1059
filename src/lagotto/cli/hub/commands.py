"""`lagotto hub create | add | remove | compact | verify` come in; tables or JSON go out."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.index_status import notify_index
from lagotto.cli.hub.inspection import print_inspections
from lagotto.cli.hub.opening import DEVICE, checked_device, open_hub, open_own_hub
from lagotto.cli.hub.unread import print_unread
from lagotto.cli.output import notice, print_json, print_line, printable
from lagotto.cli.terminal.progress import open_progress
from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress

if TYPE_CHECKING:
    from lagotto.hub.ingest.add import AddReport
    from lagotto.hub.ingest.merging.report import MergeReport
    from lagotto.hub.ingest.merging.shard import ModelShard
    from lagotto.models.metadata.file_count import FileCount
    from lagotto.models.metadata.unread.recognition import UnreadFile

hub_app = typer.Typer(
    help="Make a hub of classifiers and keep it.", no_args_is_help=True, rich_markup_mode=None
)

HUB_FOLDER = typer.Argument(metavar="HUB", help="The hub's folder.")
"""Of commands that write to a hub."""

ANY_HUB = typer.Argument(
    metavar="HUB",
    help="The hub's folder, or the address of a published one: hf:datasets/ORG/NAME[@REV], "
    "s3://BUCKET/PREFIX.",
)
"""Of commands that only read a hub."""

QUIET = typer.Option(False, "--quiet", help="No progress and no notices.")
RUNNER = typer.Option(
    "local", help="Where models run: local, or ray: on a Ray cluster, with the same result."
)
RAY_ADDRESS = typer.Option(
    None,
    metavar="HOST:PORT",
    help="A running Ray cluster, of which this machine is a node, for --runner ray; auto finds it. "
    "[default: one is started on this machine]",
)
JSON = typer.Option(False, "--json", help="Print one JSON object and nothing else on stdout.")


def bar(quiet: bool) -> Progress:
    """Progress on stderr, as a bar or as lines of a log, or nothing."""
    return open_progress(quiet)


def tell_reference(source: str) -> None:
    """Says what the fetch of a known reference takes, and whose licence is stated."""
    from lagotto.hub.ingest.known_references import KNOWN_REFERENCES, reference_spec

    spec = reference_spec(source)
    for known in KNOWN_REFERENCES.values():
        if known.spec == spec:
            notice(f"reference {known.spec}: {known.facts}")


@hub_app.command("add")
def hub_add(
    hub: Path = HUB_FOLDER,
    models: list[str] = typer.Argument(
        metavar="MODEL...",
        help="Model files, folders scanned for models, hf:ORG/NAME[@REV], timm:NAME, "
        "hf-search:task=...,author=...,limit=..., mlflow:NAME/VERSION, mlflow:NAME@ALIAS",
    ),
    probes_per_model: int | None = typer.Option(
        None,
        min=2,
        help="Let each model see this many probes of its own, and complete the rest from the other "
        "models; models that are there and saw fewer see more. [default: all]",
    ),
    choose: str = typer.Option(
        "spread", help="How a model's own probes are chosen: spread or random."
    ),
    reference: bool = typer.Option(
        False,
        "--reference",
        help="Believe their labels unless found wrong, and let them tell what outputs of other "
        "models recognise; they are no hits themselves.",
    ),
    runner: str = RUNNER,
    ray_address: str | None = RAY_ADDRESS,
    device: str = DEVICE,
    workers: int | None = typer.Option(None, min=1, help="Worker processes. [default: cores]"),
    timeout: float = typer.Option(600.0, min=1.0, help="Seconds that one model may take."),
    memory_gb: float = typer.Option(4.0, min=0.1, help="Memory that one model may take, in GiB."),
    cache_gb: float = typer.Option(
        10.0, min=0.001, help="Disk that fetched models may take until they are probed, in GiB."
    ),
    shard: str | None = typer.Option(
        None,
        metavar="I/N",
        help="Add only every N-th model of the list, from the I-th on, to a hub of its own at "
        "--out; of HUB only the probes are read. `hub merge` joins the shards.",
    ),
    out: Path | None = typer.Option(None, metavar="HUB", help="Where the hub of a --shard is."),
    inspect: bool = typer.Option(
        False,
        "--inspect",
        help="Only tell how each model would be fed and read, and why; add none.",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Probe models and add their descriptors; run it again to resume or to retry failures.

    Example: lagotto hub add my-hub models/ --workers 4
    """
    from lagotto.hub.probes.subset import parse_choosing
    from lagotto.jobs.worker_limits import Limits

    memory, cache = int(memory_gb * 2**30), int(cache_gb * 2**30)
    given = (runner, workers, timeout, memory, cache, ray_address)
    limits = Limits(*given, checked_device(device, quiet=quiet))
    if inspect:
        inspected = open_hub(hub, quiet=quiet).inspect(models, limits=limits, progress=bar(quiet))
        if as_json:
            print_json({"hub": str(hub), **inspected.as_json()})
        else:
            print_inspections(inspected.models)
            print_files(inspected.files, inspected.not_read, quiet)
        return
    part = _parse_shard(shard, out)
    opened = (open_own_hub if part is None else open_hub)(hub, quiet=quiet)
    for model in models if reference and not quiet else ():
        tell_reference(model)
    report = opened.add(
        models,
        probes_per_model=probes_per_model,
        choosing=parse_choosing(choose),
        reference=reference,
        shard=part,
        limits=limits,
        progress=bar(quiet),
    )
    if not quiet:
        notify_index(opened)
        for note in report.notes:
            notice(f"note: {printable(note)}")
    if as_json:
        fields = report.as_json() if part is None else {"shard": shard, **report.as_json()}
        print_json({"hub": str(hub if part is None else out), **fields})
    else:
        _print_report(report, quiet)
        named = opened.reader.references() if reference else ()
        if named:
            print_line(f"references: {printable(', '.join(named))}")
    if report.is_failure:
        raise typer.Exit(1)


def _parse_shard(shard: str | None, out: Path | None) -> "ModelShard | None":
    """The value of --shard and --out, which go together; raises UsageError for one alone."""
    from lagotto.hub.ingest.merging.shard import ModelShard

    if shard is not None and out is not None:
        return ModelShard.parse(shard, out)
    if shard is not None:
        raise UsageError("a --shard is added to a hub of its own; say where: --out PART")
    if out is not None:
        raise UsageError("--out is where a --shard goes; give both, or neither")
    return None


def print_outcome(report: "AddReport | MergeReport", added: int, extended: int) -> None:
    """What became of the models of an add or a merge: counts, then copies and failures by name."""
    print_line(
        f"{added} models added, {report.already} already there, "
        f"{len(report.copies)} copies, {len(report.failures)} failed"
    )
    if extended:
        print_line(f"{extended} models saw more probes")
    for name, original in report.copies:
        print_line(f"  copy: {printable(name)} is {printable(original)}")
    for failure in report.failures:
        print_line(f"  failed: {printable(failure.model)}: {printable(failure.reason)}")


def _print_report(report: "AddReport", quiet: bool) -> None:
    print_outcome(report, len(report.done), len(report.extended))
    print_files(report.files, report.not_read, quiet)


def print_files(files: "FileCount", not_read: "Sequence[UnreadFile]", quiet: bool) -> None:
    """Prints the count of all files, and those that are not read, with the way out."""
    if files.seen:
        print_line(printable(str(files)))
    print_unread(not_read)
    if not quiet:
        for hint in files.hints:
            notice(f"note: {printable(hint)}")


@hub_app.command("remove")
def hub_remove(
    hub: Path = HUB_FOLDER,
    model: str = typer.Argument(metavar="MODEL", help="Its name in the hub."),
) -> None:
    """Remove one model and all its logits.

    Example: lagotto hub remove my-hub exp_final_v3
    """
    opened = open_own_hub(hub)
    references = opened.reader.references()
    opened.remove(model)
    print_line(f"{printable(model)} removed from {hub}")
    if references == (model,):
        notice("note: it was the only reference; searches go by audited labels and behaviour again")
    notify_index(opened)


@hub_app.command("compact")
def hub_compact(hub: Path = HUB_FOLDER, quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Merge the segments of the descriptors, and free the room of removed models.

    Answers stay the same. hub add merges by itself where it pays.

    Example: lagotto hub compact my-hub
    """
    opened = open_own_hub(hub, quiet=quiet)
    counts = opened.compact(bar(quiet))
    if as_json:
        print_json({"hub": str(hub), **asdict(counts)})
        return
    freed = (counts.bytes_before - counts.bytes) / 1e6
    words = "segment" if counts.segments == 1 else "segments"
    before = f"{counts.segments_before} before, {freed:.1f} MB freed"
    print_line(f"{hub}: {counts.segments} {words} of {counts.bytes / 1e6:.1f} MB ({before})")
    if not quiet:
        notify_index(opened)


@hub_app.command("verify")
def hub_verify(hub: Path = ANY_HUB, as_json: bool = JSON) -> None:
    """Recompute every digest and name what is damaged; exit code 1 if anything is.

    What killed runs left half-written is removed.

    Example: lagotto hub verify my-hub
    """
    from lagotto.hub.reader.verify import remove_hub_leftovers, verify_hub

    folder = open_hub(hub).folder
    damages = verify_hub(folder)
    removed = [asdict(item) for item in remove_hub_leftovers(folder)]
    if as_json:
        damaged = [asdict(damage) for damage in damages]
        print_json({"hub": str(hub), "damaged": [*damaged], "leftovers_removed": [*removed]})
    elif not damages:
        print_line(f"{hub}: every file is as it was written")
    for damage in damages if not as_json else ():
        print_line(f"damaged: {printable(damage.what)}: {printable(damage.reason)}")
        print_line(f"  {damage.remedy}")
    for item in removed if not as_json else ():
        print_line(f"removed: {printable(str(item['path']))}, left by a run that was killed")
    if damages:
        raise typer.Exit(1)

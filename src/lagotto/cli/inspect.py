"""`lagotto inspect` comes in; what each model file is goes out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.unread import print_unread
from lagotto.cli.output import notice, print_json, print_line, printable
from lagotto.cli.terminal.progress import open_progress

if TYPE_CHECKING:
    from lagotto.hub.ingest.inspect import Inspection

_TRIED = "tried at hub add"


def inspect_command(
    models: list[Path] = typer.Argument(
        metavar="FILE...", help="Model files, and folders that are scanned for models."
    ),
    workers: int | None = typer.Option(None, min=1, help="Worker processes. [default: cores]"),
    timeout: float = typer.Option(600.0, min=1.0, help="Seconds that one model may take."),
    memory_gb: float = typer.Option(4.0, min=0.1, help="Memory that one model may take, in GiB."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress and no notices."),
    as_json: bool = typer.Option(
        False, "--json", help="Print one JSON object and nothing else on stdout."
    ),
) -> None:
    """Tell what model files are, how they would be fed, or why they are not read; needs no hub.

    Exit code 1 if no model can be run.

    Example: lagotto inspect models/
    """
    from lagotto.hub.ingest.inspect_files import inspect
    from lagotto.jobs.worker_limits import Limits

    limits = Limits("local", workers, timeout, int(memory_gb * 2**30))
    report = inspect(models, limits=limits, progress=open_progress(quiet))
    if as_json:
        print_json(report.as_json())
    else:
        for item in report.models:
            _print_model(item)
        print_unread(report.not_read)
        if report.files.seen:
            print_line(printable(str(report.files)))
        for hint in () if quiet else report.files.hints:
            notice(f"note: {printable(hint)}")
    if report.is_failure:
        raise typer.Exit(1)


def _print_model(item: "Inspection") -> None:
    """Prints one line for each fact of a model, with its origin; then notes, or the failure."""
    print_line(printable(item.model))
    rows = [("file", item.source, ""), ("format", f"{item.format}, {_size(item.bytes)}", "")]
    if item.failure:
        rows.append(("failed", item.failure, ""))
    else:
        rows += [
            ("architecture", item.architecture or "its own graph", ""),
            ("kind", item.kind, ""),
            ("outputs", f"{item.outputs} {item.output}, {item.logits_source}", ""),
        ]
        for fact in item.facts:
            if fact.fact not in ("name", "output", "format", "architecture", "kind"):
                rows.append((fact.fact, fact.value, _origin(fact.fact, fact.origin)))
    width = max(len(name) for name, _, _ in rows)
    for name, value, origin in rows:
        line = f"  {name:<{width}}  {value}" + (f"  ({origin})" if origin else "")
        print_line(printable(line))
    for note in item.notes:
        print_line(printable(f"  note: {note}"))
    print_line()


def _origin(fact: str, origin: str) -> str:
    """Where a fact is from; what is assumed here is tried on pictures once there is a hub."""
    if origin == "assumed" and fact in ("scale", "mean", "std", "channels", "resize"):
        return f"{origin}; {_TRIED}"
    return "" if origin == "-" else origin


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count:,} bytes"

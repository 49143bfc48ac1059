"""`lagotto hub status` comes in; a summary of a hub, or a row for each model, goes out."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import ANY_HUB, JSON
from lagotto.cli.hub.index_status import print_index
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.output import notice, print_json_stream, print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.hub.reader.model_status import ModelStatus
    from lagotto.hub.reader.status import HubStatus

_LISTED = 100
"""Models and failures up to which the summary lists them too."""


def hub_status(
    hub: Path = ANY_HUB,
    models: bool = typer.Option(False, "--models", help="List every model, also of a large hub."),
    failed: bool = typer.Option(False, "--failed", help="List only the models that failed."),
    name_part: str = typer.Option(
        "", "--filter", help="List only models with this in their names, in any case."
    ),
    plot: Path | None = typer.Option(
        None,
        metavar="FILE.png",
        help="Draw the models, their labels, and what the probes show (extra `plots`).",
    ),
    as_json: bool = JSON,
) -> None:
    """Show models, logits, probes, failures with their reasons, and disk used.

    A hub of up to 100 models is listed whole.

    Example: lagotto hub status my-hub
    """
    opened = open_hub(hub)
    if plot is not None:
        from lagotto.hub.reports.overview import draw_overview

        draw_overview(opened.reader, plot)
        notice(f"plot: {plot}")
    status = opened.status(with_models=False)
    failures = [f for f in status.failures if name_part.lower() in f.model.lower()]
    if as_json:
        fields = status.as_json()
        fields["failures"] = [asdict(failure) for failure in failures]
        listed = () if failed else opened.reader.model_statuses(name_part)
        print_json_stream(fields, "models", (model.as_json() for model in listed))
        return
    if not (failed or name_part):
        _print_summary(hub, status, opened.reader.model_statuses())
    if not failed and (models or name_part or status.done <= _LISTED):
        _print_models(status, partial(opened.reader.model_statuses, name_part))
    elif not failed:
        print_line(f"the models: lagotto hub status {hub} --models, or --filter NAME")
    shown = failures if failed or models or name_part else failures[:_LISTED]
    if shown:
        print_line()
        reasons = [[f.model, f.kind, f.reason] for f in shown]
        print_table(["failed model", "kind", "reason"], reasons)
    if len(shown) < len(failures):
        print_line(f"all {len(failures)} that failed: lagotto hub status {hub} --failed")


def _print_summary(hub: Path, status: "HubStatus", models: "Iterable[ModelStatus]") -> None:
    print_line(f"hub       {hub} (format version {status.format_version})")
    print_line(f"encoder   {printable(status.encoder)} ({status.encoder_fingerprint[:12]})")
    print_line(f"probes    {status.probes} ({status.probe_digest[:12]})")
    counts = f"{status.done} done, {len(status.failures)} failed, {status.pending} pending"
    print_line(f"models    {counts}, {len(status.copies)} known copies")
    print_line(f"logits    {status.logits} searchable, {status.flawed_logits} set aside")
    print_line(f"disk      {status.disk_bytes / 1e6:.1f} MB")
    segments = status.segments
    if segments.count:
        lost = f", {segments.lost_logits} logits of removed models" if segments.lost_logits else ""
        print_line(f"segments  {segments.count} of {segments.bytes / 1e6:.1f} MB{lost}")
    if status.references:
        print_line(f"reference {printable(', '.join(status.references))}")
    if status.completion_skill is not None:
        share = f"{status.completion_skill:.0%} of held-back answers are predicted"
        ways = Counter(model.searched for model in models)
        uses = ", ".join(f"{ways[use]} {use}" for use in ("all", "completed", "seen"))
        print_line(f"searched  {uses} (probes; {share})")
    if status.low_rank is not None:
        print_index(hub, status.low_rank)
    guards = ", ".join(f"{guard.what} ({guard.means})" for guard in status.isolation if guard.means)
    print_line(f"isolation models run cut off from: {guards or 'nothing'}")
    for guard in status.isolation:
        if not guard.means:
            print_line(
                f"  note: this system does not keep models from {guard.words} "
                f"({printable(guard.reason)}); see docs/explanation/security.md"
            )
    for note in status.notes:
        print_line(f"note      {printable(note)}")
    if status.leftovers:
        size = sum(item.bytes for item in status.leftovers) / 1e6
        print_line(
            f"leftovers {len(status.leftovers)} of runs that were killed, {size:.1f} MB; "
            f"removed by the next hub add, or by: lagotto hub verify {hub}"
        )


def _print_models(status: "HubStatus", read: "Callable[[], Iterable[ModelStatus]]") -> None:
    """A table of the models; with columns on the search where some saw a share of the probes.

    `read` begins to read them. There may be more than memory should hold, so it is called twice.
    """
    seen = Counter(model.probes_seen < status.probes for model in read())
    if not seen:
        return
    print_line()
    columns = ["model", "logits", "kind", "read", "notes"]
    if seen[True]:
        columns += ["probes", "searched", "why"]
    print_table(columns, (_row(m)[: len(columns)] for m in read()), frozenset({"logits", "probes"}))


def _row(model: "ModelStatus") -> list[str]:
    known = [model.name, str(model.outputs), _form(model), model.logits_source]
    searched = [str(model.probes_seen), model.searched, model.why]
    return [*known, "; ".join(model.notes), *searched]


def _form(model: "ModelStatus") -> str:
    """The framework; with the architecture, kind and device of a model where not usual."""
    kind = "" if model.kind == "classifier" else model.kind
    device = "" if model.device == "cpu" else f"on {model.device}"
    parts = (model.framework, model.architecture, kind, device)
    return " ".join(part for part in parts if part)

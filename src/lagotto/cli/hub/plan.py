"""`lagotto hub plan` comes in; hours, disk, memory and query time of a hub go out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import JSON, QUIET, bar
from lagotto.cli.output import print_json, print_line
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.diagnosis.planning.plan import HubPlan


def hub_plan(
    hub: Path | None = typer.Argument(
        None,
        metavar="[HUB]",
        help="A hub of such models: its records say how long they take.",
    ),
    models: str = typer.Option(..., metavar="N", help="How many models, as 100000 or 1e6."),
    outputs: int | None = typer.Option(None, min=1, help="A model. [default: as in HUB, or 1000]"),
    probes: int | None = typer.Option(None, min=1, help="[default: as in HUB, or 2000]"),
    probes_per_model: int | None = typer.Option(
        None, min=2, help="How many probes each model sees. [default: all]"
    ),
    nodes: int = typer.Option(1, min=1, help="Machines like this one, a shard on each."),
    giga_multiply_adds: float = typer.Option(
        4.1,
        min=0.0,
        help="Work of a model for a picture, in 10^9 multiply-adds, where no HUB tells: 0.3 of a "
        "MobileNetV2, 4.1 of a ResNet-50, 17.5 of a ViT-B/16.",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Tell what a hub would cost on machines like this one, which is measured for a few seconds.

    Example: lagotto hub plan --models 1e6 --outputs 57 --probes 2000
    """
    from lagotto.diagnosis.planning.plan import PlanRequest, plan_hub

    request = PlanRequest(
        _count(models), outputs, probes, probes_per_model, nodes, giga_multiply_adds
    )
    plan = plan_hub(request, hub, bar(quiet))
    if as_json:
        print_json({"hub": None if hub is None else str(hub), **plan.as_json()})
    else:
        _print_plan(plan)


def _count(text: str) -> int:
    """A count like 100000, 100_000 or 1e6; raises UsageError for anything else."""
    try:
        number = float(text)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text!r} is no number of models; give one like 100000 or 1e6")


def _print_plan(plan: "HubPlan") -> None:
    nodes = "this machine" if plan.nodes == 1 else f"{plan.nodes} machines like this"
    of = f"{plan.probes_per_model:,} of " if plan.probes_per_model < plan.probes else ""
    print_line(
        f"hub       {plan.models:,} models x {plan.outputs:,.0f} outputs, "
        f"{of}{plan.probes:,} probes: {plan.logits:,} logits"
    )
    source = "the runs of the hub" if plan.measured == "hub" else "this machine's speed"
    print_line(f"probing   {_duration(plan.probing_hours)} on {nodes} (by {source})")
    print_line(f"then      {_duration(plan.descriptor_hours)} for descriptors, on one machine")
    print_line(
        f"disk      {_size(plan.disk_bytes)}: responses {_size(plan.responses_bytes)}, descriptors "
        f"{_size(plan.descriptors_bytes)}, catalogue {_size(plan.catalogue_bytes)}, probes "
        f"{_size(plan.probes_bytes)}"
    )
    whose = "the hub's" if plan.encoder == "hub" else "a small"
    print_line(f"memory    {_size(plan.search_memory_bytes)} to search, with {whose} encoder")
    where = "which fit into memory here" if plan.fits_in_memory else "more than the memory here"
    print_line(
        f"a query   reads {_size(plan.query_bytes)} of the descriptors ({where}): "
        f"{plan.query_memory_s:,.3f} s from memory, {plan.query_disk_s:,.3f} s from this disk"
    )
    speed = plan.speed
    print_line(
        f"measured  {speed.cores} cores, {speed.multiply_adds_s / 1e9:,.0f} G multiply-adds/s, "
        f"{1e3 * speed.model_s:,.0f} ms a model, scan {_size(speed.scan_bytes_s)}/s "
        f"({speed.kernel}), disk {_size(speed.disk_bytes_s)}/s"
    )


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:,.1f} minutes"


def _size(count: float | int) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count / 1e6:,.1f} MB"

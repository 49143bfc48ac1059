"""`lagotto eval probing`: a hub comes in; search accuracy by probes per model goes out."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from lagotto.cli.hub.commands import (
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.output import notice, print_json, print_line, print_table
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lagotto.evaluation.probing.curve import ProbingCurve
    from lagotto.evaluation.probing.models import ProbingData


def probing(
    hub: Path | None = typer.Argument(None, metavar="[HUB]", help="A hub of fully probed models."),
    responses: Path | None = typer.Option(
        None, metavar="DIR", help="A folder of raw responses instead of a hub."
    ),
    encoder: str | None = typer.Option(
        None, help="Encoder folder; needed with --responses, and where a hub's has moved."
    ),
    truth: Path | None = typer.Option(
        None, metavar="FILE", help="Queries and answers for a hub. [default: its models' labels]"
    ),
    probes: str = typer.Option("60,120,200", help="Probes per model; a comma list."),
    seeds: int = typer.Option(3, min=1, help="Random draws of the probes that each model sees."),
    choose: str = typer.Option("spread", help="How a model's probes are chosen: spread, random."),
    plot: Path | None = typer.Option(
        None, metavar="FILE", help="Draw the curve as a PNG (extra `plots`)."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Measure search when each model saw a share of the probes: fixed subset, completed, guarded.

    Example: lagotto eval probing my-hub --probes 20,40 --seeds 2
    """
    from lagotto.evaluation.probing.curve import probing_curve
    from lagotto.hub.probes.subset import parse_choosing

    counts = _counts(probes)
    choosing = parse_choosing(choose)
    draw = None if plot is None else _drawing()
    data = _probed(hub, responses, encoder, truth)
    curve = probing_curve(data.models, data.queries, counts, seeds, choosing, bar(quiet))
    if draw is not None and plot is not None:
        draw(plot, curve)
        if not quiet:
            notice(f"plot: {plot}")
    if as_json:
        print_json(curve.as_json())
    else:
        _print_curve(curve)


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--probes is {text!r}; give numbers, for example 60,120,200")
    return [int(part) for part in parts]


def _drawing() -> "Callable[[Path, ProbingCurve], None]":
    """The function that draws the curve; loaded before anything is measured."""
    from lagotto.core.registry import Adapter, load_adapter

    adapter = Adapter(
        "lagotto.evaluation.probing.matplotlib_curve", "write_curve", "matplotlib", "plots"
    )
    draw = load_adapter({"png": adapter}, "png", "plot")
    return cast("Callable[[Path, ProbingCurve], None]", draw)


def _probed(
    hub: Path | None, responses: Path | None, encoder: str | None, truth: Path | None
) -> "ProbingData":
    from lagotto.encoders.registry import load_encoder
    from lagotto.evaluation.probing.models import from_folder, from_hub

    if (hub is None) == (responses is None):
        raise UsageError("give a HUB, or --responses DIR, and not both")
    if hub is not None:
        return from_hub(open_hub(hub, encoder), truth)
    if encoder is None or responses is None:
        raise UsageError("--responses needs --encoder: the folder of the encoder that asks")
    if truth is not None:
        raise UsageError("--truth goes with a HUB; of --responses the labels are the queries")
    return from_folder(responses, load_encoder(encoder))


def _print_curve(curve: "ProbingCurve") -> None:
    """Top-1 of each way as a table on stdout."""
    names = list(curve.rows[0].accuracies)
    columns = ["probes", *(name.replace("_", " ") for name in names), "completed models", "skill"]
    rows = [
        [
            str(row.probes),
            *(f"{row.accuracies[name].top1:.3f}" for name in names),
            f"{row.completed_models:.0%}",
            f"{row.skill:.2f}",
        ]
        for row in curve.rows
    ]
    print_table(columns, rows, frozenset(columns))
    all_probes = ", ".join(
        f"{name.replace('_', ' ')} {score.top1:.3f}" for name, score in curve.all_probes.items()
    )
    print_line(f"Top-1, {curve.queries} queries, {curve.seeds} draws; all probes: {all_probes}")

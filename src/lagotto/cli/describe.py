"""`lagotto describe`: a model comes in; proposed names for its outputs go out."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import (
    ANY_HUB,
    JSON,
    QUIET,
)
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.names import read_names
from lagotto.cli.output import notice, print_json, print_table

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub
    from lagotto.hub.labels.describe import ModelDescription


def describe(
    hub: Path = ANY_HUB,
    model: str = typer.Argument(help="A model of the hub, or a model file outside it."),
    vocabulary: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="Names, one a line, or another list. [default: 1,400 common words]",
    ),
    top: int = typer.Option(5, min=1, help="How many names an output."),
    out: Path | None = typer.Option(
        None, metavar="DIR", help="Write labels.proposed.txt and a model card with pictures here."
    ),
    encoder: str | None = typer.Option(
        None, help="Where the hub's encoder is now, if it was moved."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Propose names for each output of a model, from its behaviour.

    Believed labels of other models' outputs that behave alike come first, then common words.

    Example: lagotto describe my-hub unknown_origin
    """
    from lagotto.hub.labels.describe import describe_model
    from lagotto.hub.reports.answers import description_answer
    from lagotto.hub.reports.model_card import write_card

    words = None if vocabulary is None else read_names(vocabulary, "vocabulary", quiet, once=True)
    names = None if words is None else words.present
    opened = open_hub(hub, encoder, quiet=quiet)
    responses = opened.reader.responses_of(model)
    started = time.perf_counter()
    description = describe_model(opened.reader, responses, names, top=top)
    elapsed_s = time.perf_counter() - started
    written = () if out is None else write_card(opened.reader, responses, description, out)
    if as_json:
        source = "shipped" if vocabulary is None else str(vocabulary)
        print_json(description_answer(str(hub), description, opened.probes, source, elapsed_s))
    else:
        print_description(opened, description)
    if written and not quiet:
        notice(f"model card: {written[0]}; labels: {written[1]}")


def print_description(hub: "Hub", description: "ModelDescription") -> None:
    """The proposals as a table on stdout."""
    columns = ["logit", "name", "confidence", "next best", "label", "through", "deciding probe"]
    rows = []
    for logit in description.logits:
        best = logit.proposals[0] if logit.proposals else None
        way = best.through if best else None
        rows.append(
            [
                str(logit.logit),
                logit.name,
                f"{best.confidence:.2f}" if best else "-",
                ", ".join(proposal.name for proposal in logit.proposals[1:4]) or "-",
                logit.label or "-",
                f"{way.model}:{way.logit}" if way else "-",
                hub.probes[logit.probes[0]].source if logit.probes else "-",
            ]
        )
    print_table(columns, rows, frozenset(["logit", "confidence"]))

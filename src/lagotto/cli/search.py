"""`lagotto search`: which outputs of which models recognise a concept."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.cover import print_cover
from lagotto.cli.hub.commands import ANY_HUB, JSON, QUIET
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.names import read_names
from lagotto.cli.output import notice, print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.core.types import Hits
    from lagotto.hub.query.types import AnyQuery, QueryVector
    from lagotto.hub.reader.reader import HubReader


NO_PICTURES = (
    "the hub was published without the pictures of its probes, so they are named by their SHA-256"
)


def _query(text: str | None, logit: str | None, image: list[Path] | None) -> "AnyQuery":
    from lagotto.hub.query.types import (
        ImageQuery,
        LogitQuery,
        TextQuery,
    )

    given = [
        flag for flag, value in (("TEXT", text), ("--logit", logit), ("--image", image)) if value
    ]
    if not given or (logit and len(given) > 1):
        form = " and ".join(given) or "nothing"
        raise UsageError(
            f"{form} given; give TEXT, --image FILE or both of them, or --logit MODEL:INDEX alone"
        )
    if logit:
        return LogitQuery.parse(logit)
    pictures = tuple(image or ())
    return TextQuery(text, pictures=pictures) if text else ImageQuery(pictures)


def search_command(
    hub: Path = ANY_HUB,
    text: str | None = typer.Argument(
        None,
        metavar="[TEXT]",
        help="A concept in words; or several, joined by AND, OR, NOT and parentheses.",
    ),
    logit: str | None = typer.Option(
        None, metavar="MODEL:INDEX", help="A logit of the hub, or of a model file outside it."
    ),
    image: list[Path] | None = typer.Option(None, help="An example picture; may be repeated."),
    labels: str | None = typer.Option(
        None,
        metavar="A,B,C|FILE",
        help="Comma list or file: which single model covers these labels best?",
    ),
    top: int = typer.Option(10, min=1, help="How many hits."),
    k: int | None = typer.Option(
        None, min=1, help="Probes that decide. [default: 50; all for --logit]"
    ),
    by_model: bool = typer.Option(False, "--by-model", help="Only the best logit of each model."),
    rule: str = typer.Option(
        "default", help="default, paper (ProbeLog's distance), or full-query (its baseline)."
    ),
    behaviour_only: bool = typer.Option(
        False,
        "--behaviour-only",
        help="Do not read published labels, but for those of references; they are still shown.",
    ),
    references: bool | None = typer.Option(
        None,
        "--reference/--no-reference",
        help="Let the hub's reference models tell what outputs recognise, or not. "
        "[default: where it has any]",
    ),
    with_references: bool = typer.Option(
        False, "--with-references", help="Show outputs of reference models among the hits too."
    ),
    low_rank: bool | None = typer.Option(
        None,
        "--low-rank/--exact",
        help="Go through the index of `hub index` wherever it can serve, or never. "
        "[default: where it pays]",
    ),
    explain: Path | None = typer.Option(
        None, metavar="FILE.png", help="Show the probes that decided; write a contact sheet here."
    ),
    encoder: str | None = typer.Option(
        None, help="Where the hub's encoder is now, if it was moved."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Search all logits of all models by text, by a logit, or by example pictures.

    With --labels the answer is models, not logits: each label paired with an output of its own.

    Example: lagotto search my-hub "golden retriever" --top 5
    """
    opened = open_hub(hub, encoder, quiet=quiet)
    if labels is not None:
        if text or logit or image or explain:
            raise UsageError(
                "--labels is a question of its own; give it with --top and --no-reference alone"
            )
        names = read_names(labels, "labels", quiet, once=True).present
        print_cover(opened, names, top, references, as_json)
        return
    vector = opened.query_vector(_query(text, logit, image))
    found = opened.nearest(
        vector,
        top=top,
        k=k,
        by_model=by_model,
        rule=rule,
        behaviour_only=behaviour_only,
        low_rank=low_rank,
        references=references,
        with_references=with_references,
    )
    for note in () if quiet else found.notes:
        notice(f"note: {printable(note)}")
    if as_json:
        print_json(found.as_json())
    else:
        print_hits(found)
    if explain is not None:
        _explain(opened.reader, vector, found, explain, as_json)
        if not quiet:
            notice(f"contact sheet: {explain}")


def print_hits(found: "Hits") -> None:
    """The hits as a table on stdout."""
    columns, rows = found.table()
    print_table(columns, rows, frozenset(columns) - {"model", "label"})


def _explain(
    hub: "HubReader", vector: "QueryVector", found: "Hits", file: Path, as_json: bool
) -> None:
    from lagotto.hub.reports.explain import deciding_probes, write_contact_sheet

    if not as_json:
        names = [f"{hit.model}:{hit.logit}" for hit in found.hits[:3]]
        print_line()
        print_line("probes that decided (query's value, then each hit's, in standard deviations):")
        if not hub.has_pictures:
            print_line(NO_PICTURES)
        rows = [
            [
                probe.source if hub.has_pictures else probe.digest[:32],
                f"{probe.query:+.2f}",
                *(_value(value) for value in probe.hits),
            ]
            for probe in deciding_probes(hub, vector, found, probes=10, hits=3)
        ]
        print_table(["probe", "query", *names], rows, frozenset(["query", *names]))
        for hit in found.hits:
            if hit.through is not None:
                print_line(f"hit {hit.rank}: {printable(str(hit.through))}")
    write_contact_sheet(hub, vector, found, file)


def _value(value: float) -> str:
    """A standardised value; of a probe that a model did not see, nothing."""
    return "-" if math.isnan(value) else f"{value:+.2f}"

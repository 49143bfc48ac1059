"""Inspections of models come in; the table of `lagotto hub add --inspect` goes out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lagotto.cli.output import print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.hub.ingest.inspect import Inspection

_FACTS = ("output", "labels", "name", "format", "architecture", "kind", "dtype")


def print_inspections(inspections: Sequence["Inspection"]) -> None:
    """Prints one row for each part of a model's input, its labels and name; notes and failures."""
    rows = []
    for item in inspections:
        for number, part in enumerate(item.input):
            name = item.model if number == 0 else ""
            read = f"{item.outputs} {item.output}, {item.logits_source}" if number == 0 else ""
            margin = "" if part.margin is None else f"{part.margin:+.2f}"
            rows.append(
                [name, read, part.field, part.value, part.origin, margin, part.runner_up or ""]
            )
        for fact in item.facts:
            if fact.fact in _FACTS:
                rows.append(["", "", fact.fact, fact.value, fact.origin, "", ""])
    if rows:
        columns = ["model", "outputs", "input", "value", "from", "margin", "runner-up"]
        print_table(columns, rows, frozenset({"margin"}))
    for item in inspections:
        for note in item.notes:
            print_line(f"  note: {printable(item.model)}: {printable(note)}")
        if item.failure:
            print_line(f"  failed: {printable(item.model)}: {printable(item.failure)}")

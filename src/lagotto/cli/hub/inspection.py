"""The table of `lagotto hub add --inspect`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lagotto.cli.output import print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.hub.ingest.inspect import Inspection


def print_inspections(found: Sequence["Inspection"]) -> None:
    """A table with a row a part of a model's input; failures and notes below it."""
    rows = []
    for each in found:
        for number, part in enumerate(each.input):
            name = each.model if number == 0 else ""
            read = f"{each.outputs} {each.output}, {each.logits_source}" if number == 0 else ""
            margin = "" if part.margin is None else f"{part.margin:+.2f}"
            rows.append(
                [name, read, part.field, part.value, part.origin, margin, part.runner_up or ""]
            )
    if rows:
        columns = ["model", "outputs", "input", "value", "from", "margin", "runner-up"]
        print_table(columns, rows, frozenset({"margin"}))
    for each in found:
        for note in each.notes:
            print_line(f"  note: {printable(each.model)}: {printable(note)}")
        if each.failure:
            print_line(f"  failed: {printable(each.model)}: {printable(each.failure)}")

"""`lagotto duplicates`: a hub comes in; its near-identical and related models go out."""

from pathlib import Path

from lagotto.cli.hub.commands import (
    ANY_HUB,
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import open_hub
from lagotto.cli.output import print_json, print_line, print_table, printable

_CONCEPTS_SHOWN = 20


def duplicates_command(hub: Path = ANY_HUB, quiet: bool = QUIET, as_json: bool = JSON) -> None:
    """Show near-identical models, families of one label space, and outputs of one concept.

    Outputs of one concept are those that behave like an output whose label is believed.

    Example: lagotto duplicates my-hub
    """
    from lagotto.hub.labels.duplicates import find_duplicates
    from lagotto.hub.reports.answers import duplicates_answer

    result = find_duplicates(open_hub(hub, quiet=quiet).reader, bar(quiet))
    if as_json:
        print_json(duplicates_answer(str(hub), result))
        return
    for title, groups in (
        ("nearly the same", result.duplicate_groups),
        ("of one kind", result.related_groups),
    ):
        print_line(f"{title}: {'none' if not groups else ''}".rstrip())
        for group in groups:
            print_line("  " + ", ".join(printable(name) for name in group))
    if result.copies:
        print_line("the same file twice:")
        for name, original in result.copies:
            print_line(f"  {printable(name)} = {printable(original)}")
    if result.pairs:
        print_line()
        columns = ["model", "other", "correlation", "weakest", "same order"]
        rows = [
            [
                pair.first,
                pair.second,
                f"{pair.correlation:.3f}",
                f"{pair.weakest:.3f}",
                "yes" if pair.same_order else "no",
            ]
            for pair in result.pairs
        ]
        print_table(columns, rows, frozenset(["correlation", "weakest"]))
    if result.concepts:
        print_line()
        print_line(f"concepts that several models have: {len(result.concepts)}")
        for concept in result.concepts[:_CONCEPTS_SHOWN]:
            outputs = (f"{output.model}:{output.logit}" for output in concept.outputs)
            print_line(f"  {printable(concept.name)}: {printable(', '.join(outputs))}")
        if len(result.concepts) > _CONCEPTS_SHOWN:
            print_line(f"  and {len(result.concepts) - _CONCEPTS_SHOWN} more: --json has them all")

"""`lagotto search HUB --labels A,B,C`: which single model covers a set of labels."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lagotto.cli.output import print_json, print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub


def print_cover(
    hub: "Hub", labels: Sequence[str], top: int, references: bool | None, as_json: bool
) -> None:
    """Searches, and prints the models with their coverage, then the pairs of the best one."""
    from lagotto.hub.reports.answers import coverage_answer

    started = time.perf_counter()
    models = hub.cover(list(labels), top=top, references=references)
    elapsed_s = time.perf_counter() - started
    if as_json:
        print_json(coverage_answer(str(hub.folder), labels, models, elapsed_s))
        return
    columns = ["rank", "model", "coverage", "lead", "weakest", "spare outputs"]
    rows = [
        [
            str(model.rank),
            model.model,
            f"{model.label_coverage:.0%}",
            f"{model.mean_margin:+.2f}",
            model.weakest,
            str(model.spare),
        ]
        for model in models
    ]
    print_table(columns, rows, frozenset(["rank", "coverage", "lead", "spare outputs"]))
    if not models:
        return
    print_line()
    print_line(f"outputs of {printable(models[0].model)}:")
    pairs = [
        [
            pair.label,
            "-" if pair.logit is None else str(pair.logit),
            pair.published or "-",
            f"{pair.fit:.2f}",
        ]
        for pair in models[0].labels
    ]
    print_table(["label", "output", "its own label", "fit"], pairs, frozenset(["output", "fit"]))

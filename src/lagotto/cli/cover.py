"""`lagotto search HUB --labels A,B,C`: which single model covers a set of labels."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lagotto.cli.output import print_json, print_line, print_table, printable

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub


def print_cover(hub: "Hub", labels: Sequence[str], top: int, as_json: bool) -> None:
    """Searches, and prints the models with their coverage, then the pairs of the best one."""
    from lagotto.hub.labels.coverage import cover_labels

    started = time.perf_counter()
    found = cover_labels(hub, labels, top=top)
    elapsed_s = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "query": {"kind": "labels", "value": [each.strip() for each in labels]},
                "hub": str(hub.folder),
                "models": [each.as_json() for each in found],
                "elapsed_s": round(elapsed_s, 6),
            }
        )
        return
    columns = ["rank", "model", "coverage", "lead", "weakest", "spare outputs"]
    rows = [
        [
            str(each.rank),
            each.model,
            f"{each.label_coverage:.0%}",
            f"{each.mean_margin:+.2f}",
            each.weakest,
            str(each.spare),
        ]
        for each in found
    ]
    print_table(columns, rows, frozenset(["rank", "coverage", "lead", "spare outputs"]))
    print_line()
    print_line(f"outputs of {printable(found[0].model)}:")
    pairs = [
        [
            each.label,
            "-" if each.logit is None else str(each.logit),
            each.published or "-",
            f"{each.fit:.2f}",
        ]
        for each in found[0].labels
    ]
    print_table(["label", "output", "its own label", "fit"], pairs, frozenset(["output", "fit"]))

"""Tables of P(none of these)."""

from typing import Any

from tables.form import read_result, table

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")


def _figures(row: dict[str, Any]) -> list[str]:
    return [f"{row[name]:.3f}" for name in ("mean", *SETS)]


def none_auroc() -> str:
    """AUROC of pictures of left-out labels against the others, on the reported half."""
    rows = read_result("quality_none_of_these")["rows"]
    return table(
        ["AUROC", "mean of five", *SETS],
        [[name, *_figures(row["auroc"])] for name, row in rows.items()],
    )


def none_calibration() -> str:
    """Calibration error with half of the labels, and false none with all of them."""
    rows = read_result("quality_none_of_these")["rows"]
    cells = []
    for title, key in (
        ("calibration error", "calibration_error"),
        ("false none, full lists", "false_none_full_list"),
    ):
        cells += [
            [f"{title}: {name}", *_figures(row[key])] for name, row in rows.items() if key in row
        ]
    return table(["", "mean of five", *SETS], cells)


def none_suggestions() -> str:
    """The share of pictures of left-out labels whose label is among the five suggestions."""
    found = read_result("quality_none_of_these")["suggestions_among_five"]
    return table(
        ["right among five", "mean of five", *SETS],
        [[name, *_figures(row)] for name, row in found.items()],
    )


TABLES = (none_auroc, none_calibration, none_suggestions)

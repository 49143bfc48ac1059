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
    found = read_result("quality_none_of_these")
    rows, ceilings = found["rows"], found["ceilings"]
    cells = []
    for title, key in (
        ("calibration error", "calibration_error"),
        ("false none, full lists", "false_none_full_list"),
    ):
        cells += [
            [f"{title}: {name}", *_figures(row[key])] for name, row in rows.items() if key in row
        ]
    for title, key in (
        (
            "calibration error: one monotone curve, fitted on these labels",
            "one_curve_calibration_error",
        ),
        (
            "false none, full lists: a monotone curve a set, fitted on its labels",
            "a_curve_a_set_false_none",
        ),
    ):
        cells += [[f"{title}: {name}", *_figures(row[key])] for name, row in ceilings.items()]
    return table(["", "mean of five", *SETS], cells)


def none_shares() -> str:
    """Calibration error within a set, by the share of 40 pictures that have no label."""
    found = read_result("quality_none_of_these")
    rows = found["calibration_error_by_share_of_none"]
    shares = list(next(iter(rows.values())))
    cells = [[name, *(f"{row[share]:.3f}" for share in shares)] for name, row in rows.items()]
    pooled = [
        f"{name} {row['calibration_error_pooled']:.3f}"
        for name, row in found["rows"].items()
        if "calibration_error_pooled" in row
    ]
    shown = table(["share of pictures without a label", *shares], cells)
    return f"{shown}\n\nOver all five sets together, half without a label: {'; '.join(pooled)}."


def none_agreement() -> str:
    """Evidence of each picture alone and agreed among pictures that are alike, by batch size."""
    found = read_result("quality_none_agreement")
    cells = []
    for half, named in (("0", "even half"), ("1", "odd half")):
        for size in ("all", "128", "40"):
            for kind in ("alone", "agreed"):
                row = found[kind][half][size]
                areas = [f"{row['sets'][name]:.3f}" for name in SETS]
                rest = [f"{row[key]:.3f}" for key in ("within", "false_none")]
                cells.append([named, size, kind, f"{row['auroc']:.3f}", *areas, *rest])
    columns = ["half", "asked together", "evidence", "AUROC, mean of five", *SETS]
    return table([*columns, "calibration error", "false none, full lists"], cells)


def none_suggestions() -> str:
    """The share of pictures of left-out labels whose label is among the five suggestions."""
    found = read_result("quality_none_of_these")["suggestions_among_five"]
    return table(
        ["right among five", "mean of five", *SETS],
        [[name, *_figures(row)] for name, row in found.items()],
    )


def none_ways() -> str:
    """Other ways to calibrate: chosen on one half, reported on the other."""
    cells = []
    for name, row in read_result("quality_none_calibration")["ways"].items():
        for bar, title in (("within_the_bar", "at most 4 %"), ("without_the_bar", "any")):
            if bar not in row:
                cells.append([name, title, "-", "none reaches it", "", ""])
                continue
            found, chosen = row[bar]["reported_half"], row[bar]["chosen_half"]
            cells.append(
                [
                    name,
                    title,
                    f"{chosen['within']:.3f}",
                    f"{found['within']:.3f}",
                    f"{found['over']:.3f}",
                    f"{found['false_none']:.3f}",
                ]
            )
    columns = ["within a set, odd half", "over the sets", "false none, full lists"]
    return table(["way", "false none when chosen", "within a set, even half", *columns], cells)


def label_checks() -> str:
    """Labels that are said to be unknown, by what they are."""
    found = read_result("quality_label_checks")
    cells = [
        [kind, str(found["counts"][kind]["outside_the_vocabulary"])]
        + [f"{rule[kind]['reported_half']:.3f}" for rule in found["rules"].values()]
        for kind in found["counts"]
    ]
    return table(["said to be unknown", "words", *found["rules"]], cells)


TABLES = (
    none_auroc,
    none_calibration,
    none_shares,
    none_agreement,
    none_suggestions,
    none_ways,
    label_checks,
)

"""Table of detectors found by text: half of the bundled world's classifiers in their form."""

from tables.form import read_result, table


def detectors() -> str:
    """The mixed hub next to the hub of classifiers."""
    found = read_result("quality_detectors")
    rows = []
    for hub in ("classifiers alone", "with detectors"):
        made = found[hub]
        share = f"{made['of these right']:.3f} of {made['first hits on them']}"
        rows.append(
            [hub, str(made["models"]), str(made["detectors"]), f"{made['top1']:.3f}", share]
        )
    return table(["hub", "models", "detectors", "Top-1", "right where one of these is first"], rows)


TABLES = (detectors,)

"""Table of queries for whole label sets: the rank of a model that publishes all labels."""

from tables.form import read_result, table


def covering() -> str:
    """By probes and by the number of labels, next to the plain order."""
    found = read_result("quality_covering")
    keys = ("first", "first_three", "uncorrected_first", "uncorrected_first_three")
    rows = []
    for probes, sizes in found.items():
        if not isinstance(sizes, dict):
            continue
        for size, means in sizes.items():
            if size == "rows":
                continue
            cells = [f"{means[key][0]:.2f}" for key in keys]
            paired = f"{means['paired'][0]:.2f} ({means['paired_by_chance'][0]:.2f})"
            rows.append([probes, f"{size} ({means['sets']})", *cells, paired])
    columns = ["probes", "label sets of", "first", "among three", "plain: first", "among three"]
    return table([*columns, "own outputs paired (by chance)"], rows)


TABLES = (covering,)

"""Table of the first hour: what is typed, and what it takes, from nothing to the first hit."""

from tables.form import read_result, table


def first_hour() -> str:
    """Every command, and all of them."""
    found = read_result("speed_first_hour")
    steps = [*found["steps"], {**found, "command": ""}]
    rows = [
        [
            f"`{step['command']}`" if step["command"] else "all",
            f"{step['seconds']:.1f}",
            f"{step['processor_seconds']:.1f}",
            f"{step['bytes'] / 1e6:.1f}",
        ]
        for step in steps
    ]
    return table(["typed", "seconds", "processor seconds", "MB fetched"], rows)


TABLES = (first_hour,)

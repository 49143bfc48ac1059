"""Reading of result files and formatting of Markdown tables, for all groups of tables."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


def read_result(name: str) -> dict[str, Any]:
    """The JSON results of a benchmark, by name."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

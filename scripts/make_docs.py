"""Writes docs/cli.md from the commands' own help, and the tables of docs/results.md from JSON.

    python scripts/make_docs.py

A table stands between `<!-- table NAME -->` and `<!-- end -->`; NAME is a function in
benchmarks/tables/, and its figures come from benchmarks/results/; none is typed by hand.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from lagotto.cli.main import app
from tables import topics

ROOT = Path(__file__).resolve().parents[1]


def cli_reference() -> str:
    """Every command with its help, arguments and options."""
    parts = ["# Commands", "", "Made from the commands' own help by `make docs`.", ""]
    for path, command in _commands(typer.main.get_command(app), "lagotto"):
        parts += [f"## `{path}`", "", (command.help or "").strip(), ""]
        rows = []
        for parameter in command.params:
            shown = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
            name = shown or parameter.metavar or parameter.name.upper()
            text = getattr(parameter, "help", None) or ""
            rows.append(f"| `{name}` | {text} |")
        parts += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


TABLES: dict[str, Callable[[], str]] = {
    make.__name__: make for topic in topics() for make in topic.TABLES
}


def fill_tables(text: str) -> str:
    """The text with every marked table made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Writes both files."""
    (ROOT / "docs" / "cli.md").write_text(cli_reference())
    results = ROOT / "docs" / "results.md"
    results.write_text(fill_tables(results.read_text()))


if __name__ == "__main__":
    main()

"""Every command line that a page shows is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from lagotto.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks" / "notes").glob("*.md")),
]
_PLACEHOLDERS = ("...", "[", "HUB", "PATH", "|", "SPEC")
_COMMENT = re.compile(r"\s+#\s.*")


def command_lines(page: Path) -> list[str]:
    """The lines of fences that begin with the command; continued lines are joined."""
    fences = re.findall(r"^ *```\w*\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE)
    joined = "\n".join(fences).replace("\\\n", " ").splitlines()
    lines = [line.strip().removeprefix("$ ") for line in joined]
    return [
        _COMMENT.sub("", line)
        for line in lines
        if line.startswith("lagotto ") and not any(mark in line for mark in _PLACEHOLDERS)
    ]


def refusal(line: str) -> str:
    """Why the command line does not take a line; "" if it does. Nothing is run."""
    command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    context = command.make_context("lagotto", [], resilient_parsing=True)
    try:
        while hasattr(command, "commands"):
            if not words:
                return ""
            name = words.pop(0)
            if name.startswith("-"):
                return ""
            command = command.commands[name]
            context = command.make_context(name, [], parent=context, resilient_parsing=True)
        given, rest, _ = command.make_parser(context).parse_args(words)
    except KeyError as error:
        return f"there is no command {error}"
    except Exception as error:
        return str(error) or type(error).__name__
    missing = [
        parameter.name
        for parameter in command.params
        if parameter.required and not given.get(str(parameter.name))
    ]
    return f"unused words {rest}" if rest else f"missing: {missing}" if missing else ""


LINES = sorted({line for page in PAGES for line in command_lines(page)})


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_a_page_is_a_command(line: str) -> None:
    assert refusal(line) == ""


@pytest.mark.parametrize(
    "line",
    [
        "lagotto hub create hub photos/",
        "lagotto hub inspect model.pth",
        "lagotto search my-hub dog --tops 3",
        "lagotto hub add my-hub",
    ],
)
def test_a_line_that_is_none_is_told(line: str) -> None:
    assert refusal(line) != ""


def test_there_are_lines_of_many_pages() -> None:
    assert len(LINES) > 60

"""Release notes: a section of the changelog as a page of releases shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

from release_notes import CHANGELOG, release_notes

TEXT = """\
# Changelog

## Unreleased

- One thing, which
  takes two lines ([docs/a.md](docs/a.md)).
- Another, see [the page](docs/b.md#part) and [a paper](https://arxiv.org/abs/1).
  - A part of it,
    in two lines.

A paragraph
of two lines.

```
lagotto demo
  as it is
```
After it.

## 0.2.0 (2030-01-02)

- Older.

## 0.1.0

"""


def test_lines_of_an_item_are_joined_and_links_lead_somewhere() -> None:
    assert release_notes(TEXT) == (
        "- One thing, which takes two lines (`docs/a.md`).\n"
        "- Another, see the page (`docs/b.md#part`) and [a paper](https://arxiv.org/abs/1).\n"
        "  - A part of it, in two lines.\n"
        "\n"
        "A paragraph of two lines.\n"
        "\n"
        "```\nlagotto demo\n  as it is\n```\n"
        "After it.\n"
    )


def test_a_section_is_found_by_its_version() -> None:
    assert release_notes(TEXT, "0.2.0") == "- Older.\n"


@pytest.mark.parametrize(
    ("text", "version", "said"),
    [
        (TEXT, "0.3.0", "no section '0.3.0'; it has Unreleased, 0.2.0, 0.1.0"),
        (TEXT, "0.1.0", "section '0.1.0' is empty"),
        ("# Changelog\n", None, "has no section"),
    ],
)
def test_no_notes_are_an_error(text: str, version: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        release_notes(text, version)


def test_the_changelog_of_the_project_gives_notes() -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "release_notes.py"
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert answer.stdout == release_notes(CHANGELOG.read_text("utf-8"))
    items = answer.stdout.splitlines()
    assert items
    assert all(line.startswith(("- ", "  - ", "#")) or not line for line in items)
    wrong = subprocess.run([sys.executable, script, "9.9"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1

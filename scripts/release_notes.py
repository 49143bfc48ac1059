"""Prints a section of CHANGELOG.md as the notes of a release.

    python scripts/release_notes.py            # the top section
    python scripts/release_notes.py 0.1.0      # that of a version

The lines of an item are joined, since pages of releases break a line where the source does. Links
to pages of the source become their paths in code, since they would lead nowhere from there.
"""

import argparse
import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def release_notes(changelog: str, version: str | None = None) -> str:
    """The text of a section without its heading; of the top one if no version is given.

    Raises ValueError if there is no such section, or nothing is in it.
    """
    sections = re.findall(r"^## +(.+?)\s*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not sections:
        raise ValueError("the changelog has no section; a section begins with '## VERSION'")
    titles = [title.split()[0] for title, _ in sections]
    if version is not None and version not in titles:
        raise ValueError(f"the changelog has no section {version!r}; it has {', '.join(titles)}")
    text = sections[0 if version is None else titles.index(version)][1]
    if not text.strip():
        raise ValueError(f"section {version or titles[0]!r} is empty")
    return _without_relative_links(_joined(text)) + "\n"


def _joined(text: str) -> str:
    """Every paragraph and every item of a list in one line; fenced blocks as they are."""
    lines: list[str] = []
    fenced = False
    for line in text.strip().splitlines():
        is_fence = line.lstrip().startswith("```")
        begins = re.match(r"\s*([-*]|\d+\.) |#|\||\s*$", line) is not None
        goes_on = bool(lines) and lines[-1].strip() != "" and not lines[-1].startswith(("#", "|"))
        if fenced or is_fence or begins or not goes_on or lines[-1].lstrip().startswith("```"):
            lines.append(line.rstrip())
        else:
            lines[-1] += f" {line.strip()}"
        fenced ^= is_fence
    return "\n".join(lines)


def _without_relative_links(text: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        title, target = match[1], match[2]
        if re.match(r"https?://", target):
            return match[0]
        return f"`{target}`" if title == target else f"{title} (`{target}`)"

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", replaced, text)


def main() -> int:
    """Prints the notes; 1 and one line on stderr if there are none."""
    parser = argparse.ArgumentParser(description="Prints a section of CHANGELOG.md.")
    parser.add_argument("version", nargs="?", help="The version; the top section if none is given.")
    try:
        sys.stdout.write(release_notes(CHANGELOG.read_text("utf-8"), parser.parse_args().version))
    except ValueError as error:
        sys.stderr.write(f"release_notes: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

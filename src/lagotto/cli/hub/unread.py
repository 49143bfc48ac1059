"""Models that are not read come in; the lines that say so, with the way to read each, go out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lagotto.cli.output import print_line, printable

if TYPE_CHECKING:
    from lagotto.models.metadata.unread.recognition import UnreadFile


def print_unread(items: "Sequence[UnreadFile]") -> None:
    """Prints how many models are not read, and a line for each format; nothing for none."""
    if not items:
        return
    from lagotto.models.metadata.unread.report import unread_heading, unread_lines

    print_line(f"{unread_heading(items)}:")
    for line in unread_lines(items):
        print_line(f"  {printable(line)}")

"""An option that takes names comes in; the names go out, and notes on them to stderr."""

from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.cli.output import notice, printable

if TYPE_CHECKING:
    from lagotto.core.parsing.name_list import NameList


def read_names(given: str | Path, what: str, quiet: bool, *, once: bool = False) -> "NameList":
    """The names of an option: a comma list or a file, as `as_name_list` reads them.

    Args:
        given: The value of the option; a Path is always a file.
        what: What is named, for messages.
        quiet: Print no notes.
        once: Leave out gaps and repeated names, where no output belongs to a place in the list.
    """
    from lagotto.core.arguments.names import as_name_list, each_name_once

    names = as_name_list(given, what)
    names = each_name_once(names) if once else names
    for note in () if quiet else names.notes:
        notice(f"note: {what}: {printable(note)}")
    return names

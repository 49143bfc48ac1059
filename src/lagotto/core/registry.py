"""The name of an adapter comes in; the adapter goes out, imported on demand."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lagotto.core.errors import MissingExtraError, UsageError


@dataclass(frozen=True, slots=True)
class Adapter:
    """Where an adapter is, and the third-party package and the extra that it needs, if any.

    `also` are further packages that the same extra installs.
    """

    module: str
    attribute: str
    requires: str | None = None
    extra: str | None = None
    also: tuple[str, ...] = ()


def suggest(given: str, known: Sequence[str]) -> str:
    """A "did you mean" clause with a leading space, or an empty string.

    >>> suggest("begle", ["beagle", "wolf"])
    " Did you mean 'beagle'?"
    """
    close = get_close_matches(given, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def load_adapter(table: Mapping[str, Adapter], name: str, what: str) -> Any:
    """Imports an adapter and returns the object that its table entry names.

    An import error for any other reason than a missing package of the adapter is a bug, and passes
    through.

    Args:
        table: The adapters by name.
        name: The adapter to load.
        what: What the adapters are, for the messages ("runner", "framework").

    Raises:
        UsageError: The name is unknown; the message suggests one.
        MissingExtraError: The package of the adapter is not installed; the message holds the pip
            line.
    """
    if name not in table:
        known = sorted(table)
        raise UsageError(
            f"unknown {what} {name!r}; known: {', '.join(known)}.{suggest(name, known)}"
        )
    adapter = table[name]
    try:
        module = importlib.import_module(adapter.module)
    except ModuleNotFoundError as error:
        root = (error.name or "").partition(".")[0]
        if adapter.requires is None:
            raise
        if root not in (adapter.requires.partition(".")[0], *adapter.also):
            raise
        missing = root if root in adapter.also else adapter.requires
        raise MissingExtraError(
            f"{what} {name!r} needs the package {missing!r}, which is not installed; "
            f"run: pip install 'lagotto[{adapter.extra}]'"
        ) from error
    return getattr(module, adapter.attribute)

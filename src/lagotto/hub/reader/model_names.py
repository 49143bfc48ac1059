"""A hub's folder comes in; the names of its models and outputs go out at once, or none.

For completion in a shell: it opens the catalogue alone, waits for no one, and changes nothing.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from lagotto.hub.store.layout import HubLayout

_WAIT_S = 0.2
_MOST_NAMES = 5000


def list_models(hub: Path) -> list[tuple[str, str]]:
    """The names of the probed models with their framework and number of outputs, in words.

    Empty where the folder is no hub, or its catalogue cannot be read at once.
    """
    rows = _rows(
        hub,
        "SELECT name, framework, outputs FROM models WHERE status = 'done' ORDER BY position",
        [],
    )
    return [(str(name), f"{framework}, {outputs} outputs") for name, framework, outputs in rows]


def list_outputs(hub: Path, model: str) -> list[tuple[int, str]]:
    """The logits of one model with their labels, "" for one without; empty as `list_models`."""
    rows = _rows(
        hub,
        "SELECT logit, COALESCE(label, '') FROM logits JOIN models ON model = position "
        "WHERE name = ? ORDER BY logit",
        [model],
    )
    return [(int(logit), str(label)) for logit, label in rows]


def _rows(hub: Path, question: str, values: list[str]) -> list[tuple[Any, ...]]:
    uri = f"{HubLayout(hub).catalogue.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as connection:
            return connection.execute(f"{question} LIMIT {_MOST_NAMES}", values).fetchall()
    except (sqlite3.Error, OSError):
        return []

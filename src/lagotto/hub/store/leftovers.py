"""The folder of a hub comes in; what killed runs left in it and beside it goes out."""

import os
from pathlib import Path

from lagotto.core.lock import is_locked
from lagotto.core.temporary.leftovers import (
    TEMPORARY_SUFFIX,
    Leftover,
    abandoned_drafts,
    abandoned_files,
    measure_leftover,
)
from lagotto.core.temporary.owner import is_owned
from lagotto.hub.store.layout import HubLayout


def find_leftovers(layout: HubLayout) -> tuple[Leftover, ...]:
    """What killed runs left in a hub and beside it; nothing is written.

    While another process writes to the hub, only what is known to be nobody's counts.
    """
    drafts = abandoned_drafts(layout.folder)
    if is_locked(layout.folder) is False:
        found = [*drafts, *unfinished(layout), *_existing(layout.fetched)]
    else:
        found = [
            *drafts,
            *(path for folder in _folders(layout) for path in abandoned_files(folder)),
        ]
    return tuple(map(measure_leftover, found))


def unfinished(layout: HubLayout) -> list[Path]:
    """What no writer needs any more: the caller knows that no other process writes to the hub."""
    temporary = [
        folder / name
        for folder in _folders(layout)
        for name in _temporary_names(folder)
        if not is_owned(name)
    ]
    partial = sorted(layout.cache.glob("*.partial.npy"))
    return [*temporary, *partial, *_existing(layout.staging)]


def _temporary_names(folder: Path) -> list[str]:
    """The names of temporary files in a folder, which may have a file for each of many models."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name[0] == "." and name.endswith(TEMPORARY_SUFFIX))


def _folders(layout: HubLayout) -> tuple[Path, ...]:
    return (layout.folder, layout.probes, layout.cache, layout.blocks, layout.responses)


def _existing(folder: Path) -> list[Path]:
    return [folder] if folder.exists() else []

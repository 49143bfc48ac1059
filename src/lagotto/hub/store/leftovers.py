"""The folder of a hub comes in; what killed runs left in it and beside it goes out."""

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
        path
        for folder in _folders(layout)
        for path in sorted(folder.glob(f".*{TEMPORARY_SUFFIX}"))
        if not is_owned(path.name)
    ]
    partial = sorted(layout.cache.glob("*.partial.npy"))
    return [*temporary, *partial, *_existing(layout.staging)]


def _folders(layout: HubLayout) -> tuple[Path, ...]:
    return (layout.folder, layout.probes, layout.cache, layout.blocks, layout.responses)


def _existing(folder: Path) -> list[Path]:
    return [folder] if folder.exists() else []

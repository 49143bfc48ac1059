"""The folder of a hub comes in; the right to write to it goes out, to one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.lock import folder_lock
from lagotto.core.temporary.leftovers import abandoned_drafts, remove_leftovers
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.leftovers import unfinished
from lagotto.hub.store.origin import check_own


@contextmanager
def hub_lock(folder: Path) -> Iterator[None]:
    """Holds a hub for writing during a `with` block; readers do not need it.

    What killed runs left half-written in the hub, and as drafts beside it, is removed first.

    Raises:
        HubError: Another process holds the hub (raised at once), it cannot be written, or it was
            fetched and stays as it was published.
    """
    check_own(folder)
    with folder_lock(folder, "hub", HubError):
        remove_leftovers([*abandoned_drafts(folder), *unfinished(HubLayout(folder))])
        yield

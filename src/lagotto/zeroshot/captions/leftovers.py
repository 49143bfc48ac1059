"""The folder of a caption store comes in; what killed runs left in it goes out, and is removed."""

from pathlib import Path

from lagotto.core.errors import CaptionError, HubError
from lagotto.core.lock import folder_lock, is_locked
from lagotto.core.temporary.leftovers import (
    TEMPORARY_SUFFIX,
    Leftover,
    abandoned_files,
    measure_leftover,
    remove_leftovers,
)
from lagotto.core.temporary.owner import is_owned
from lagotto.zeroshot.captions import files as files


def find_store_leftovers(folder: Path, state: files.Committed) -> tuple[Leftover, ...]:
    """What killed runs left in a store: temporary files, and rows that no shard has.

    Args:
        folder: The store's folder.
        state: Its last whole shard.
    """
    if is_locked(folder) is not False:
        return tuple(map(measure_leftover, abandoned_files(folder)))
    rows = [
        Leftover(str(folder / name), files.data_size(folder, name) - state.lengths[name])
        for name in files.DATA_NAMES
        if files.data_size(folder, name) > state.lengths[name]
    ]
    explained = not files.unlogged_bytes(folder, state)
    return (*map(measure_leftover, _temporary(folder)), *(rows if explained else ()))


def remove_temporary(folder: Path) -> tuple[Leftover, ...]:
    """Removes the temporary files of killed runs from a store; the caller holds its lock."""
    return tuple(remove_leftovers(_temporary(folder)))


def remove_store_leftovers(folder: Path) -> tuple[Leftover, ...]:
    """Removes what killed runs left, unless another process writes to the store."""
    if not _temporary(folder):
        return ()
    try:
        with folder_lock(folder, "caption store", CaptionError):
            return remove_temporary(folder)
    except (CaptionError, HubError):
        return ()


def _temporary(folder: Path) -> list[Path]:
    """Temporary files in the store that no process of this machine is writing."""
    own = [path for path in folder.glob(f".*{TEMPORARY_SUFFIX}") if not is_owned(path.name)]
    return [*sorted(own), *abandoned_files(folder / files.INDEX_FOLDER)]

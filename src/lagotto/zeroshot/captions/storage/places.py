"""Where a store lies comes in; the storage there goes out, a server's imported on demand."""

from pathlib import Path

from lagotto.core.arguments.extras import load_extra
from lagotto.core.errors import UsageError
from lagotto.zeroshot.captions.place import ServerAddress, store_place
from lagotto.zeroshot.captions.storage.base import CaptionStorage
from lagotto.zeroshot.captions.storage.folder import FolderStorage


def storage_at(given: Path | str | ServerAddress) -> CaptionStorage:
    """The storage in a folder, or at the address of a server.

    Raises:
        UsageError: The address cannot be read.
        MissingExtraError: It is one, and the extra `postgres` is not installed.
    """
    place = store_place(given)
    if isinstance(place, Path):
        return FolderStorage(place)
    for module in ("psycopg", "pgvector"):
        load_extra(module, "postgres", "a caption store on a server")
    from lagotto.zeroshot.captions.server.storage import ServerStorage

    return ServerStorage(place)


def folder_of(storage: CaptionStorage) -> Path:
    """The folder of a store; UsageError if it lies on a server."""
    if isinstance(storage, FolderStorage):
        return storage.folder
    raise UsageError(f"{storage.name} lies on a server and has no folder; its name is .name")

"""What a remote repository holds at one commit, and whether a file has the bytes listed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.remote.spec import RepositorySpec

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository, with what its bytes must be: a sha256, or else a git blob id."""

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit, which `revision` named when it was asked for.

    `cached` is where a copy of it lies, if that is what is read.
    """

    name: str
    commit: str
    files: tuple[RemoteFile, ...]
    revision: str
    cached: Path | None = None

    @property
    def source(self) -> str:
        """How it is named in a catalogue: exactly this content, for ever."""
        return str(RepositorySpec(self.name, self.commit))

    def file(self, path: str) -> RemoteFile | None:
        """The file at a path, or None."""
        return next((file for file in self.files if file.path == path), None)


def damage_of(path: Path, file: RemoteFile) -> str:
    """What is wrong with the bytes of a file that was fetched, or an empty string."""
    wanted = file.sha256 or file.blob
    if not wanted:
        return ""
    size = path.stat().st_size
    if size != file.size:
        return f"has {size} bytes and the hub lists {file.size}"
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:
        digest.update(f"blob {size}\0".encode())
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != wanted:
        return f"has the digest {digest.hexdigest()[:12]} and the hub lists {wanted[:12]}"
    return ""

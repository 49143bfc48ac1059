"""A listing of a remote repository and a fetched file come in; what is wrong with it goes out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.remote.spec import MLFLOW, DatasetSpec, RepositorySpec

HUGGING_FACE_HUB, MLFLOW_REGISTRY = "Hugging Face Hub", "MLflow"
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository, with its size and its digest: a sha256, or else a git blob id."""

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """The content of a repository at one commit.

    `revision` is the name by which the commit was requested. `cached` is the folder of a local
    copy, if the files are read from there. In an MLflow registry a version is the repository, its
    address and time of creation are the commit, and `place` says where its files are. `licence` is
    what it states itself, "" if nothing.
    """

    name: str
    commit: str
    files: tuple[RemoteFile, ...]
    revision: str
    cached: Path | None = None
    registry: str = HUGGING_FACE_HUB
    place: str = ""
    licence: str = ""
    is_dataset: bool = False

    @property
    def source(self) -> str:
        """Its name in a catalogue, which stands for exactly this content."""
        if self.registry == MLFLOW_REGISTRY:
            return f"{MLFLOW}{self.name} ({self.commit})"
        if self.is_dataset:
            return str(DatasetSpec(self.name, self.commit))
        return str(RepositorySpec(self.name, self.commit))

    def file(self, path: str) -> RemoteFile | None:
        """The file at a path, or None."""
        return next((file for file in self.files if file.path == path), None)


def damage_of(path: Path, file: RemoteFile) -> str:
    """What is wrong with the bytes of a file that was fetched, or an empty string."""
    expected = file.sha256 or file.blob
    if not expected:
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
    if digest.hexdigest() != expected:
        return f"has the digest {digest.hexdigest()[:12]} and the hub lists {expected[:12]}"
    return ""

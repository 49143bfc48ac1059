"""Names of repositories that were fetched before come in; their files here go out."""

import os
import re
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from lagotto.core.errors import SourceError
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.spec import RepositorySpec

_COMMIT = re.compile(r"[0-9a-f]{40}")


def cache_folder() -> str | None:
    """The cache folder that the environment names now; None for the default of the client."""
    home = os.environ.get("HF_HOME")
    return os.environ.get("HF_HUB_CACHE") or (os.path.join(home, "hub") if home else None)


def download_cache() -> Path:
    """The folder in which the client of the hub keeps what it downloads; it may not exist."""
    return Path(cache_folder() or constants.HF_HUB_CACHE)


def cached_commits(name: str) -> list[str]:
    """The commits of a repository of which the local cache has files, the last fetched first."""
    home = Path(cache_folder() or constants.HF_HUB_CACHE)
    folder = home / f"models--{name.replace('/', '--')}" / "snapshots"
    found = [path for path in folder.glob("*") if path.is_dir()]
    return [path.name for path in sorted(found, key=lambda path: -path.stat().st_mtime)]


def cached_snapshot(spec: RepositorySpec) -> Repository:
    """What the local cache has of a repository, whichever files these are.

    Raises:
        SourceError: It has none of that revision.
    """
    home = download_cache() / f"models--{spec.name.replace('/', '--')}"
    revision = spec.revision or "main"
    commit = revision
    if (home / "refs" / revision).is_file():
        commit = (home / "refs" / revision).read_text(errors="replace").strip()
    folder = home / "snapshots" / commit
    if not _COMMIT.fullmatch(commit) or not any(path.is_file() for path in folder.rglob("*")):
        raise _not_cached(spec)
    return _listed(spec, folder)


def cached_repository(spec: RepositorySpec, file: str = "config.json") -> Repository:
    """A repository in the local cache; raises SourceError if the cache lacks `file` of it."""
    path = huggingface_hub.try_to_load_from_cache(
        spec.name, file, cache_dir=cache_folder(), revision=spec.revision
    )
    if not isinstance(path, str):
        raise _not_cached(spec)
    return _listed(spec, Path(path).parent)


def _not_cached(spec: RepositorySpec) -> SourceError:
    return SourceError(
        f"{spec} is not in the local cache, and HF_HUB_OFFLINE is set; unset it, or download "
        f"it first: hf download {spec.name}"
    )


def _listed(spec: RepositorySpec, folder: Path) -> Repository:
    files = tuple(
        RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    return Repository(spec.name, folder.name, files, spec.revision or "main", folder)

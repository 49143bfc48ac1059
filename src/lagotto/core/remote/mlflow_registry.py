"""Names in an MLflow model registry come in; listings and local files go out.

This is the only file that imports mlflow, of which the small `mlflow-skinny` is enough. It is asked
where a version keeps its files, and to copy them: no model is loaded by it, and no code of a folder
is run. MLFLOW_TRACKING_URI names the registry; a login is read by the client as it says.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a store in files is only read here
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from lagotto.core.errors import SourceError, reason
from lagotto.core.files import writing
from lagotto.core.remote.files import MLFLOW_REGISTRY, RemoteFile, Repository
from lagotto.core.remote.spec import MlflowSpec

_VARIABLE = "MLFLOW_TRACKING_URI"
_LOCAL = ("", "file")
_MOST_FILES = 1000
_MOST_FOLDERS = 200
_LOGIN = re.compile(r"//[^/\s@]{1,200}@")
_LONGEST = 200
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"


class MlflowRegistry:
    """The registry that MLFLOW_TRACKING_URI names."""

    def __init__(self) -> None:
        """Raises SourceError if no registry is named, or the client cannot use it."""
        self._uri = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get(_VARIABLE) or ""
        if not self._uri:
            raise SourceError(
                f"no MLflow registry is named; set {_VARIABLE}, for example to "
                "http://127.0.0.1:5000 or to file:///home/me/mlruns"
            )
        self._is_local = urlsplit(self._uri).scheme in _LOCAL
        try:
            self._client: Any = mlflow.MlflowClient(self._uri, self._uri)
        except Exception as error:  # a client loads a store by its scheme: it may raise anything
            raise SourceError(f"MLflow cannot use {self._shown()}: {_said(error)}") from error

    def repository(self, spec: MlflowSpec) -> Repository:
        """The files of a version, at the number that an alias stands for now.

        Raises:
            SourceError: It does not exist, or the registry or its files are out of reach.
        """
        try:
            version = (
                self._client.get_model_version(spec.name, spec.version)
                if spec.version
                else self._client.get_model_version_by_alias(spec.name, spec.alias)
            )
            place = self._client.get_model_version_download_uri(spec.name, version.version)
            files = self._files(spec, str(place))
        except SourceError:
            raise
        except Exception as error:  # the client passes on what its transports and plugins raise
            raise self._refusal(error, spec) from error
        pinned = MlflowSpec(spec.name, str(version.version))
        made = f"{self._shown()} {version.creation_timestamp}"
        return Repository(
            pinned.title, made, files, pinned.title, registry=MLFLOW_REGISTRY, place=str(place)
        )

    def fetch(self, repository: Repository, files: Sequence[RemoteFile], folder: Path) -> None:
        """Copies files of a version into a folder, under their own paths.

        Raises:
            SourceError: A file is missing, or has another size than was listed.
        """
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        store = get_artifact_repository(repository.place)
        for file in files:
            target = folder / file.path
            if target.is_file() and target.stat().st_size == file.size:
                continue
            try:
                store.download_artifacts(file.path, str(folder))
            except Exception as error:  # see `repository`
                raise SourceError(
                    f"{file.path} of {repository.source} cannot be fetched: {_said(error)}"
                ) from error
            if not target.is_file() or target.is_symlink():
                raise SourceError(f"{file.path} of {repository.source} is listed, but gone")
            if file.size and target.stat().st_size != file.size:
                raise SourceError(
                    f"{file.path} of {repository.source} has {target.stat().st_size} bytes and "
                    f"{file.size} are listed"
                )

    def _files(self, spec: MlflowSpec, place: str) -> tuple[RemoteFile, ...]:
        """All files of a version; of a registry elsewhere none that lies on this machine."""
        if not self._is_local and urlsplit(place).scheme in _LOCAL:
            raise SourceError(
                f"{spec} keeps its files at a path of its server; if that folder is on this "
                "machine, add the folder itself"
            )
        store = get_artifact_repository(place)
        found: list[RemoteFile] = []
        folders: list[str | None] = [None]
        for folder in folders:
            for entry in store.list_artifacts(folder):
                path = str(entry.path)
                if ".." in PurePosixPath(path).parts or path.startswith("/"):
                    raise SourceError(f"{spec} names a file outside itself: {path[:80]!r}")
                if not entry.is_dir:
                    found.append(RemoteFile(path, int(entry.file_size or 0)))
                elif path not in folders:
                    folders.append(path)
            if len(found) > _MOST_FILES or len(folders) > _MOST_FOLDERS:
                raise SourceError(f"{spec} has more than {_MOST_FILES} files; it is no model")
        return tuple(sorted(found, key=lambda file: file.path))

    def _refusal(self, error: Exception, spec: MlflowSpec) -> SourceError:
        if isinstance(error, MlflowException) and error.error_code == _NOT_FOUND:
            return SourceError(
                f"{spec} is not in the registry {self._shown()}; check the name, the version and "
                f"{_VARIABLE}"
            )
        return SourceError(f"{spec} cannot be read: {_said(error)}")

    def _shown(self) -> str:
        """The address of the registry, without a password."""
        parts = urlsplit(self._uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _said(error: Exception) -> str:
    """What an error says, in one line, without the login in an address."""
    return _LOGIN.sub("//", reason(error))[:_LONGEST]

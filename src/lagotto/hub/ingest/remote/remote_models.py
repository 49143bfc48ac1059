"""Specs of remote models come in; their listings, and the fetched models, go out.

A spec of the Hugging Face Hub and one of an MLflow registry are answered by a client of their own.
"""

from pathlib import Path
from typing import Any

from lagotto.core.errors import SourceError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.remote.files import MLFLOW_REGISTRY, Repository
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.remote.spec import MlflowSpec, RepositorySpec, SearchSpec
from lagotto.core.types import ModelSource
from lagotto.models.metadata.registries.fetched import choose_registered, registered_source
from lagotto.models.metadata.repository import ChosenFile, choose_files, fetch_model

CLIENTS = {
    "mlflow": Adapter("lagotto.core.remote.mlflow_registry", "MlflowRegistry", "mlflow", "mlflow")
}
"""Clients of registries by the prefix of their specs; each is an extra."""


class RemoteModels:
    """The clients of all remote sources; that of a registry is made when it is first needed."""

    def __init__(self) -> None:
        self._hub = HuggingFace()
        self._mlflow: Any = None

    def close(self) -> None:
        """Ends all waiting."""
        self._hub.close()

    def connect(self, spec: RepositorySpec | MlflowSpec | SearchSpec) -> None:
        """Makes the client of a spec, in the thread that reports what is missing.

        Raises:
            MissingExtraError: Its package is not installed.
            SourceError: It has no address.
        """
        if isinstance(spec, MlflowSpec) and self._mlflow is None:
            self._mlflow = load_adapter(CLIENTS, "mlflow", "registry")()

    def search(self, spec: SearchSpec) -> list[RepositorySpec]:
        """The repositories that match a search; see `HuggingFace.search`."""
        return self._hub.search(spec)

    def repository(self, spec: RepositorySpec | MlflowSpec) -> Repository:
        """The content of a repository, or of a version of a registered model."""
        if isinstance(spec, MlflowSpec):
            found: Repository = self._registry().repository(spec)
            return found
        return self._hub.repository(spec)

    def choose(self, repository: Repository) -> ChosenFile:
        """The files to fetch; raises SourceError if none of them is safe and loadable."""
        if repository.registry == MLFLOW_REGISTRY:
            return choose_registered(repository)
        return choose_files(repository)

    def fetch(self, repository: Repository, choice: ChosenFile, folder: Path) -> ModelSource:
        """Fetches the chosen files into a folder; raises SourceError if that fails."""
        if repository.registry == MLFLOW_REGISTRY:
            registry = self._registry()
            registry.fetch(repository, choice.settings, folder)
            registry.fetch(repository, choice.weights, folder)
            return registered_source(repository, folder)
        return fetch_model(self._hub, repository, choice, folder)

    def _registry(self) -> Any:
        if self._mlflow is None:
            raise SourceError("the MLflow registry was not connected")
        return self._mlflow

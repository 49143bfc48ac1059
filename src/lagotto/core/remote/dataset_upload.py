"""Files come in; a dataset on the Hugging Face Hub that holds them goes out, commit by commit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, errors

from lagotto.core.errors import SourceError
from lagotto.core.remote.hugging_face import HuggingFace, is_offline
from lagotto.core.remote.retry import OutOfReachError
from lagotto.core.remote.spec import DatasetSpec

_MAY_WRITE = "log in with a token that may write there (hf auth login, or HF_TOKEN)"


class DatasetUpload:
    """Writes to one dataset; calls that find the hub busy are repeated."""

    def __init__(self, spec: DatasetSpec, hub: HuggingFace | None = None) -> None:
        self._spec = spec
        self._hub = hub or HuggingFace()

    def create(self, *, private: bool) -> None:
        """Makes the dataset if there is none.

        Raises:
            SourceError: The hub refuses, is out of reach, or may not be asked.
        """
        if is_offline():
            raise SourceError(
                f"{self._spec} needs the hub, and HF_HUB_OFFLINE is set; unset it to push"
            )

        def ask() -> None:
            self._hub.api.create_repo(
                self._spec.name, repo_type="dataset", private=private, exist_ok=True
            )

        try:
            self._hub.dataset(self._spec)
        except OutOfReachError:
            raise
        except SourceError:  # it is not there, or empty
            self._answer(ask)

    def names(self) -> set[str]:
        """The names of the files that it has."""

        def ask() -> set[str]:
            info = self._hub.api.dataset_info(self._spec.name, files_metadata=False)
            return {str(file.rfilename) for file in info.siblings or ()}

        found: set[str] = self._answer(ask)
        return found

    def commit(self, files: Mapping[str, Path], remove: Sequence[str], message: str) -> str:
        """Adds files and removes others, all at once; the address of the commit.

        Raises:
            SourceError: The hub refuses, or is out of reach.
        """

        def ask() -> str:
            added = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
            gone = [CommitOperationDelete(name) for name in remove]
            made = self._hub.api.create_commit(
                self._spec.name, [*added, *gone], commit_message=message, repo_type="dataset"
            )
            return str(DatasetSpec(self._spec.name, made.oid))

        address: str = self._answer(ask)
        return address

    def _answer(self, ask: Any) -> Any:
        try:
            return self._hub.answer(ask, str(self._spec))
        except SourceError as error:
            cause = error.__cause__
            status = getattr(getattr(cause, "response", None), "status_code", None)
            if isinstance(cause, errors.HfHubHTTPError) and status in (401, 403, 404):
                raise SourceError(f"{self._spec} cannot be written to: {_MAY_WRITE}") from error
            raise

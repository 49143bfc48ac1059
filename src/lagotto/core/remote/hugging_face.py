"""Names on the Hugging Face Hub come in; listings and verified local files go out.

This, `download_cache` and `dataset_upload` are the only files that import huggingface_hub. Its
client reads HF_TOKEN and the token of a login; HF_ENDPOINT and HF_HUB_OFFLINE are read here. Every
error of the client becomes one line without addresses, so that the same fault always gives the same
reason.
"""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import huggingface_hub
from huggingface_hub import errors, utils

from lagotto.core.errors import HubError, LagottoError, SourceError, reason
from lagotto.core.files import writing
from lagotto.core.remote.download_cache import cache_folder, cached_snapshot
from lagotto.core.remote.files import (
    RemoteFile,
    Repository,
    damage_of,
)
from lagotto.core.remote.retry import Backoff, BusyError, OutOfReachError, StillBusyError
from lagotto.core.remote.spec import DatasetSpec, RepositorySpec, SearchSpec
from lagotto.core.text.clean import clean_text

_Answer = TypeVar("_Answer")


_ON = ("1", "on", "yes", "true")
_BUSY_STATUS = (408, 425, 429, 500, 502, 503, 504)
_TOO_MANY = 429
_TIMEOUT_S = 60.0
_LONGEST_LICENCE = 100
_DAMAGED_TRIES = 3
_SILENCES = 3
"""Failed calls after which a hub that has never answered is taken to be out of reach."""
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)

# The client's errors of transport have one base, whichever HTTP library its version is built on.
_TRANSPORT = tuple(
    base
    for base in errors.HfHubHTTPError.__mro__
    if base.__module__.partition(".")[0] in ("requests", "httpx", "httpx2")
)
_TROUBLE: tuple[type[Exception], ...] = (
    *_TRANSPORT,
    *(OSError, RuntimeError, ValueError, TypeError, KeyError),
    getattr(errors, "XetDownloadError", OSError),
)


class HuggingFace:
    """The hub that HF_ENDPOINT names, or the local cache alone where HF_HUB_OFFLINE is set.

    Several threads may use it at once. Calls that find the hub busy are repeated by `backoff`.
    """

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._endpoint = os.environ.get("HF_ENDPOINT") or None
        self._offline = is_offline()
        self._cache = cache_folder()
        self._api = huggingface_hub.HfApi(endpoint=self._endpoint, library_name="lagotto")
        self._has_answered = False
        self._silences = 0
        utils.disable_progress_bars()
        utils.logging.set_verbosity(utils.logging.CRITICAL)

    @property
    def api(self) -> huggingface_hub.HfApi:
        """The client, for calls by way of `answer`."""
        return self._api

    def close(self) -> None:
        """Ends all waiting."""
        self._backoff.stop()

    def search(self, spec: SearchSpec) -> list[RepositorySpec]:
        """The repositories that match a search, each at its current commit.

        Raises SourceError where the hub does not answer, or may not be asked.
        """
        if self._offline:
            raise SourceError(
                "a search needs the hub, and HF_HUB_OFFLINE is set; unset it, or give repositories "
                "of the local cache as hf:ORG/NAME"
            )

        def ask() -> list[RepositorySpec]:
            models = self._api.list_models(
                pipeline_tag=spec.task,
                author=spec.author,
                search=spec.search,
                filter=spec.library,
                sort="downloads",
                limit=spec.limit,
                full=True,
            )
            return [RepositorySpec(model.id, model.sha or None) for model in models]

        return self.answer(ask, "the search")

    def repository(self, spec: RepositorySpec) -> Repository:
        """The content of a repository at a revision.

        Raises:
            SourceError: It does not exist, is gated or private, or the hub is out of reach.
        """
        if self._offline:
            return cached_snapshot(spec)

        def ask() -> Repository:
            info = self._api.model_info(spec.name, revision=spec.revision, files_metadata=True)
            if not info.sha:
                raise SourceError(f"{spec.name} has no commit; it is empty")
            files = tuple(map(_remote_file, info.siblings or ()))
            return Repository(
                info.id, info.sha, files, spec.revision or "main", licence=_licence(info)
            )

        return self.answer(ask, str(spec))

    def dataset(self, spec: DatasetSpec, revision: str | None = None) -> Repository:
        """The content of a dataset at a revision; without one, at that of the spec.

        Raises:
            SourceError: It does not exist, is private, or the hub is out of reach.
        """
        if self._offline:
            raise SourceError(
                f"{spec} needs the hub, and HF_HUB_OFFLINE is set; unset it, or give pictures of "
                "this machine (--probes FOLDER), or the bundled ones (--probes bundled)"
            )
        asked = revision or spec.revision

        def ask() -> Repository:
            info = self._api.dataset_info(spec.name, revision=asked, files_metadata=True)
            if not info.sha:
                raise SourceError(f"{spec.name} has no commit; it is empty")
            files = tuple(map(_remote_file, info.siblings or ()))
            return Repository(
                *(info.id, info.sha, files, asked or "main"),
                licence=_licence(info),
                is_dataset=True,
            )

        return self.answer(ask, str(spec))

    def check_access(self, repository: Repository, file: RemoteFile) -> None:
        """Raises SourceError if a file may not be fetched; nothing of it is transferred.

        The hub describes a gated repository to everybody, and refuses its files.
        """

        def ask() -> None:
            address = huggingface_hub.hf_hub_url(
                *(repository.name, file.path),
                revision=repository.commit,
                endpoint=self._endpoint,
            )
            huggingface_hub.get_hf_file_metadata(address, library_name="lagotto")

        self.answer(ask, repository.source)

    def read_range(self, repository: Repository, file: RemoteFile, first: int, stop: int) -> bytes:
        """The bytes of a file from `first` up to `stop`; nothing else of it is transferred.

        Raises:
            SourceError: The file is gone or gated, or fewer bytes come at every attempt.
        """

        def ask() -> bytes:
            address = huggingface_hub.hf_hub_url(
                *(repository.name, file.path),
                repo_type="dataset" if repository.is_dataset else "model",
                revision=repository.commit,
                endpoint=self._endpoint,
            )
            headers = utils.build_hf_headers(library_name="lagotto")
            headers["Range"] = f"bytes={first}-{stop - 1}"
            response: Any = utils.get_session().get(address, headers=headers, timeout=_TIMEOUT_S)
            utils.hf_raise_for_status(response)
            data = bytes(response.content)
            if len(data) != stop - first:
                raise OSError("the answer is cut short")
            return data

        return self.answer(ask, f"{file.path} of {repository.name}")

    def fetch(self, repository: Repository, files: Sequence[RemoteFile], folder: Path) -> None:
        """Downloads files of a repository into a folder, under their own paths, and checks them.

        A file that is in the folder already, and whole, is not downloaded again.

        Raises:
            SourceError: A file is missing, or is damaged at every attempt.
            HubError: A file cannot be written.
        """
        for file in files:
            if ".." in PurePosixPath(file.path).parts or file.path.startswith("/"):
                raise SourceError(f"{repository.name} names a file outside itself: {file.path!r}")
            for attempt in range(1, _DAMAGED_TRIES + 1):
                path = self._fetch_one(repository, file, folder)
                problem = damage_of(path, file)
                if not problem:
                    break
                path.unlink(missing_ok=True)
                if attempt == _DAMAGED_TRIES:
                    raise SourceError(f"{file.path} of {repository.name} {problem}")

    def check_room(self, repository: Repository, files: Sequence[RemoteFile]) -> None:
        """Raises SourceError if files that the shared cache lacks do not fit on its disk."""
        cache = Path(self._cache or huggingface_hub.constants.HF_HUB_CACHE)
        pinned = RepositorySpec(repository.name, repository.commit)
        there: set[str] = set()
        with suppress(SourceError):
            there = {file.path for file in cached_snapshot(pinned).files}
        needed = sum(file.size for file in files if file.path not in there)
        place = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if repository.cached is None and needed > free:
            raise SourceError(
                f"{repository.name} takes {needed / 1e6:,.0f} MB in {cache}, where "
                f"{free / 1e6:,.0f} MB are free; free some, or set HF_HOME to another disk"
            )

    def keep(self, repository: Repository, files: Sequence[RemoteFile]) -> Path:
        """Downloads files into the shared cache, to be used again, and returns their folder.

        Raises:
            SourceError: A file is missing or damaged, or the repository changed meanwhile.
        """
        if repository.cached is not None:
            return repository.cached
        folder = Path()
        for file in files:
            # By the name of the revision, so that the cache learns which commit that is.
            ask = self._downloading(repository, file, repository.revision, {})
            path = Path(self.answer(ask, f"{file.path} of {repository.name}"))
            folder = path.parents[len(PurePosixPath(file.path).parts) - 1]
            if problem := damage_of(path, file):
                path.unlink(missing_ok=True)
                raise SourceError(f"{file.path} of {repository.name} {problem}")
        if files and folder.name != repository.commit:
            raise SourceError(f"{repository.name} changed while it was fetched; run it again")
        return folder

    def _fetch_one(self, repository: Repository, file: RemoteFile, folder: Path) -> Path:
        target = folder / file.path
        if repository.cached is not None:
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(repository.cached / file.path, target)
            return target
        ask = self._downloading(repository, file, repository.commit, {"local_dir": folder})
        return Path(self.answer(ask, f"{file.path} of {repository.name}"))

    def _downloading(
        self, repository: Repository, file: RemoteFile, revision: str, how: dict[str, Any]
    ) -> Callable[[], str]:
        def ask() -> str:
            path: str = huggingface_hub.hf_hub_download(
                repository.name,
                file.path,
                revision=revision,
                repo_type="dataset" if repository.is_dataset else "model",
                endpoint=self._endpoint,
                cache_dir=self._cache,
                library_name="lagotto",
                **how,
            )
            return path

        return ask

    def answer(self, ask: Callable[[], _Answer], what: str) -> _Answer:
        """The result of `ask`, repeated while the hub is busy; errors are translated."""

        def attempt() -> _Answer:
            try:
                answer = ask()
            except LagottoError:
                raise
            except _TROUBLE as error:
                translated = _translate(error, what)
                is_silence = isinstance(translated, BusyError) and not translated.from_service
                self._silences += is_silence
                self._has_answered |= not is_silence
                if not self._has_answered and self._silences >= _SILENCES:
                    raise OutOfReachError(
                        f"{what}: the hub does not answer; check the network and HF_ENDPOINT, or "
                        "set HF_HUB_OFFLINE=1 to read the local cache alone"
                    ) from error
                raise translated from error
            self._has_answered = True
            return answer

        try:
            return self._backoff.call(attempt)
        except BusyError as error:
            kind = StillBusyError if error.from_service else OutOfReachError
            raise kind(f"{what}: {error}; run the command again later") from error


def _translate(error: Exception, what: str) -> BusyError | LagottoError:
    """A BusyError if the call may succeed later, else an error that says what to do."""
    cause = _underlying(error)
    response: Any = getattr(cause, "response", None)
    status = None if response is None else int(response.status_code)
    if isinstance(cause, errors.GatedRepoError):
        return SourceError(
            f"{what} is gated: accept its terms on its page, then log in (hf auth login, or "
            "HF_TOKEN)"
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return SourceError(f"{what} has no such revision; check what follows the @")
    if _is_gone(cause):
        return SourceError(f"{what} is listed, but gone")
    if isinstance(cause, errors.RepositoryNotFoundError) or status in (401, 404):
        return SourceError(
            f"{what} is not on the hub, or private; check the name, or log in (HF_TOKEN)"
        )
    if status is not None and status not in _BUSY_STATUS:
        return SourceError(f"{what} is refused by the hub (HTTP {status})")
    if status is not None:
        wait_s = _parse_wait(response.headers.get("Retry-After"))
        busy = f"the hub is busy (HTTP {status})"
        for_all = status == _TOO_MANY or wait_s is not None
        return BusyError(busy, wait_s, for_all, from_service=True)
    if isinstance(cause, OSError) and cause.errno in _UNWRITABLE:
        return HubError(f"{what} cannot be written: {cause.strerror}; free space, or check rights")
    if isinstance(cause, ValueError):
        return SourceError(f"{what} cannot be asked for: {reason(cause)}")
    if isinstance(cause, TypeError | KeyError):
        return SourceError(f"{what} is described by the hub in a form that is not understood")
    return BusyError("the hub is out of reach, or the download broke off")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE is set: then the local cache alone is read."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in _ON


def _licence(info: Any) -> str:
    """The licence that a repository states: in its card, or by a tag; "" if it states none."""
    card: Any = getattr(info, "card_data", None) or {}
    stated = card.get("license")
    tags = [tag for tag in info.tags or () if str(tag).startswith("license:")]
    if isinstance(stated, list):
        stated = ", ".join(map(str, stated))
    found = stated or (tags[0].partition(":")[2] if tags else "")
    return clean_text(str(found))[:_LONGEST_LICENCE]


def _is_gone(cause: Any) -> bool:
    """Whether the hub answered that it has no such file; clients before 1.0 have no name for it."""
    remote = getattr(errors, "RemoteEntryNotFoundError", errors.EntryNotFoundError)
    return isinstance(cause, remote) and not isinstance(cause, errors.LocalEntryNotFoundError)


def _underlying(error: Exception) -> Any:
    """The answer of the hub in the chain of causes: the client wraps it where a cache might do."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, errors.HfHubHTTPError):
            return link
        link = link.__cause__
    return error


def _parse_wait(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None


def _remote_file(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    if lfs is not None:
        return RemoteFile(sibling.rfilename, int(lfs.size), sha256=str(lfs.sha256))
    return RemoteFile(sibling.rfilename, int(sibling.size or 0), blob=sibling.blob_id or "")

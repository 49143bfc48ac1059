"""A place in an object store comes in; its objects go out, and files become objects there.

This is the only file that imports obstore (extra `s3`). It reads the usual variables: AWS_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL. Without keys a public bucket is read.
Every error becomes one line without addresses or keys.
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from lagotto.core.arguments.extras import load_extra
from lagotto.core.errors import SourceError
from lagotto.core.files import writing
from lagotto.core.remote.retry import OutOfReachError
from lagotto.core.remote.spec import StoreSpec

_Answer = TypeVar("_Answer")

_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
_TIMEOUT = timedelta(seconds=60)
_CONNECT = timedelta(seconds=10)
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_PIECE = 8 << 20


class ObjectStore:
    """The objects under one prefix of a bucket, by their names behind it."""

    def __init__(self, spec: StoreSpec) -> None:
        """Raises MissingExtraError, with the pip line, without the extra `s3`."""
        self._spec = spec
        self._obstore = load_extra("obstore", "s3", "a hub at s3://")
        stores: Any = load_extra("obstore.store", "s3", "a hub at s3://")
        self._errors: Any = load_extra("obstore.exceptions", "s3", "a hub at s3://")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options = {"timeout": _TIMEOUT, "connect_timeout": _CONNECT}
        self._store = stores.S3Store(
            spec.bucket,
            prefix=spec.prefix,
            client_options={**options, "allow_http": endpoint.startswith("http://")},
            retry_config=_RETRY,
            **({"endpoint": endpoint} if endpoint else {}),
            **({} if any(map(os.environ.get, _KEYS)) else {"skip_signature": True}),
        )

    def sizes(self) -> dict[str, int]:
        """The size of each object, by name."""

        def ask() -> dict[str, int]:
            pages = self._obstore.list(self._store)
            return {str(item["path"]): int(item["size"]) for page in pages for item in page}

        return self._answer(ask)

    def read(self, name: str, most: int) -> bytes | None:
        """The bytes of a small object; None if there is none.

        Raises:
            SourceError: It has more than `most` bytes, or the store refuses.
        """

        def ask() -> bytes | None:
            try:
                answer = self._obstore.get(self._store, name)
            except (self._errors.NotFoundError, FileNotFoundError):
                return None
            if answer.meta["size"] > most:
                raise SourceError(f"{self._spec}/{name} has over {most:,} bytes")
            return bytes(answer.bytes())

        return self._answer(ask)

    def fetch(self, name: str, size: int, target: Path) -> None:
        """Writes an object of a known size to a file; what the file has already is not read again.

        Raises:
            SourceError: The object is gone or has another size, or the store refuses.
        """
        with writing(target), target.open("ab") as out:
            for first, stop in _pieces(out.tell(), size):
                piece = self._range(name, first, stop)
                if len(piece) != stop - first:
                    raise SourceError(f"{self._spec}/{name} is shorter than its listing says")
                out.write(piece)

    def put(self, name: str, file: Path) -> None:
        """Makes a file an object; one of this name is replaced."""
        self._answer(lambda: self._obstore.put(self._store, name, file))

    def delete(self, names: list[str]) -> None:
        """Deletes objects."""
        if names:
            self._answer(lambda: self._obstore.delete(self._store, names))

    def _range(self, name: str, first: int, stop: int) -> bytes:
        def ask() -> bytes:
            try:
                return bytes(self._obstore.get_range(self._store, name, start=first, end=stop))
            except (self._errors.NotFoundError, FileNotFoundError) as error:
                raise SourceError(f"{self._spec} has no {name}, which its listing names") from error

        return self._answer(ask)

    def _answer(self, ask: Callable[[], _Answer]) -> _Answer:
        """The result of a call; errors of the store are translated. It repeats calls itself."""
        kinds = self._errors
        try:
            return ask()
        except (kinds.PermissionDeniedError, kinds.UnauthenticatedError) as error:
            raise SourceError(
                f"{self._spec} may not be used: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except (kinds.NotFoundError, FileNotFoundError) as error:
            raise SourceError(f"{self._spec}: there is no such bucket") from error
        except (kinds.BaseError, OSError) as error:
            text = str(error)
            if "NoSuchBucket" in text:
                raise SourceError(f"{self._spec}: there is no such bucket") from error
            if "403" in text or "AccessDenied" in text or "InvalidAccessKey" in text:
                raise SourceError(
                    f"{self._spec} may not be used: check AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY"
                ) from error
            raise OutOfReachError(
                f"{self._spec}: the store does not answer; check the network, AWS_REGION and "
                "AWS_ENDPOINT_URL"
            ) from error


def _pieces(first: int, stop: int) -> Iterator[tuple[int, int]]:
    while first < stop:
        yield first, min(first + _PIECE, stop)
        first += _PIECE

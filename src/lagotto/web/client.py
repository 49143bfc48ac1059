"""The address of a server comes in; questions to its hub, with the results of `Hub`, go out."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from lagotto.core.arguments.names import as_names
from lagotto.core.arguments.one_or_many import OneNameOrMany, OnePathOrMany, as_paths
from lagotto.core.arguments.options import with_keywords
from lagotto.core.errors import LagottoError, PictureError, SourceError, UsageError
from lagotto.core.images import read_picture_file
from lagotto.core.types import Hits, JsonObject, Skipped
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.coverage import ModelCoverage
from lagotto.hub.labels.describe import ModelDescription
from lagotto.hub.labels.duplicates import DuplicateReport
from lagotto.hub.query.types import AnyQuery, ImageQuery, LogitQuery, TextQuery, as_query
from lagotto.hub.search.options import SearchKeywords, SearchOptions
from lagotto.web import from_json
from lagotto.zeroshot.types import Prediction

_POLL_S = 0.5


class Client:
    """Asks a hub that `lagotto serve` serves; methods and results are those of `Hub`.

    Args:
        url: The address that the server printed, for example http://127.0.0.1:8765.
        token: The server's token, if it has one; one in the address is taken too.
        timeout_s: Seconds to wait for one answer.

    Example:
        >>> client = Client("http://127.0.0.1:8765")  # doctest: +SKIP
        >>> client.search("violin", top=1)[0].model  # doctest: +SKIP
        'exp_final_v3'
    """

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(
                f"url {url!r} is no address of a server; give one such as http://127.0.0.1:8765"
            )
        self._origin = f"{parts.scheme}://{parts.netloc}"
        in_address = [part[6:] for part in parts.query.split("&") if part.startswith("token=")]
        self._token = token or next(iter(in_address), None)
        self._timeout_s = timeout_s
        is_near = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._opener = build_opener(*[ProxyHandler({})] if is_near else [])

    def search(
        self,
        query: AnyQuery | str | Path,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Hits:
        """The logits that behave most like the concept; see `Hub.search`. Pictures are sent."""
        fields = asdict(with_keywords(options or SearchOptions(), keywords))
        by = "model" if fields.pop("by_model") else "logit"
        values: dict[str, Any] = {**fields, "by": by}
        files: tuple[Path, ...] = ()
        match as_query(query):
            case TextQuery(text, template, pictures):
                if template is not None:
                    raise UsageError("a server takes no template; leave it out, or use Hub")
                values["q"], files = text, pictures
            case ImageQuery(pictures):
                files = pictures
            case LogitQuery(model, index):
                values["like"] = f"{model}:{index}"
        body = [("pictures", file) for file in files]
        return from_json.read_answer(from_json.read_hits, self._ask("search", values, body))

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models in the hub, in the order in which they were added."""
        names: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._ask("models", {"limit": 200, "cursor": cursor})
            names += [model["name"] for model in page["models"]]
            cursor = page["next"]
        return tuple(names)

    def labels(self, model: str) -> tuple[str | None, ...]:
        """The published label of each output of a model, None where there is none."""
        answer = self._ask(f"models/{quote(model)}/outputs")
        return tuple(output["label"] for output in answer["outputs"])

    def status(self) -> JsonObject:
        """The state of the hub, as `lagotto hub status --json` prints it."""
        status: JsonObject = self._ask("hub")
        return status

    def describe(self, model: str, *, top: int = 5) -> ModelDescription:
        """Proposed names for each output of a model; see `Hub.describe`."""
        answer = self._ask(f"models/{quote(model)}/describe", {"top": top})
        return from_json.read_answer(from_json.read_description, answer)

    def audit(self, model: str | None = None) -> tuple[ModelAudit, ...]:
        """The published labels of one model, or of all, against behaviour; see `Hub.audit`."""
        answer = self._ask("audit" if model is None else f"models/{quote(model)}/audit")
        return from_json.read_answer(from_json.read_audits, answer)

    def duplicates(self) -> DuplicateReport:
        """Models that are nearly the same, and models of one kind; see `Hub.duplicates`."""
        return from_json.read_answer(from_json.read_duplicates, self._ask("duplicates"))

    def cover(self, labels: OneNameOrMany, *, top: int = 10) -> tuple[ModelCoverage, ...]:
        """The models that cover a set of labels best; see `Hub.cover`."""
        values = {"labels": _several(as_names(labels, "labels")), "top": top}
        return from_json.read_answer(from_json.read_coverage, self._ask("cover", values))

    def classify(
        self,
        pictures: OnePathOrMany,
        labels: OneNameOrMany,
        *,
        voices: Sequence[str] = (),
        reject: float | None = None,
    ) -> tuple[Prediction | Skipped, ...]:
        """Predictions for picture files, which are sent; see `Classifier`.

        A picture that cannot be read ends the call: the message names it.
        """
        body: list[tuple[str, str | Path]] = [
            *(("labels", name) for name in _several(as_names(labels, "labels"))),
            *(("voices", voice) for voice in voices),
            *(() if reject is None else (("reject", str(reject)),)),
            *(("pictures", file) for file in as_paths(pictures, "pictures")),
        ]
        answer = self._ask("classify", {}, body)
        while answer.get("kind") == "classify" and answer["state"] in ("waiting", "running"):
            time.sleep(_POLL_S)
            answer = self._ask(f"jobs/{answer['id']}")
        if answer.get("state") == "failed":
            raise UsageError(str(answer["error"]))
        return from_json.read_answer(from_json.read_predictions, answer.get("result") or answer)

    def _ask(
        self,
        path: str,
        values: dict[str, Any] | None = None,
        body: Sequence[tuple[str, str | Path]] = (),
    ) -> Any:
        """The JSON object at an address; with a body it is posted as a form."""
        given = {name: value for name, value in (values or {}).items() if value is not None}
        written = {k: str(v).lower() if isinstance(v, bool) else v for k, v in given.items()}
        address = f"{self._origin}/api/v1/{path}?{urlencode(written, doseq=True)}"
        headers = {"Origin": self._origin, "Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body:
            data, headers["Content-Type"] = _form(body)
        try:
            request = Request(address, data, headers)
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise _problem(error) from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise SourceError(
                f"no answer of a lagotto server at {self._origin}: {reason}; check the address, "
                "or start one: lagotto serve HUB"
            ) from error


def _several(names: Sequence[str]) -> list[str]:
    """The names as fields of a form; one alone that has a comma is followed by an empty one."""
    return [*names, ""] if len(names) == 1 and "," in names[0] else list(names)


def _form(body: Sequence[tuple[str, str | Path]]) -> tuple[bytes, str]:
    """Fields and files as multipart/form-data, and its content type."""
    boundary = secrets.token_hex(16)
    parts = []
    for name, value in body:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, Path):
            try:
                content = read_picture_file(value)
            except PictureError as error:
                raise UsageError(f"picture {value}: {error}") from error
            head += f'; filename="{quote(value.name, safe=" ")}"'
        else:
            content = value.encode("utf-8", "replace")
        parts.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), (
        f"multipart/form-data; boundary={boundary}"
    )


def _problem(error: HTTPError) -> LagottoError:
    """The error that a server's problem is for the caller, in its own line."""
    try:
        detail = str(json.loads(error.read(100_000))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"the server answered {error.code} {error.reason}"
    return (
        UsageError(detail)
        if 400 <= error.code < 500 and error.code != 429
        else (SourceError(detail))
    )

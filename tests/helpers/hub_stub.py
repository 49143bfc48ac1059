"""A Hugging Face Hub on the loopback, as far as huggingface_hub asks: for tests and benchmarks.

It also takes uploads: a dataset is made, files are sent, and a commit puts them in place. It lists,
describes and serves repositories that the tests make: pages of a search, commits, etags,
relative redirects of renamed repositories, redirects of large files to a second host, ranges. On
request it is faulty: see `Faults` for what passes, `Repository.fault` for what stays.
"""

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 512
"""Files from this size on are kept as LFS keeps them: with a sha256, and on the second host."""

PAGE = 50
TRANSIENT = ("busy", "limit", "broken", "drop", "cut", "garble")


@dataclass
class Repository:
    """Files by path. `fault`: "" or what is wrong for good: "gated", "gone" (a 404), "vanished"
    (the weights are listed, but not served), "damaged" (they never have their checksum)."""

    files: dict[str, bytes]
    fault: str = ""
    task: str = "image-classification"
    renamed_from: str = ""
    licence: str = ""
    branches: dict[str, "Repository"] = field(default_factory=dict)
    """Other revisions by name, as refs/convert/parquet. A dataset is named `datasets/ORG/NAME`."""

    def at(self, revision: str) -> "Repository | None":
        """The files at a revision: this, a branch, or either by its commit."""
        if revision in ("", "main", self.commit):
            return self
        by_commit = {branch.commit: branch for branch in self.branches.values()}
        return {**self.branches, **by_commit}.get(revision)

    @property
    def commit(self) -> str:
        listed = sorted(
            (path, hashlib.sha256(data).hexdigest()) for path, data in self.files.items()
        )
        return hashlib.sha1(repr(listed).encode()).hexdigest()


@dataclass
class Faults:
    """Passing faults: a share of all requests, of every kind in turn, chosen by a seed.

    `first` lists kinds for the very first requests of a path that contains a text:
    {"config.json": ["limit", "limit"]}.
    """

    rate: float = 0.0
    seed: int = 0
    kinds: tuple[str, ...] = TRANSIENT
    first: dict[str, list[str]] = field(default_factory=dict)
    retry_after: str = "0"

    def of(self, path: str, count: int) -> str:
        for part, kinds in self.first.items():
            if part in path and kinds:
                return kinds.pop(0)
        draw = hashlib.sha256(f"{self.seed} {path} {count}".encode()).digest()
        if int.from_bytes(draw[:4], "big") >= self.rate * 2**32:
            return ""
        return self.kinds[draw[4] % len(self.kinds)]


class StubHub:
    """A running stub; `endpoint` is for HF_ENDPOINT, `requests` what was asked, in order."""

    def __init__(self, repositories: dict[str, Repository], faults: Faults | None = None) -> None:
        self.repositories = repositories
        self.faults = faults or Faults()
        self.requests: list[tuple[str, str]] = []
        self.served: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.tokens: set[tuple[str, str]] = set()
        self.ranges: list[int] = []
        self.counts: Counter[str] = Counter()
        self.private: dict[str, bool] = {}
        self.uploads: dict[str, bytes] = {}
        self.commits: list[str] = []
        self.commits_left = 1000
        self.read_only = False
        self.lock = threading.Lock()
        self._servers = [_Server(("127.0.0.1", 0), _Handler) for _ in range(2)]
        for server in self._servers:
            server.hub = self  # type: ignore[attr-defined]
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.endpoint, self.store = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def find(self, name: str) -> tuple[str, Repository] | None:
        for known, repository in self.repositories.items():
            if name in (known, repository.renamed_from):
                return known, repository
        return None


@contextmanager
def running(repositories: dict[str, Repository], faults: Faults | None = None) -> Iterator[StubHub]:
    """A stub for the length of a block."""
    hub = StubHub(repositories, faults)
    try:
        yield hub
    finally:
        hub.close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Tests read `requests` instead."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        hub: StubHub = self.server.hub  # type: ignore[attr-defined]
        url = urlsplit(self.path)
        path = unquote(url.path)
        with hub.lock:
            hub.requests.append((self.command, path))
            if token := self.headers.get("Authorization"):
                host = "store" if path.startswith("/stored/") else "hub"
                hub.tokens.add((host, token))
            key = f"{self.command} {path}"
            fault = hub.faults.of(key, hub.counts[key])
            hub.counts[key] += 1
            if fault:
                hub.struck[fault] += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "busy":
            self._plain(503, b"busy")
        elif fault == "limit":
            self._plain(429, b"slow down", {"Retry-After": hub.faults.retry_after})
        elif fault == "broken":
            self._plain(500, b"broken")
        elif fault == "drop":
            self.close_connection = True
            self.connection.close()
        elif self.command in ("POST", "PUT"):
            self._take(hub, path, body)
        elif path == "/api/models":
            self._list(hub, parse_qs(url.query), fault)
        elif path.startswith("/api/models/"):
            self._describe(hub, path.removeprefix("/api/models/"), fault)
        elif path.startswith("/api/datasets/"):
            self._describe(hub, path.removeprefix("/api/"), fault)
        elif path.startswith("/stored/"):
            _, _, digest, name = path.split("/", 3)
            self._stored(hub, digest, name, fault)
        else:
            self._resolve(hub, path, fault)

    def _take(self, hub: StubHub, path: str, body: bytes) -> None:
        """What the client sends to make a dataset, to upload files, and to commit them."""
        if hub.read_only:
            self._plain(403, b"")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"datasets/{asked.get('organization', 'me')}/{asked['name']}"
            with hub.lock:
                is_private = asked.get("private") or asked.get("visibility") == "private"
                hub.private.setdefault(name, bool(is_private))
                is_new = hub.repositories.setdefault(name, made := Repository({})) is made
            url = f"{hub.endpoint}/{name}"
            self._plain(200 if is_new else 409, json.dumps({"url": url}).encode())
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []}, "")
        elif "/preupload/" in path:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._json({"files": files}, "")
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{hub.store}/upload/{wanted['oid']}"}}}
                for wanted in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects}, "")
        elif path.startswith("/upload/"):
            hub.uploads[path.removeprefix("/upload/")] = body
            self._plain(200, b"")
        else:
            self._commit(hub, path, body)

    def _commit(self, hub: StubHub, path: str, body: bytes) -> None:
        name = path.removeprefix("/api/").partition("/commit/")[0]
        if hub.commits_left <= 0:
            self._plain(403, b"")
            return
        hub.commits_left -= 1
        repository = hub.repositories[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = hub.uploads[value["oid"]]
            elif line["key"] == "deletedFile":
                repository.files.pop(value["path"])
        commit = repository.commit
        hub.commits.append(commit)
        url = f"{hub.endpoint}/{name}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "hookOutput": ""}, "")

    def _list(self, hub: StubHub, query: dict[str, list[str]], fault: str) -> None:
        wanted = {key: values[0] for key, values in query.items()}
        names = [
            name
            for name, repository in hub.repositories.items()
            if repository.task == wanted.get("pipeline_tag", repository.task)
            and name.startswith(f"{wanted['author']}/" if "author" in wanted else "")
            and wanted.get("search", "") in name
        ]
        first = int(wanted.get("cursor", 0))
        page = names[first : first + min(PAGE, int(wanted.get("limit", PAGE)))]
        headers = {}
        if first + len(page) < len(names):
            rest = "&".join(f"{key}={wanted[key]}" for key in wanted if key != "cursor")
            link = f"{hub.endpoint}/api/models?{rest}&cursor={first + len(page)}"
            headers["Link"] = f'<{link}>; rel="next"'
        listed = [
            {"id": name, "sha": hub.repositories[name].commit, "siblings": []} for name in page
        ]
        self._json(listed, fault, headers)

    def _describe(self, hub: StubHub, path: str, fault: str) -> None:
        name, _, revision = path.partition("/revision/")
        found = hub.find(name)
        if found is None or found[1].fault == "gone":
            self._refuse(404, "RepoNotFound")
            return
        known = found[0]
        repository = found[1].at(revision)
        if repository is None:
            self._refuse(404, "RevisionNotFound")
            return
        siblings = []
        for file, data in repository.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            told: dict[str, Any] = {"rfilename": file, "size": len(data), "blobId": blob}
            if len(data) >= LARGE:
                digest = hashlib.sha256(data).hexdigest()
                told["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
            siblings.append(told)
        described: dict[str, Any] = {"sha": repository.commit, "siblings": siblings}
        if found[1].licence:
            described["cardData"] = {"license": found[1].licence}
        self._json({"id": known.removeprefix("datasets/"), **described}, fault)

    def _resolve(self, hub: StubHub, path: str, fault: str) -> None:
        name, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        found = hub.find(name)
        if found is None or found[1].fault == "gone":
            self._refuse(404, "RepoNotFound")
            return
        known, repository = found
        if known != name:
            moved = f"/{known}/resolve/{rest}"
            self._plain(307, b"", {"Location": moved})
            return
        repository = repository.at(revision) or repository
        if found[1].fault == "gated":
            self._refuse(403, "GatedRepo")
            return
        data = repository.files.get(file)
        if data is None or (repository.fault == "vanished" and len(data) >= LARGE):
            self._refuse(404, "EntryNotFound")
            return
        headers = {"X-Repo-Commit": repository.commit}
        if len(data) < LARGE:
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self._bytes(data, {**headers, "ETag": f'"{etag}"'}, fault, file)
            return
        digest = hashlib.sha256(data).hexdigest()
        headers |= {
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{hub.store}/stored/{digest}/{known}",
        }
        self._plain(302, b"", headers)

    def _stored(self, hub: StubHub, digest: str, name: str, fault: str) -> None:
        repository = hub.repositories[name]
        branches = [branch.files for branch in repository.branches.values()]
        every = [pair for files in (repository.files, *branches) for pair in files.items()]
        for file, data in every:
            if hashlib.sha256(data).hexdigest() == digest:
                damaged = "garble" if repository.fault == "damaged" else fault
                self._bytes(data, {"ETag": f'"{digest}"'}, damaged, f"{name}/{file}")
                return
        self._refuse(404, "EntryNotFound")

    def _json(self, value: Any, fault: str, headers: dict[str, str] | None = None) -> None:
        self._bytes(json.dumps(value).encode(), headers or {}, fault.replace("garble", ""), "")

    def _bytes(self, data: bytes, headers: dict[str, str], fault: str, name: str) -> None:
        """The bytes from where they are asked for; cut short or garbled where that is the fault."""
        hub: StubHub = self.server.hub  # type: ignore[attr-defined]
        first, last = 0, len(data) - 1
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            start, _, end = wanted[6:].partition("-")
            first, last = int(start), int(end or last)
            hub.ranges.append(first)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        piece = data[first : last + 1]
        if fault == "garble" and piece:
            piece = bytes([piece[0] ^ 1]) + piece[1:]
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in {**headers, "Content-Length": str(len(piece))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut":
            self.wfile.write(piece[: len(piece) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(piece)
        if name:
            with hub.lock:
                hub.served[name] += 1
                hub.bytes[name] += len(piece)

    def _plain(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._plain(status, b"", {"X-Error-Code": code})

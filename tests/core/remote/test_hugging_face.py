"""The real client of the hub against a stub: what is had, what is refused, what is waited for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hub_stub
from hub_stub import Faults, Repository, StubHub
from lagotto.core.errors import HubError, SourceError
from lagotto.core.remote.files import Repository as Listed
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.remote.retry import Backoff, OutOfReachError
from lagotto.core.remote.spec import RepositorySpec, SearchSpec

SMALL, LARGE = b'{"a": 1}', bytes(range(256)) * 40
Start = Callable[..., StubHub]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Start]:
    """Starts a stub and points the environment at it."""
    started: list[StubHub] = []
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def begin(repositories: dict[str, Repository], faults: Faults | None = None) -> StubHub:
        started.append(StubHub(repositories, faults))
        monkeypatch.setenv("HF_ENDPOINT", started[-1].endpoint)
        return started[-1]

    yield begin
    for each in started:
        each.close()


def model(**changes: object) -> Repository:
    made = Repository({"config.json": SMALL, "onnx/model.onnx": LARGE})
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def client() -> HuggingFace:
    return HuggingFace(Backoff(attempts=6, first_wait_s=0.01))


def fetch(folder: Path, name: str = "org/m") -> Listed:
    hub = client()
    listed = hub.repository(RepositorySpec(name))
    hub.fetch(listed, listed.files, folder)
    return listed


def test_a_search_gives_all_pages_at_their_commits(start: Start) -> None:
    many = {f"org/m{number:03d}": model() for number in range(120)}
    start({**many, "other/x": model(), "org/text": model(task="text-generation")})
    found = client().search(SearchSpec(author="org", limit=500))
    assert [each.name for each in found] == list(many)
    assert all(each.is_pinned for each in found)
    assert len(client().search(SearchSpec(limit=70))) == 70
    assert client().search(SearchSpec(search="nothing like it")) == []


def test_a_repository_tells_its_commit_and_what_its_files_must_be(start: Start) -> None:
    stub = start({"org/m": model()})
    listed = client().repository(RepositorySpec("org/m"))
    assert listed.source == f"hf:org/m@{stub.repositories['org/m'].commit}"
    config, weights = listed.files
    assert (config.path, config.size, len(config.blob), config.sha256) == ("config.json", 8, 40, "")
    assert (weights.path, len(weights.sha256)) == ("onnx/model.onnx", 64)
    assert listed.file("onnx/model.onnx") == weights
    assert listed.file("nothing") is None
    assert client().repository(RepositorySpec("org/m", listed.commit)).source == listed.source


def test_files_come_whole_from_their_second_host_and_only_once(
    start: Start, tmp_path: Path
) -> None:
    stub = start({"org/m": model()})
    fetch(tmp_path / "a")
    assert (tmp_path / "a" / "config.json").read_bytes() == SMALL
    assert (tmp_path / "a" / "onnx" / "model.onnx").read_bytes() == LARGE
    fetch(tmp_path / "a")
    assert stub.served["org/m/onnx/model.onnx"] == 1


def test_a_renamed_repository_is_followed(start: Start, tmp_path: Path) -> None:
    start({"new/name": model(renamed_from="org/m")})
    listed = fetch(tmp_path / "a")
    assert listed.name == "new/name"
    assert (tmp_path / "a" / "config.json").read_bytes() == SMALL


def test_a_download_that_breaks_off_is_resumed(start: Start, tmp_path: Path) -> None:
    weights = bytes(24 << 20)  # the client keeps what came in pieces of 10 MiB
    stub = start(
        {"org/m": Repository({"model.onnx": weights})}, Faults(first={"GET /stored": ["cut"]})
    )
    fetch(tmp_path / "a")
    assert (tmp_path / "a" / "model.onnx").read_bytes() == weights
    assert stub.ranges == [10 << 20]


@pytest.mark.parametrize("kind", hub_stub.TRANSIENT)
def test_what_passes_is_waited_for(kind: str, start: Start, tmp_path: Path) -> None:
    twice = {"/api/models/": [kind] * 2, "GET /stored": [kind]}
    stub = start({"org/m": model()}, Faults(first=twice))
    fetch(tmp_path / "a")
    assert (tmp_path / "a" / "onnx" / "model.onnx").read_bytes() == LARGE
    assert stub.struck[kind] == (2 if kind == "garble" else 3)  # a list is never garbled


def test_a_storm_of_429_is_sat_out(start: Start) -> None:
    stub = start({"org/m": model()}, Faults(first={"/api/models/": ["limit"] * 5}))
    assert client().repository(RepositorySpec("org/m")).name == "org/m"
    assert stub.struck["limit"] == 5


def test_a_storm_that_does_not_end_is_said(start: Start) -> None:
    start({"org/m": model()}, Faults(first={"/api/models/": ["limit"] * 50}))
    with pytest.raises(OutOfReachError, match="busy \\(HTTP 429\\); run the command again later"):
        client().repository(RepositorySpec("org/m"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("gone", "is not on the hub, or private"),
        ("gated", "is gated: accept its terms"),
        ("vanished", "onnx/model.onnx of org/m is listed, but gone"),
        ("damaged", "has the digest [0-9a-f]{12} and the hub lists"),
    ],
)
def test_what_stays_is_an_error_in_one_line(
    fault: str, said: str, start: Start, tmp_path: Path
) -> None:
    stub = start({"org/m": model(fault=fault)})
    with pytest.raises(SourceError, match=said) as caught:
        fetch(tmp_path / "a")
    assert "\n" not in str(caught.value)
    assert stub.endpoint not in str(caught.value)
    assert not (tmp_path / "a" / "onnx" / "model.onnx").exists()


def test_a_revision_that_is_not_there_is_said(start: Start) -> None:
    start({"org/m": model()})
    with pytest.raises(SourceError, match="no such revision"):
        client().repository(RepositorySpec("org/m", "v9"))


def test_a_file_garbled_on_its_way_is_fetched_again(start: Start, tmp_path: Path) -> None:
    stub = start(
        {"org/m": model()}, Faults(first={"GET /stored": ["garble"], "config": ["garble"]})
    )
    fetch(tmp_path / "a")
    assert (tmp_path / "a" / "onnx" / "model.onnx").read_bytes() == LARGE
    assert stub.served["org/m/onnx/model.onnx"] == 2


def test_the_token_is_sent_to_the_hub_and_not_to_its_store(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = start({"org/m": model()})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(tmp_path / "a")
    assert stub.tokens == {("hub", "Bearer hf_secret")}


def test_offline_reads_the_cache_alone(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = start({"org/m": model(), "org/other": model()})
    listed = client().repository(RepositorySpec("org/m"))
    kept = client().keep(listed, listed.files)
    assert json.loads((kept / "config.json").read_text()) == {"a": 1}
    asked = len(stub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for spec in (RepositorySpec("org/m"), RepositorySpec("org/m", listed.commit)):
        cached = client().repository(spec)
        assert cached.commit == listed.commit
        client().fetch(cached, cached.files, tmp_path / "copy")
    assert (tmp_path / "copy" / "onnx" / "model.onnx").read_bytes() == LARGE
    assert not (tmp_path / "copy" / "onnx" / "model.onnx").is_symlink()
    with pytest.raises(SourceError, match="not in the local cache, and HF_HUB_OFFLINE is set"):
        client().repository(RepositorySpec("org/other"))
    with pytest.raises(SourceError, match="a search needs the hub"):
        client().search(SearchSpec())
    assert len(stub.requests) == asked


def test_offline_reads_a_repository_without_settings(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = start({"org/bare": Repository({"best_model.pth": LARGE, "labels.txt": b"cat"})})
    listed = client().repository(RepositorySpec("org/bare"))
    client().keep(listed, listed.files)
    asked = len(stub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for spec in (RepositorySpec("org/bare"), RepositorySpec("org/bare", listed.commit)):
        cached = client().repository(spec)
        assert cached.commit == listed.commit
        assert [file.path for file in cached.files] == ["best_model.pth", "labels.txt"]
        client().fetch(cached, cached.files, tmp_path / "copy")
    assert (tmp_path / "copy" / "best_model.pth").read_bytes() == LARGE
    for revision in ("other", "../../refs", "0" * 40):
        with pytest.raises(SourceError, match="not in the local cache, and HF_HUB_OFFLINE is set"):
            client().repository(RepositorySpec("org/bare", revision))
    assert len(stub.requests) == asked


def test_a_hub_that_never_answers_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OutOfReachError, match="does not answer; check the network"):
        HuggingFace(Backoff(attempts=50, first_wait_s=0.001)).repository(RepositorySpec("org/m"))


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_path_out_of_the_folder_is_refused(path: str, start: Start, tmp_path: Path) -> None:
    start({"org/m": Repository({path: SMALL})})
    with pytest.raises(SourceError, match="outside itself"):
        fetch(tmp_path / "a")
    assert not list(tmp_path.rglob("evil"))


def test_a_disk_that_takes_nothing_is_no_fault_of_the_model(start: Start, tmp_path: Path) -> None:
    start({"org/m": model()})
    (tmp_path / "a").write_text("a file where the folder should be")
    with pytest.raises((HubError, SourceError)):
        fetch(tmp_path / "a")

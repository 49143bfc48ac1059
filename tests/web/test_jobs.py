"""Jobs run in turn, tell what happens, and add models only where that is allowed."""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from colour_world import World
from lagotto.core.types import JsonObject
from lagotto.hub.hub import Hub
from lagotto.web.added_models import store_model
from lagotto.web.live.event_stream import StreamCount
from lagotto.web.live.jobs import Job, JobList
from lagotto.web.options import ServerOptions
from lagotto.web.problems import Problem
from web_server import Served, served

API = "/api/v1"


def events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_a_model_file_is_added_by_a_job_and_found_by_the_next_search(
    world: World, hub_copy: Path
) -> None:
    with Hub.open(hub_copy) as hub:
        name = hub.models[0]
        source = Path(hub.status().models[0].source)
        hub.remove(name)
        before = len(hub)
    with served(hub_copy, ServerOptions(allow_add=True)) as site:
        form = {"model": ("../up/the_model.onnx", source.read_bytes())}
        accepted = site.client.post(f"{API}/jobs/upload", files=form)
        assert accepted.status_code == 202, accepted.text
        where = accepted.headers["location"]
        told = events(site.client.get(f"{where}/events").text)
        assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
        assert told[-1][1] == "done", told[-1]
        assert told[-1][2]["done"] == ["the_model"]
        assert "progress" in [kind for _, kind, _ in told]
        rest = events(
            site.client.get(f"{where}/events", headers={"Last-Event-ID": str(len(told) - 1)}).text
        )
        assert rest == told[-1:]
        job = site.client.get(where).json()
        assert (job["state"], job["error"]) == ("done", None)
        names = [m["name"] for m in site.client.get(f"{API}/models").json()["models"]]
        assert "the_model" in names
        assert len(names) == before + 1
        assert str(hub_copy.parent) not in json.dumps([job, told])
    assert (hub_copy / "added").is_dir()
    assert Hub.open(hub_copy).verify() == ()


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "models/", "mlflow:a/1", "hf:", "hf:../x", "hf-search:limit=9", "~/x"]
)
def test_only_remote_models_are_added_by_name(hub_copy: Path, source: str) -> None:
    with served(hub_copy, ServerOptions(allow_add=True)) as site:
        answer = site.client.post(f"{API}/jobs", json={"models": [source]})
        assert answer.status_code == 400
        assert "hf:ORG/NAME" in answer.json()["detail"]
        wrong = site.client.post(f"{API}/jobs", json={"models": [], "more": 1})
        reasons = {item["field"]: item["reason"] for item in wrong.json()["errors"]}
        assert reasons.keys() == {"models", "more"}
        assert "at least 1 item" in reasons["models"]
        assert "openapi.json lists" in reasons["more"]


@pytest.mark.parametrize("name", ["model.py", ".onnx", "a b.onnx", "", "x/../.onnx"])
def test_a_model_file_needs_a_plain_name(hub_copy: Path, tmp_path: Path, name: str) -> None:
    content = tmp_path / "sent"
    content.write_bytes(b"x")
    with content.open("rb") as file, pytest.raises(Problem, match="file name"):
        store_model(hub_copy, name, file)
    assert not (hub_copy / "added").exists()


def test_jobs_run_in_turn_and_too_many_are_refused() -> None:
    jobs, go = JobList(), threading.Event()

    def wait(job: Job) -> JsonObject:
        go.wait(10)
        return {"source": "/srv/secret/model.onnx"}

    def fail(job: Job) -> JsonObject:
        raise RuntimeError("with a secret at /srv")

    first, broken = jobs.start("add", wait), jobs.start("add", fail)
    more = [jobs.start("add", wait) for _ in range(7)]
    while first.state == "waiting":
        time.sleep(0.01)
    with pytest.raises(Problem, match="wait already"):
        jobs.start("add", wait)
    go.set()
    until = time.monotonic() + 10
    while not more[-1].is_over:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert first.result == {"source": "model.onnx"}
    assert broken.state == "failed"
    assert broken.problem is not None
    assert "secret" not in broken.problem.detail
    assert jobs.find(first.id) is first
    jobs.close()


def test_the_state_of_a_hub_is_told_when_it_changes(hub_copy: Path, world: World) -> None:
    with served(hub_copy) as site:
        before = site.state.progress()
        assert site.state.progress() is before, "nothing is read again while nothing changes"
        assert (before.pending, before.is_adding) == (0, False)
        with Hub.open(hub_copy) as hub:
            hub.remove(hub.models[0])
        after = site.state.progress()
        assert after.mark != before.mark
        assert after.done == before.done - 1


def test_a_stream_gives_its_place_back(site: Served) -> None:
    places = StreamCount(most=1)
    stream = places.open()

    async def read() -> list[str]:
        async def two() -> Any:
            yield "a"
            with pytest.raises(Problem, match="streams of events are open"):
                places.open()
            yield "b"

        return [event async for event in stream.closing(two())]

    assert asyncio.run(read()) == ["a", "b"]
    assert places.open_now == 0

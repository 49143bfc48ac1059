"""Streams of events over a real connection: a hub that grows, a job, and where they go on."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from colour_world import Classifier, World, write_classifier
from lagotto.hub.hub import Hub
from web_server import running

API = "/api/v1"


def blocks(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream as they come; a heartbeat is an empty one."""
    fields: dict[str, Any] = {}
    for line in stream.iter_lines():
        if not line:
            yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value


def test_an_add_is_followed_to_its_end_with_failures_and_reasons(
    hub_copy: Path, tmp_path: Path
) -> None:
    models = [tmp_path / "new_one", tmp_path / "broken.onnx"]
    write_classifier(models[0], Classifier(("red", "black"), seed=40))
    models[1].write_bytes(b"no model")
    with running(hub_copy) as (address, _):
        with httpx.stream("GET", f"{address}{API}/status", timeout=60) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = blocks(stream)
            first = next(events)
            adding = threading.Thread(target=lambda: Hub.open(hub_copy).add(models))
            adding.start()
            seen = [first]
            for event in events:
                seen += [event] if event else []
                last = seen[-1]["data"]
                if (
                    last["failed"]
                    and not last["is_adding"]
                    and last["done"] > first["data"]["done"]
                ):
                    break
            adding.join(60)
        assert {event["event"] for event in seen} == {"status"}
        assert last["done"] == first["data"]["done"] + 1
        assert last["last_done"][-1] == "new_one"
        assert [failure["model"] for failure in last["failures"]] == ["broken"]
        assert "ONNX" in last["failures"][0]["reason"]
        assert str(tmp_path) not in json.dumps(seen)
        with httpx.stream("GET", f"{address}{API}/status", timeout=60) as stream:
            known = {"Last-Event-ID": next(blocks(stream))["id"]}
        with httpx.stream("GET", f"{address}{API}/status", headers=known, timeout=60) as stream:
            assert next(blocks(stream)) == {}, "what the client has seen is not told again"


def test_the_events_of_a_job_go_on_where_the_client_was(world: World) -> None:
    pictures = sorted(world.pictures.iterdir())[:9]
    form = [("pictures", (file.name, file.read_bytes())) for file in pictures]
    with running(world.hub) as (address, _):  # noqa: SIM117  # the client needs the address
        with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client:
            data = {"labels": "red,green", "voices": "image"}
            accepted = client.post(f"{API}/classify", files=form, data=data)
            assert accepted.status_code == 202, "nine pictures are a job"
            where = accepted.headers["location"] + "/events"
            with client.stream("GET", where) as stream:
                told = list(blocks(stream))
            numbers = [int(event["id"]) for event in told]
            assert numbers == list(range(1, len(told) + 1))
            assert told[-1]["event"] == "done"
            assert len(told[-1]["data"]["images"]) == 9
            for known, rest in ((numbers[-2], told[-1:]), (numbers[-1], []), ("nonsense", told)):
                with client.stream("GET", where, headers={"Last-Event-ID": str(known)}) as stream:
                    assert list(blocks(stream)) == rest

"""The API answers what the commands print, and refuses what there is not in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from colour_world import World, planted
from command_line import lagotto
from lagotto.hub.hub import Hub
from web_server import Served

API = "/api/v1"


def get(site: Served, address: str, **parameters: Any) -> dict[str, Any]:
    answer = site.client.get(API + address, params=parameters or None)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def refused(site: Served, status: int, address: str, *words: str, **parameters: Any) -> None:
    answer = site.client.get(API + address, params=parameters or None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    own = ("elapsed_s", "hub", "notes", "deciding_probes")
    return {name: value for name, value in answer.items() if name not in own}


def test_a_search_says_what_the_command_prints(site: Served, world: World) -> None:
    printed = lagotto("search", world.hub, "red", "--top", "3", "--json").json
    answer = get(site, "/search", q="red", top=3)
    assert without_time(answer) == without_time(printed)
    assert answer["hub"] == world.hub.name
    assert (answer["hits"][0]["model"], answer["hits"][0]["logit"]) in planted("red")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/duplicates", ["duplicates"]),
        ("/audit", ["audit"]),
        ("/cover?labels=red,blue", ["search", "--labels", "red,blue"]),
    ],
)
def test_other_answers_are_those_of_the_commands(
    site: Served, world: World, address: str, words: list[str]
) -> None:
    printed = lagotto(words[0], world.hub, *words[1:], "--json").json
    assert without_time(get(site, address)) == without_time(printed)


def test_a_description_and_a_model_are_those_of_the_commands(site: Served, world: World) -> None:
    status = lagotto("hub", "status", world.hub, "--json").json
    name = status["models"][0]["name"]
    printed = lagotto("describe", world.hub, name, "--json").json
    described = get(site, f"/models/{name}/describe")
    for logit in printed["logits"]:
        for probe in logit["probes"]:
            probe["source"] = Path(probe["source"]).name
    assert without_time(described) == without_time(printed)
    model = get(site, f"/models/{name}")
    assert model["source"] == Path(status["models"][0]["source"]).name
    assert {**model, "source": ""} == {
        **status["models"][0], "source": "", "hub": world.hub.name
    }  # fmt: skip


def test_models_come_in_pages_that_hold_each_once(site: Served, world: World) -> None:
    names, cursor = [], ""
    while cursor is not None:
        page = get(site, "/models", limit=2, cursor=cursor)
        names += [model["name"] for model in page["models"]]
        cursor = page["next"]
    assert tuple(names) == Hub.open(world.hub).models


def test_the_status_is_that_of_the_command_without_places(site: Served, world: World) -> None:
    status = get(site, "/hub")
    printed = lagotto("hub", "status", world.hub, "--json").json
    assert status["done"] == printed["done"]
    assert status.keys() == printed.keys()
    assert str(world.hub.parent) not in json.dumps(status)


def test_no_answer_names_a_place_of_the_server(site: Served, world: World) -> None:
    name = site.state.hub.models[0]
    for address in (
        "/hub", "/models", f"/models/{name}", f"/models/{name}/audit", "/search?q=red", "/probes",
        f"/models/{name}/describe", "/duplicates", "/jobs", "/search?like=x:1", "/probes/9999",
    ):  # fmt: skip
        text = site.client.get(API + address).text
        assert str(world.hub.parent) not in text, address
        assert "/tmp/" not in text, address


def test_an_output_its_probes_and_its_neighbours(site: Served) -> None:
    model, logit = sorted(planted("red"))[0]
    output = get(site, f"/models/{model}/outputs/{logit}")
    assert output["is_searched"]
    assert get(site, f"/models/{model}/outputs")["outputs"][logit]["label"] == output["label"]
    probes = get(site, f"/models/{model}/outputs/{logit}/probes", top=3)
    assert all("red" in probe["source"] for probe in probes["strongest"])
    assert not any("red" in probe["source"] for probe in probes["weakest"])
    assert probes["strongest"][0]["value"] > probes["weakest"][0]["value"]
    near = get(site, f"/models/{model}/outputs/{logit}/neighbours", top=1)["hits"][0]
    assert (near["model"], near["logit"]) in planted("red")


def test_the_outputs_of_a_probe_are_those_that_know_it(site: Served) -> None:
    number = next(i for i, probe in enumerate(site.state.hub.probes) if "green" in probe.source)
    found = get(site, f"/probes/{number}/outputs", top=2)["outputs"]
    assert {(item["model"], item["logit"]) for item in found} <= planted("green")
    assert found[0]["value"] >= found[1]["value"]
    once = get(site, f"/probes/{number}/outputs", top=50, by="model")["outputs"]
    assert len({item["model"] for item in once}) == len(once)
    hits = get(site, "/search", probe=number, top=1)
    assert hits["query"] == {"kind": "image", "value": [f"probe:{number}"]}
    assert (hits["hits"][0]["model"], hits["hits"][0]["logit"]) in planted("green")


def test_the_picture_of_a_probe_is_sent_once(site: Served) -> None:
    address = f"{API}/probes/3.webp?edge=32"
    first = site.client.get(address)
    assert first.content[:4] == b"RIFF"
    assert first.headers["cache-control"] == "private, no-cache"
    again = site.client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = site.client.get(address, headers={"If-None-Match": '"another"'})
    assert other.content == first.content
    named = site.client.get(f"{address}&v={site.state.hub.probe_digest[:12]}")
    assert named.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_pictures_are_named_by_their_digest(site: Served, world: World) -> None:
    file = sorted(world.pictures.glob("*blue*"))[0]
    form = [("pictures", ("../../etc/blue.png", file.read_bytes()))]
    kept = site.client.post(f"{API}/pictures", files=form).json()["pictures"][0]
    assert kept["name"] == "blue.png"
    by_digest = get(site, "/search", img=kept["digest"], top=1)
    posted = site.client.post(f"{API}/search?top=1", files=form).json()
    printed = lagotto("search", world.hub, "--image", file, "--top", "1", "--json").json
    assert by_digest["hits"] == posted["hits"] == printed["hits"]
    assert by_digest["query"]["value"] == [kept["digest"]]
    small = site.client.get(f"{API}/pictures/{kept['digest']}.webp?edge=16")
    assert small.content[8:12] == b"WEBP"


def test_what_there_is_not_is_a_404_with_a_way_on(site: Served) -> None:
    name = site.state.hub.models[0]
    refused(site, 404, f"/models/{name}x", "has no model", f"Did you mean '{name}'?")
    refused(site, 404, f"/models/{name}/outputs/99", "has outputs 0 to")
    refused(site, 404, "/probes/99999", "the hub has probes 0 to")
    refused(site, 404, "/search", "upload it", img="sha256:" + "0" * 64)
    refused(site, 404, "/jobs/none", "no such job")
    refused(site, 404, "/nothing", "nothing is at this address", "openapi.json")


def test_wrong_values_are_named_with_what_is_allowed(site: Served) -> None:
    refused(site, 400, "/search", "nothing to search for")
    refused(site, 400, "/search", "like stands alone", q="red", like="a:1")
    refused(site, 400, "/search", "does not name a logit", like="a")
    refused(site, 400, "/search", "k = 9999", q="red", k=9999)
    refused(site, 422, "/search", "top: ", "200", q="red", top=201)
    refused(site, 422, "/search", "rule: ", "full-query", q="red", rule="mine")
    refused(site, 422, "/search", "q: ", "500", q="x" * 501)
    refused(site, 422, "/probes/-1", "number: ")
    refused(site, 400, "/cover", "no labels given", labels=" , ")


def test_labels_are_no_files(site: Served, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("red\nblue\n")
    answer = site.client.get(f"{API}/cover", params={"labels": str(file)})
    assert answer.status_code in (200, 400)
    assert [pair["label"] for pair in answer.json()["models"][0]["labels"]] == [str(file)]


def test_a_changed_hub_is_seen_by_the_next_request(hub_copy: Path) -> None:
    from web_server import served

    with served(hub_copy) as site:
        first = get(site, "/search", q="red", top=1)["hits"][0]["model"]
        assert first in [model["name"] for model in get(site, "/models")["models"]]
        before = get(site, "/hub")["done"]
        with Hub.open(hub_copy) as other:
            other.remove(first)
        assert first not in [hit["model"] for hit in get(site, "/search", q="red")["hits"]]
        assert first not in [model["name"] for model in get(site, "/models")["models"]]
        assert get(site, "/hub")["done"] == before - 1
        refused(site, 404, f"/models/{first}", "has no model")


def test_eight_clients_get_the_answers_of_one_by_one(site: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    words = ["red", "green", "blue", "red AND NOT green", "black", "white", "cyan", "yellow"]
    alone = [without_time(get(site, "/search", q=text)) for text in words]
    with ThreadPoolExecutor(8) as threads:
        together = list(
            threads.map(lambda text: without_time(get(site, "/search", q=text)), words * 2)
        )
    assert together == alone * 2


def test_health_and_metrics(site: Served) -> None:
    assert site.client.get("/healthz").json() == {"status": "ready"}
    site.state.is_ready = False
    try:
        assert site.client.get("/healthz").status_code == 503
    finally:
        site.state.is_ready = True
    text = site.client.get("/metrics").text
    assert 'lagotto_requests_total{status="200"}' in text
    assert "lagotto_ready 1\n" in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(float(line.rpartition(" ")[2]) >= 0 for line in lines)

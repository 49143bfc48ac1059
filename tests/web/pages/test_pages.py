"""Pages: what they show is what the library answers, as links that need no JavaScript."""

import re
import shutil
from html import unescape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from colour_world import MODELS, World, planted
from lagotto.core.progress import Silent
from lagotto.core.types import Hit, Hits, Query
from lagotto.hub.confidence.calibrator import concept_note
from lagotto.hub.confidence.probe_coverage import coverage_note
from lagotto.hub.hub import Hub
from lagotto.hub.publish.address import import_hub
from lagotto.hub.query.types import LogitQuery
from lagotto.web.pages.rendering import PAGES
from lagotto.web.views.addresses import SearchAddress
from lagotto.web.views.marks import belief_of
from lagotto.web.views.search import search_results
from published_world import export
from web_server import Served, served

HOSTILE = "a&b<i>'c"
MARKUP = '<script>alert("x")</script>'
EVERY = (
    *(href for href, _ in PAGES),
    "/?q=red",
    "/?q=red+AND+NOT+blue&by=model&top=3",
    "/?like=plain:0",
    "/?probe=5",
    "/m/plain",
    "/m/plain?names=1&audit=1&duplicates=1",
    "/m/plain/1",
    "/p/3",
    "/compare",
    "/compare?a=plain:0&b=symmetric:1",
    "/map?q=red&pick=1,2,3",
    "/cover?labels=red,green",
    "/status?q=plain",
    "/audit?verdict=fits",
    "/status/live",
)


def text_of(site: Served, address: str, status: int = 200) -> str:
    answer = site.client.get(address)
    assert answer.status_code == status, (address, answer.status_code, answer.text[:400])
    return answer.text


@pytest.mark.parametrize("address", EVERY)
def test_every_page_answers_without_inline_script_or_style(site: Served, address: str) -> None:
    text = text_of(site, address)

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"<[^>]*\s(?:style|on[a-z]+)\s*=", text)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)
    if not address.endswith("/live"):
        assert text.count("<h1") == 1
        assert re.search(r"<title>[^<]*Lagotto</title>", text)
        assert '<html lang="en">' in text
    for image in re.findall(r"<img[^>]*>", text):
        assert " alt=" in image
    for tag in re.findall(r"<(?:input|textarea|select)\b[^>]*>", text):
        is_named = 'type="hidden"' in tag or "aria-label" in tag or "<label" in text
        assert is_named, tag


def links(text: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'href="(/[^"]*)"', text)]


@pytest.mark.parametrize("address", ["/", "/?q=red", "/m/plain", "/m/plain/1", "/p/3", "/status"])
def test_every_link_of_a_page_leads_to_a_page(site: Served, address: str) -> None:
    followed = {href.partition("#")[0] for href in links(text_of(site, address))}

    for href in sorted(followed):
        if not href.startswith(("/static/", "/api/v1/probes")):
            assert site.client.get(href).status_code == 200, href


def hits_of(text: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'class="hit"[^>]*data-open="([^"]*)"', text)]


def test_hits_are_those_of_the_library_in_order(site: Served) -> None:
    text = text_of(site, "/?q=red&top=5")
    found = Hub.open(site.state.folder).search("red", top=5)

    assert hits_of(text) == [f"/m/{hit.model}/{hit.logit}" for hit in found]
    assert {(hit.model, hit.logit) for hit in found[: len(planted("red"))]} == planted("red")
    assert f"<strong>{found[0].confidence:.2f}</strong>" in text
    assert f"{found.presence:.2f}" in text


def test_options_of_the_address_are_kept_in_form_and_links(site: Served) -> None:
    text = text_of(site, "/?q=red&by=model&behaviour_only=true&top=3")

    assert 'name="by" value="model" checked' in text
    assert 'name="behaviour_only" value="true" checked' in text
    assert "<option selected>3</option>" in text
    assert "/api/v1/search?q=red&by=model&behaviour_only=true&top=3" in links(text)
    models = [href.split("/")[2] for href in hits_of(text)]
    assert len(models) == len(set(models)) == 3


def test_the_json_of_a_page_is_the_same_search(site: Served) -> None:
    text = text_of(site, "/?like=plain:0&top=4")
    (address,) = {href for href in links(text) if href.endswith("like=plain%3A0&top=4")} - {
        "/map?like=plain%3A0&top=4"
    }

    answer = site.client.get(address).json()
    assert [f"/m/{hit['model']}/{hit['logit']}" for hit in answer["hits"]] == hits_of(text)


def test_each_hit_leads_on(site: Served) -> None:
    text = text_of(site, "/?q=red&top=2")
    first, second = Hub.open(site.state.folder).search("red", top=2)

    found = links(text)
    assert f"/?like={first.model}%3A{first.logit}" in found
    assert f"/m/{first.model}/{first.logit}" in found
    assert any(href.startswith("/compare?a=") for href in found)
    assert f"lagotto search hub --logit {second.model}:{second.logit} --top 20" in text
    assert f"LogitQuery(&#39;{second.model}&#39;, {second.logit})" in text


def test_deciding_probes_have_a_frame_and_say_so(site: Served) -> None:
    text = text_of(site, "/?q=red&top=1")

    tiles = re.findall(
        r'<a class="tile( decided)?" href="/p/(\d+)"><img src="[^"]*" alt="([^"]*)"', text
    )
    found = Hub.open(site.state.folder).search("red", top=1)
    deciding = set(found.deciding_probes)
    assert len(tiles) == 12 + 8
    for frame, probe, alt in tiles:
        assert bool(frame) == (int(probe) in deciding)
        assert bool(frame) == alt.endswith("(decided)")


def test_a_concept_that_nothing_knows_leads_on_to_a_classification(
    world: World, tmp_path: Path
) -> None:

    hit = Hit(1, "m", 0, None, 1.0, 0.5, 0.01, 0.01)
    hits = Hits(Query("text", "okapi"), 50, (hit,), (0,), presence=0.05, coverage=0.02)

    belief = belief_of(hits, "okapi")
    assert belief.tone == "bad"
    assert belief.way_on == "/classify?labels=okapi"
    assert "thin" in belief.detail


def test_what_the_first_line_says_is_not_said_again_below(site: Served) -> None:
    notes = (concept_note("okapi", 0.05), coverage_note("okapi", 0.02), "another note")
    hit = Hit(1, "plain", 0, None, 1.0, 0.5, 0.01, 0.01)
    hits = Hits(Query("text", "okapi"), 50, (hit,), (0,), notes, presence=0.05, coverage=0.02)

    assert None not in notes
    results = search_results(site.state.hub, hits, SearchAddress(words="okapi"), "hub")
    assert results.notes == ("another note",)


def test_like_an_output_frames_only_the_probes_that_decide_most(site: Served) -> None:
    found = Hub.open(site.state.folder).search(LogitQuery("plain", 0), top=20)
    results = search_results(site.state.hub, found, SearchAddress(like="plain:0"), "hub")

    framed = {tile.probe for card in results.hits for tile in card.tiles if tile.decided}
    assert framed
    assert framed <= set(found.deciding_probes[:50]) < set(found.deciding_probes)


def test_two_questions_at_once_are_told_apart_with_ways_on(site: Served) -> None:
    text = text_of(site, "/?q=red&like=plain:0", 400)

    assert 'role="alert"' in text
    assert "/?q=red" in links(text)
    assert "/?like=plain%3A0" in links(text)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/?q=AND", 400, "AND"),
        ("/?q=red&top=0", 400, "give a whole number, 1 to 200"),
        ("/?q=" + "x" * 501, 400, "at most 500"),
        ("/m/plane", 404, "plain"),
        ("/m/plain/99", 404, "outputs 0 to 2"),
        ("/p/100000", 404, "probes 0 to"),
        ("/p/x", 400, "whole number"),
        ("/compare?a=plain&b=plain:1", 400, "MODEL:INDEX"),
        ("/?like=/etc/passwd:0", 404, "no model"),
        ("/?like=../../etc/passwd:0", 404, "no model"),
        ("/m//etc/passwd", 404, "no model"),
        ("/compare?a=/etc/passwd:0&b=plain:0", 404, "no model"),
        ("/?img=sha256:" + "0" * 64, 404, "upload it"),
        ("/?img=/etc/passwd", 404, "upload it"),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_bad_requests_get_a_page_with_one_line(
    site: Served, address: str, status: int, said: str
) -> None:
    text = text_of(site, address, status)

    assert said in unescape(text)
    assert 'role="alert"' in text
    assert "Traceback" not in text


def test_a_picture_is_sent_and_searched_by_its_digest(site: Served, picture: Path) -> None:
    answer = site.client.post("/pictures", files={"picture": ("x.png", picture.read_bytes())})

    assert answer.status_code == 303
    address = answer.headers["location"]
    assert re.fullmatch(r"/\?img=sha256%3A[0-9a-f]{64}", address)
    text = text_of(site, address)
    found = Hub.open(site.state.folder).search(picture, top=20)
    assert hits_of(text) == [f"/m/{hit.model}/{hit.logit}" for hit in found]
    assert "Remove your picture" in text


def test_words_and_options_stay_when_a_picture_is_sent(site: Served, picture: Path) -> None:
    files = {"picture": ("x.png", picture.read_bytes())}
    fields = {"q": "red", "by": "model", "top": "5", "like": "plain:0", "to": "//evil.example"}
    answer = site.client.post("/pictures", files=files, data=fields)

    assert answer.headers["location"].startswith("/?q=red&by=model&top=5&img=sha256%3A")


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_refused_in_one_line(site: Served, data: bytes) -> None:
    answer = site.client.post("/pictures", files={"picture": ("x.png", data)})

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_no_picture_at_all_is_refused(site: Served) -> None:
    assert site.client.post("/pictures", data={"q": "red"}, files={}).status_code in (303, 400)
    assert site.client.post("/pictures", data={}).status_code == 400


def test_a_model_is_run_on_a_picture(site: Served, picture: Path) -> None:
    files = {"picture": ("x.png", picture.read_bytes())}
    answer = site.client.post("/pictures", files=files, data={"model": "plain"})
    address = answer.headers["location"]

    assert address.startswith("/m/plain?img=sha256%3A")
    text = text_of(site, address)
    hub = Hub.open(site.state.folder)
    probe = next(n for n, each in enumerate(hub.probes) if each.source.endswith(picture.name))
    values = np.sort(hub.responses("plain")[probe])[::-1]
    shown = [float(number) for number in re.findall(r'<span class="number">([-\d.]+)</span>', text)]
    assert shown[:3] == pytest.approx(values.tolist(), abs=0.006)


def test_pictures_are_classified_by_address(site: Served, picture: Path) -> None:
    files = {"picture": ("x.png", picture.read_bytes())}
    fields = {"to": "/classify", "labels": "red, green, blue"}
    address = site.client.post("/pictures", files=files, data=fields).headers["location"]

    assert address.startswith("/classify?labels=red%2C+green%2C+blue&img=sha256%3A")
    text = text_of(site, address)
    assert re.search(r'class="verdict">red <small>', text)
    assert "Image alone" in text
    assert "weight 1.00" in text


def test_an_output_shows_what_it_fires_on_and_what_is_near(site: Served) -> None:
    text = text_of(site, "/m/plain/0")
    hub = Hub.open(site.state.folder)
    column = hub.responses("plain")[:, 0]

    probes = [int(number) for number in re.findall(r'class="tile" href="/p/(\d+)"', text)]
    assert probes[:5] == np.argsort(-column, kind="stable")[:5].tolist()
    lowest = text[text.index("And not on") :]
    assert re.findall(r'class="tile" href="/p/(\d+)"', lowest)[0] == str(int(column.argmin()))
    assert float(re.findall(r'class="value">([-+.\d]+)<', lowest)[0]) < 0
    nearest = hub.search(LogitQuery("plain", 0), top=1)[0]
    assert f"{nearest.model}:{nearest.logit}" in text


def test_a_probe_shows_the_outputs_of_the_whole_hub(site: Served) -> None:
    hub = Hub.open(site.state.folder)
    probe = next(n for n, each in enumerate(hub.probes) if "_cyan" in each.source)
    text = text_of(site, f"/p/{probe}")

    names = re.findall(r'<span title="([^"]+)"><a href', text)
    best = {f"{model}:{logit}" for model, logit in planted("cyan")}
    assert set(names[: len(best)]) == best


def test_two_outputs_are_compared_over_all_probes(site: Served) -> None:
    text = text_of(site, "/compare?a=plain:0&b=symmetric:0")
    hub = Hub.open(site.state.folder)
    x, y = hub.responses("plain")[:, 0], hub.responses("symmetric")[:, 0]

    assert f"{np.corrcoef(x, y)[0, 1]:.2f}</dd>" in text
    assert text.count("<circle") == len(hub.probes)


def test_model_pages_say_how_the_model_is_fed(site: Served) -> None:
    text = text_of(site, "/m/opencv")

    assert "BGR" in text
    assert "model.json" in text
    assert str(site.state.folder.parent) not in text


def test_names_are_proposed_where_asked(site: Served) -> None:
    assert "Proposed from behaviour" not in text_of(site, "/m/nameless")
    text = text_of(site, "/m/nameless?names=1")
    assert "Proposed from behaviour" in text
    assert "white" in text


def test_coverage_is_that_of_the_library(site: Served) -> None:
    text = text_of(site, "/cover?labels=red,green,blue")
    best = Hub.open(site.state.folder).cover("red,green,blue")[0]

    assert hits_of(text)[0] == f"/m/{best.model}"


def test_audits_and_status_list_every_model(site: Served) -> None:
    for address in ("/audit", "/status"):
        text = text_of(site, address)
        for model in MODELS:
            assert f'href="/m/{model}"' in text


def test_a_hub_without_models_teaches_what_to_do(world: World, tmp_path: Path) -> None:
    hub = shutil.copytree(world.empty_hub, tmp_path / "hub")
    with served(hub) as site:
        for href, _ in PAGES:
            assert site.client.get(href).status_code == 200, href
        assert "lagotto hub add hub MODELS" in text_of(site, "/status")
        assert site.client.get("/?q=red").status_code in (200, 400)
        assert site.client.get("/map/points.bin").content == b""


def test_a_hub_without_its_pictures_is_searched_and_says_why_none_are_shown(
    world: World, tmp_path: Path
) -> None:
    tar = export(world.hub, tmp_path / "hub.tar", pictures=False)
    hub = import_hub(tar, tmp_path / "hub", Silent(), encoder=str(world.encoder))
    with served(hub) as site:
        text = text_of(site, "/?q=red")
        found = Hub.open(world.hub).search("red", top=20)
        assert hits_of(text) == [f"/m/{hit.model}/{hit.logit}" for hit in found]
        assert "published without the pictures" in text_of(site, "/?probe=5", 400)
        for address in (*EVERY, "/map/outputs?i=0&strips=1"):
            if address == "/?probe=5":
                continue
            page = text_of(site, address)
            assert "probes/" not in "".join(re.findall(r"<img[^>]*>", page)), address
            assert "published without the pictures" in page or not page.startswith("<!doctype")
        assert 'class="words"' in text_of(site, "/map/outputs?i=0&strips=1")
        refused = site.client.get("/api/v1/probes/3.webp")
        assert refused.status_code == 404
        assert "published without" in refused.json()["detail"]


def test_markup_of_strangers_is_text_on_every_page(hostile_site: Served, picture: Path) -> None:
    name = quote(HOSTILE, safe="")
    files = {"picture": ("<b>.png", picture.read_bytes())}
    image = hostile_site.client.post("/pictures", files=files).headers["location"][2:]
    pages = [
        *("/", "/?q=red", f"/?like={name}:0", f"/m/{name}", f"/m/{name}?names=1&audit=1"),
        *(f"/m/{name}/0", f"/compare?a={name}:0&b=plain:0", "/map?q=red", "/map.svg?q=red"),
        *("/map/outputs?i=0,21,22,23,24&strips=1", "/p/0", "/cover?labels=<b>,red", "/audit"),
        *("/duplicates", "/status", "/status?q=<b>", "/?q=<script>alert(1)</script>"),
        *(f"/m/{name}?{image}", f"/classify?labels=<b>,red&{image}", "/m/<b>nobody"),
    ]
    seen = ""
    for address in pages:
        text = hostile_site.client.get(address).text
        seen += text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
        assert "<b>" not in text, address
        assert "a&b<i>" not in text, address
        assert "{{" not in text.replace("{{ 7*7 }}", ""), address
    assert "&lt;script&gt;alert" in seen
    assert "a&amp;b&lt;i&gt;" in seen
    assert "{{ 7*7 }}" in seen


def test_policy_of_pages_forbids_what_they_do_not_use(site: Served) -> None:
    answer = site.client.get("/")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("lagotto.css", "lagotto.js", "map.js", "htmx.min.js", "mark.svg"):
        assert site.client.get(f"/static/{name}").status_code == 200

"""The page in a real browser: search, pivots, pictures, links, keys, colours, widths, axe-core."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from colour_world import Classifier, write_classifier
from lagotto.core.progress import Silent
from lagotto.hub.hub import Hub

PAGES = (
    *("/", "/?q=red&top=5", "/?like=plain:0&top=5", "/m/plain", "/m/plain/0", "/p/3", "/compare"),
    *("/compare?a=plain:0&b=symmetric:1", "/map?q=red", "/cover?labels=red,blue", "/classify"),
    *("/audit", "/duplicates", "/status", "/?q=red&like=plain:0", "/nowhere", "/cover"),
    *("/?q=red+AND+NOT+blue&by=model&top=5", "/m/plain?names=1&audit=1&duplicates=1"),
)
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


def hits(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(".hit", "all => all.map(e => e.dataset.open)")
    return found


def search(page: Any, words: str) -> None:
    page.goto("/")
    page.fill("#q", words)
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")


def test_a_search_is_an_address_that_opens_in_a_second_tab(page: Any) -> None:
    search(page, "red")

    assert "q=red" in page.url
    first = hits(page)
    assert first[0].startswith("/m/")
    second = page.context.new_page()
    second.goto(page.url)
    assert hits(second) == first
    assert second.input_value("#q") == "red"
    assert page.evaluate("document.activeElement.id") == "q"


def test_the_count_is_announced(page: Any) -> None:
    search(page, "red")

    page.wait_for_selector("#announce:has-text('hit')", state="attached")
    assert page.get_attribute("#announce", "aria-live") == "polite"


def test_from_hit_to_hit_and_back(page: Any) -> None:
    page.goto("/?q=red")
    page.click(".hit:first-child >> text=More like this")
    page.wait_for_selector(".chip")
    assert "like=" in page.url
    assert "like" in page.inner_text(".chip")
    page.click(".hit:nth-child(2) >> text=Compare with first")
    page.wait_for_selector(".scatter")
    page.go_back()
    page.click(".chip .remove")
    page.wait_for_selector(".hero")


def drop(page: Any, picture: Path, kind: str) -> None:
    """Drops a picture on the page, or pastes it, as a browser's user does."""
    data = base64.b64encode(picture.read_bytes()).decode()
    page.evaluate(
        """([data, kind]) => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const moved = new DataTransfer();
            moved.items.add(new File([bytes], "red.png", {type: "image/png"}));
            const event = kind === "drop"
                ? new DragEvent("drop", {dataTransfer: moved, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: moved, bubbles: true});
            document.body.dispatchEvent(event);
        }""",
        [data, kind],
    )


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_searched(page: Any, red: Path, kind: str) -> None:
    page.goto("/")
    drop(page, red, kind)
    page.wait_for_url(re.compile(r"img=sha256"))

    assert len(hits(page)) > 3
    assert page.locator(".chip img").evaluate("image => image.naturalWidth") > 0


def test_a_chosen_picture_is_run_by_a_model(page: Any, red: Path) -> None:
    page.goto("/m/plain")
    page.set_input_files("form.pictures input[type=file]", str(red))
    page.wait_for_url(re.compile(r"/m/plain\?img=sha256"))

    assert page.locator("#try .rows > div").count() == 3


def test_pictures_and_labels_are_classified(page: Any, red: Path) -> None:
    page.goto("/classify")
    page.fill("textarea[name=labels]", "red, green, blue")
    page.set_input_files("input[type=file]", str(red))
    page.click("form.ask button.primary")
    page.wait_for_selector(".verdict")

    assert page.inner_text(".verdict").startswith("red")
    assert "labels=red" in page.url


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/?q=red")
    order = hits(page)
    focused = "document.activeElement.dataset.open"
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == order[place]
    page.keyboard.press("c")
    page.wait_for_selector(".toast")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"lagotto search hub --logit {order[1][3:].replace('/', ':')} --top 20"
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/m/"))
    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"like="))
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("/jk?")
    assert page.input_value("#q") == "/jk?"


def test_focus_is_seen_wherever_tab_leads(page: Any) -> None:
    page.goto("/?q=red&top=3")
    page.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        what, width = page.evaluate(
            """() => {
                const at = document.activeElement;
                const shown = at.type === "file" ? at.parentElement.querySelector(".pick") : at;
                const box = at.closest(".box");
                const style = getComputedStyle(shown);
                return [at.outerHTML.slice(0, 80),
                        at.id === "q" ? (getComputedStyle(box).boxShadow !== "none" ? 3 : 0)
                                      : parseFloat(style.outlineWidth)];
            }"""
        )
        seen.add(what)
        assert width >= 1, what
    assert len(seen) > 15


def test_colours_follow_the_system(browser: Any, address: str) -> None:
    found = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(base_url=address, color_scheme=scheme)
        page = context.new_page()
        page.goto("/?q=red")
        found[scheme] = page.evaluate(
            "[getComputedStyle(document.documentElement).backgroundColor, "
            "getComputedStyle(document.body).color]"
        )
        context.close()
    assert found["light"][0] == "rgb(250, 248, 244)"
    assert found["dark"][0] == "rgb(21, 18, 14)"
    assert found["light"][1] != found["dark"][1]


def test_nothing_overflows_on_a_phone(
    browser: Any, address: str, picture_pages: tuple[str, ...]
) -> None:
    context = browser.new_context(base_url=address, viewport=PHONE, has_touch=True)
    page = context.new_page()
    for path in (*PAGES, *picture_pages):
        page.goto(path)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, path
    page.goto("/?q=red&top=3")
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('.hit')).gridTemplateColumns.split(' ').length"
    )
    assert columns == 1
    context.close()


def test_the_map_draws_points_and_says_what_is_under_the_pointer(page: Any) -> None:
    page.goto("/map?q=red&top=3")
    page.wait_for_selector("#map[data-ready]")
    page.wait_for_timeout(200)
    painted, x, y = page.evaluate(
        """() => {
            const canvas = document.querySelector("#map canvas");
            const { width, height } = canvas;
            const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            let painted = 0, x = 0, y = 0;
            for (let i = 0; i < data.length; i += 4) {
                if (!data[i + 3]) continue;
                painted += 1;
                // green: lit up
                if (!x && data[i] === 30 && data[i + 1] === 145) {
                    x = (i / 4) % width; y = Math.floor(i / 4 / width);
                }
            }
            const box = canvas.getBoundingClientRect();
            return [painted, box.left + x * box.width / width, box.top + y * box.height / height];
        }"""
    )
    assert painted > 500
    page.mouse.move(x, y)
    page.wait_for_selector("#hovered .tile")
    assert page.inner_text("#hovered li a") == "red"


def test_a_lasso_lists_what_it_holds_and_is_an_address(page: Any) -> None:
    page.goto("/map")
    page.wait_for_selector("#map[data-ready]")
    page.click("#lasso")
    box = page.locator("#map canvas").bounding_box()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.5, 0.99), (0.01, 0.99)]
    points = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=3)
    page.mouse.up()
    page.wait_for_selector("#picked li")

    listed = page.locator("#picked li").count()
    assert listed == int(page.get_attribute("#map", "data-ready"))
    second = page.context.new_page()
    second.goto(page.url)
    assert second.locator("#picked li").count() == listed


class _WaitsUntilSeen(Silent):
    """Holds a run before its first model is probed, until the page shows that it runs."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def start(self, stage: str, total: int, unit: str) -> None:
        """Waits at the stage in which models are loaded."""
        if stage == "loading models":
            self._page.wait_for_selector("[data-line]:has-text('to go')")


def test_status_follows_models_that_are_added(page: Any, served_hub: Path, tmp_path: Path) -> None:
    page.goto("/status")
    before = int(page.inner_text("[data-line]").split()[0])
    write_classifier(tmp_path / "new_one", Classifier(("red", "black"), seed=40))
    (tmp_path / "broken.onnx").write_bytes(b"no model")

    Hub.open(served_hub).add(
        [tmp_path / "new_one", tmp_path / "broken.onnx"], progress=_WaitsUntilSeen(page)
    )

    page.wait_for_selector(f"[data-line]:has-text('{before + 1} models')")
    page.wait_for_selector("[data-line]:has-text('No hub add is running')")
    assert page.locator("[data-events] td:has-text('broken')").count() == 1
    assert "ONNX" in page.inner_text("[data-events] table")
    page.reload()
    assert page.locator("text=new_one").count() > 0
    assert page.locator("td:has-text('broken')").count() > 0


def test_without_javascript_search_pivots_and_pictures_work(
    browser: Any, address: str, red: Path
) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto("/")
    page.fill("#q", "red")
    page.click("form.search button.primary")
    page.wait_for_selector(".hit")
    page.click(".hit:first-child >> text=More like this")
    page.wait_for_selector(".chip")
    page.set_input_files("form.pictures input[type=file]", str(red))
    page.click("form.pictures button")
    page.wait_for_url(re.compile(r"img=sha256"))
    page.goto("/map?q=red")
    assert page.locator("#map img").is_visible()
    context.close()


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", DESK), ("dark", PHONE)])
def test_axe_finds_nothing_serious(
    browser: Any, address: str, picture_pages: tuple[str, ...], scheme: str, size: dict[str, int]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core")
    context = browser.new_context(
        base_url=address, color_scheme=scheme, viewport=size, bypass_csp=True
    )
    page = context.new_page()
    found = []
    for path in (*PAGES, *picture_pages):
        page.goto(path)
        for problem in axe.Axe().run(page).response["violations"]:
            if problem["impact"] in ("serious", "critical"):
                found.append((problem["id"], path, problem["nodes"][0]["target"]))
    context.close()
    assert not found

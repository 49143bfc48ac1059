"""A real browser on a real server; tests skip where there is no browser or no driver for one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from colour_world import World
from web_server import running

HERE = Path(__file__).parent
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all tests with a browser."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def served_hub(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world's hub, to be changed by one test."""
    return shutil.copytree(world.hub, tmp_path_factory.mktemp("served") / "hub")


@pytest.fixture(scope="session")
def address(served_hub: Path) -> Iterator[str]:
    """Where it is served."""
    with running(served_hub) as (at, _):
        yield at


@pytest.fixture(scope="session")
def picture_pages(address: str, red: Path) -> tuple[str, ...]:
    """Pages that show a picture of the client: hits, logits of a model, a classification."""
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as client:

        def send(**fields: str) -> str:
            files = {"picture": (red.name, red.read_bytes())}
            return client.post("/pictures", files=files, data=fields).headers["location"]

        hits = send()
        named = send(to="/classify", labels="red, green, blue")
    return hits, f"/m/plain?{hits.partition('?')[2]}", named


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, headless.

    Its driver keeps an event loop running in this thread, in which no other may run: the tests of
    this folder are run by one process, and the loop ends with the tests of a module.
    """
    driver = pytest.importorskip(
        "playwright.sync_api", reason="no browser driver; make browser installs it"
    )
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no chromium; make browser installs it")
    with driver.sync_playwright() as playwright:
        # As root in a container there is no sandbox of the browser; it opens our pages alone.
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """An empty page; what its console says of errors fails the test."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.set_default_timeout(30_000)
    yield opened
    context.close()
    assert not said


@pytest.fixture(scope="session")
def red(world: World) -> Path:
    """A red picture."""
    return world.pictures / "003_red.png"

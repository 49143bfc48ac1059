"""Takes the pictures of the page in docs/images from the demo's hub, in a real browser.

    make screenshots                                     # installs the browser, builds the hub
    python scripts/make_screenshots.py --folder DEMO     # from a folder of `lagotto demo`

The pictures are small WEBP files. The font is Inter where the machine has it.
"""

import argparse
import io
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image

from lagotto.demo.bundled import DEMO_ENCODER, MODELS, PROBES
from lagotto.hub.hub import Hub
from lagotto.web.app import create_app
from lagotto.web.options import ServerOptions
from lagotto.web.server import open_port

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
SHOTS: tuple[tuple[str, str, str, dict[str, int]], ...] = (
    ("page-search", "/?q=pizza", "light", {**DESK, "height": 1080}),
    ("page-dark", "/?q=violin", "dark", DESK),
    ("page-phone", "/?q=dog+face", "light", PHONE),
    ("page-map", "/map?q=sailboat&top=10", "light", {**DESK, "height": 980}),
    ("page-compare", "/compare?a=unknown_origin:1&b=baseline_old:4", "light", DESK),
)
QUALITY = 74
ALL_SEEN = """() => [...document.images].every(
    image => (image.complete && image.naturalWidth)
        || image.getBoundingClientRect().top > innerHeight || !image.offsetParent)"""
"""Whether the pictures in sight are loaded."""


def make_hub(folder: Path) -> Path:
    """The demo's hub in a folder, made where it is missing."""
    if not (folder / "hub" / "hub.json").is_file():
        Hub.create(folder / "hub", PROBES, str(DEMO_ENCODER)).add(MODELS)
    return folder / "hub"


def serve_hub(hub: Path) -> tuple[str, uvicorn.Server]:
    """The address of a server of a hub, warm, and the server."""
    options = ServerOptions(port=0, encoder=str(DEMO_ENCODER))
    app = create_app(hub, options)
    listening = open_port(options.host, 0)
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_level="error"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    until = time.monotonic() + 120
    while not app.state.server.is_ready and time.monotonic() < until:
        time.sleep(0.1)
    return f"http://127.0.0.1:{listening.getsockname()[1]}", server


def take(browser: Any, address: str, path: str, scheme: str, size: dict[str, int]) -> bytes:
    """A picture of a page, PNG, when all its pictures are there."""
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,
        viewport=size,
        device_scale_factor=2 if size is PHONE else 1,
    )
    page = context.new_page()
    page.goto(path)  # the first asks for what the second has at hand
    page.goto(path)
    until = time.monotonic() + 120
    while not page.evaluate(ALL_SEEN) and time.monotonic() < until:
        page.wait_for_timeout(200)
    if path.startswith("/map"):
        page.wait_for_selector("#map[data-ready]")
    page.wait_for_timeout(400)
    taken: bytes = page.screenshot()
    context.close()
    return taken


def main() -> None:
    """Takes all pictures, and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="of `lagotto demo`; by default a new one")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="lagotto-shots-") as temporary:
        hub = make_hub(given.folder or Path(temporary))
        address, server = serve_hub(hub)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, path, scheme, size in SHOTS:
                file = IMAGES / f"{name}.webp"
                with Image.open(io.BytesIO(take(browser, address, path, scheme, size))) as taken:
                    taken.convert("RGB").save(file, quality=QUALITY, method=6)
                print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
            browser.close()
        server.should_exit = True


if __name__ == "__main__":
    main()

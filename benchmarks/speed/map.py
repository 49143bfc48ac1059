"""The map of a hub of 100,000 outputs in a real browser: what is sent, and how fluently it moves.

    python benchmarks/speed/map.py --json > benchmarks/results/speed_map.json

The hub has the demo's encoder, --probes pictures of noise and models whose responses the script
makes, as growth.py does. The layout is made once, in this process, and read again from its file.
`lagotto serve` then serves the hub to a headless chromium without a graphics card, which draws
everything on the processor. The mouse drags the map, zooms, points at outputs, and draws a lasso
around half of them, one movement after another, as fast as the page takes them.

For each of these: `frame_ms` is the time from one frame to the next (the browser makes at most one
in 16.7 ms), and `work_ms` the processor time of the page's thread for one movement of the mouse,
which other work on the machine hardly changes. A movement whose work fits into a frame, 16.7 ms,
is fluent; the script exits with 1 where one does not. --baseline FILE measures another map.js in
the same run.
"""

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from growth import OUTPUTS, child, make_pictures
from serve import server

from lagotto.hub.hub import Hub
from lagotto.hub.index.map_file import open_map
from lagotto.hub.store.layout import HubLayout
from provenance import provenance

FLUENT_MS = 16.7
SIZE = {"width": 1280, "height": 1200}
"""Of the window: the whole page is in sight, so that nothing scrolls away from the mouse."""
MOVES = 150
"""Movements of the mouse of each kind."""

FRAMES = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const next = (now) => {
        window.frames_ms.push(now - before);
        before = now;
        window.frames_on = requestAnimationFrame(next);
    };
    window.frames_on = requestAnimationFrame(next);
}"""
"""Starts to note the time from frame to frame."""

Point = tuple[float, float]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_hub(folder: Path, outputs: int, probes: int) -> Path:
    """A hub of made models, with so many outputs."""
    source, models = Path(__file__).resolve().parents[2], outputs // OUTPUTS
    make_pictures(folder / "pictures", probes)
    child(source, "create", folder / "hub", folder / "pictures")
    child(source, "fill", folder / "hub", 0, models - 1)
    child(source, "add_one", folder / "hub", 10**9)
    return folder / "hub"


def layout_times(folder: Path) -> dict[str, float]:
    """Seconds to make the layout, and to read the one that was made."""
    layout = HubLayout(folder)
    layout.map.unlink(missing_ok=True)
    with Hub.open(folder) as hub:
        blocks = hub.reader.logit_index().blocks
        started, processor = time.perf_counter(), time.process_time()
        made = open_map(layout, blocks)
        between, used = time.perf_counter(), time.process_time()
        read = open_map(layout, blocks)
        ended = time.perf_counter()
    assert np.array_equal(made, read)
    assert np.isfinite(made).all()
    assert layout.map.exists()
    return {
        "layout_s": round(between - started, 1),
        "layout_cpu_s": round(used - processor, 1),
        "layout_read_s": round(ended - between, 3),
    }


def circle(box: dict[str, float], radius: float) -> Iterator[Point]:
    """Points on the map around its middle, `MOVES` of them, one turn."""
    for step in range(MOVES):
        angle = 2 * math.pi * step / MOVES
        yield (
            box["x"] + box["width"] * (0.5 + radius * math.cos(angle)),
            box["y"] + box["height"] * (0.5 + radius * math.sin(angle)),
        )


def measured(page: Any, act: Callable[[], None]) -> dict[str, float]:
    """Times of the frames while something is done."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def work_ms() -> float:
        found = tools.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(m["value"] for m in found if m["name"] == "TaskDuration"))

    page.evaluate(FRAMES)
    before = work_ms()
    act()
    worked = work_ms() - before
    frames = np.array(page.evaluate("cancelAnimationFrame(frames_on); frames_ms"))[1:]
    tools.detach()
    return {
        "frames": len(frames),
        "work_ms": round(worked / MOVES, 2),
        "frame_ms_p50": round(float(np.median(frames)), 1),
        "frame_ms_p99": round(float(np.quantile(frames, 0.99)), 1),
    }


def look(page: Any, address: str, outputs: int) -> dict[str, Any]:
    """Opens the map, moves it, and says how long each frame took."""
    started = time.perf_counter()
    page.goto(f"{address}/map?q=dog&top=20")
    page.wait_for_selector("#map[data-ready]", timeout=120_000)
    page.evaluate("() => new Promise(go => requestAnimationFrame(() => setTimeout(go)))")
    ready_s, rows = time.perf_counter() - started, {}
    assert int(page.get_attribute("#map", "data-ready")) == outputs
    box = page.locator("#map canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def follow(radius: float, held: bool = False) -> None:
        points = list(circle(box, radius))
        page.mouse.move(*points[0])
        if held:
            page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        if held:
            page.mouse.up()

    def zoom() -> None:
        page.mouse.move(*middle)
        for step in range(MOVES):
            page.mouse.wheel(0, -20 if step < MOVES // 2 else 20)

    rows["hover"] = measured(page, lambda: follow(0.3))
    page.wait_for_selector("#hovered .tile")
    rows["pan"] = measured(page, lambda: follow(0.1, held=True))
    rows["zoom"] = measured(page, zoom)
    page.click("#whole")
    page.click("#lasso")
    rows["lasso"] = measured(page, lambda: follow(0.2, held=True))
    page.wait_for_selector("#picked li:nth-child(200)")
    page.click("#lasso")
    rows["pan, half of them picked"] = measured(page, lambda: follow(0.1, held=True))
    return {"ready_s": round(ready_s, 2), "rows": rows}


def browse(folder: Path, outputs: int, baseline: Path | None) -> dict[str, Any]:
    """The served map in chromium."""
    from playwright.sync_api import sync_playwright

    with server(folder) as (address, _, _), sync_playwright() as playwright:
        zipped = {"Accept-Encoding": "gzip"}
        sent = httpx.get(f"{address}/map/points.bin", headers=zipped, timeout=60)
        found: dict[str, Any] = {"bytes": sent.num_bytes_downloaded}
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        if baseline is not None:
            page = browser.new_page(viewport=SIZE)
            page.route("**/static/map.js*", lambda route: route.fulfill(path=baseline))
            found["baseline"] = look(page, address, outputs)
            page.close()
        found |= look(browser.new_page(viewport=SIZE), address, outputs)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--outputs", type=int, default=100_000)
    parser.add_argument("--probes", type=int, default=320)
    parser.add_argument("--hub", type=Path, help="a hub that was made before, to use again")
    parser.add_argument("--baseline", type=Path, help="another map.js")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.hub or make_hub(Path(temporary), options.outputs, options.probes)
        result: dict[str, Any] = {"outputs": options.outputs, "probes": options.probes}
        result |= layout_times(folder)
        say(json.dumps(result))
        result |= browse(folder, options.outputs, options.baseline)
    result["machine_load"] = {
        "cores": os.cpu_count(),
        "before": round(load, 1),
        "after": round(os.getloadavg()[0], 1),
    }
    result |= provenance()
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")
    slow = [name for name, row in result["rows"].items() if row["work_ms"] > FLUENT_MS]
    if slow:
        raise SystemExit(f"not fluent, over {FLUENT_MS} ms of work a movement: {', '.join(slow)}")


if __name__ == "__main__":
    main()

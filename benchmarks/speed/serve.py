"""What a server adds to the library's own time, and whether a long mixed load makes it grow.

    python benchmarks/speed/serve.py HUB --minutes 10 --json > benchmarks/results/speed_serve.json

`lagotto serve HUB` runs as a process of its own and is asked over the loopback. Each text is asked
of the server and of an open `Hub` of this process in turn, once new and then seen before, so that
both feel the same load of the machine; the processor time of both is compared too, since a busy
machine does not change it. Each answer of the server has to be that of the library.
Eight clients then ask at once, and have to get the answers of one by one. The mixed load searches
by words, outputs and pictures, reads models and probes, and classifies; memory and descriptors of
the server are read from its metrics twelve times; neither descriptors nor memory that is no mapped
file may grow from the second third of the time to the last. The script exits with 1 where this, or
a bar on what the server adds to the library's time, is missed; the JSON is printed all the same.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from lagotto.hub.hub import Hub
from lagotto.hub.query.background import background_words

TEXTS = 60
REPEATS = 3
CLIENTS = 8
LOAD_CLIENTS = 4
LEFT_OUT = ("elapsed_s", "hub", "notes", "deciding_probes")
PARTS = 12
"""Times at which memory and descriptors are read."""

GROWTH = 0.10
"""Share by which the mean memory of the last third of the load may be above that of the second."""
MORE_FILES = 16
BARS_MS = {"overhead_over_library_ms": 3.0, "overhead_over_library_new_ms": 8.0}
"""What the server may add to the library's time, for a text seen before and for a new one."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def compared(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in LEFT_OUT}


@contextmanager
def server(hub: Path) -> Iterator[tuple[str, float, int]]:
    """A server's address, the seconds until it was ready, and the id of its process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "lagotto", "serve", str(hub), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().rstrip("/")
            assert address, "the server did not start"
            while httpx.get(f"{address}/healthz", timeout=60).status_code != 200:
                time.sleep(0.02)
            yield address, time.perf_counter() - started, process.pid
        finally:
            process.terminate()
            process.wait(30)


@dataclass
class Times:
    """Milliseconds of one way to ask: of texts that are new, and seen before.

    `processor` is the processor time of all of them together, which other work on the machine
    hardly changes.
    """

    new: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    processor: float = 0.0


def processor_ms(process: int) -> float:
    """The processor time that a process has used, in milliseconds, that of its threads included."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(client: httpx.Client, process: int, hub: Hub, texts: list[str]) -> tuple[Times, Times]:
    """The server's and the library's times, asked in turn; the answers have to be the same."""
    served, library = Times(), Times()
    served.processor -= processor_ms(process)
    for text in texts:
        for turn in range(1 + REPEATS):
            started = time.perf_counter()
            answer = client.get("/api/v1/search", params={"q": text}).json()
            between, used = time.perf_counter(), time.process_time()
            hits = hub.search(text)
            ended = time.perf_counter()
            library.processor += 1000 * (time.process_time() - used)
            assert compared(answer) == compared(json.loads(hits.to_json())), text
            for times, spent in ((served, between - started), (library, ended - between)):
                (times.seen if turn else times.new).append(1000 * spent)
    served.processor += processor_ms(process)
    return served, library


def at_once(address: str, texts: list[str]) -> float:
    """Requests a second of eight clients; their answers have to be those of one by one."""

    def ask(text: str) -> dict[str, Any]:
        return compared(client.get("/api/v1/search", params={"q": text}).json())

    with httpx.Client(base_url=address, timeout=60) as client:
        alone = [ask(text) for text in texts]
        with ThreadPoolExecutor(CLIENTS) as threads:
            started = time.perf_counter()
            together = list(threads.map(ask, texts * 4))
            elapsed = time.perf_counter() - started
    assert together == alone * 4, "eight clients at once got other answers than one"
    return len(together) / elapsed


def gauge(address: str, name: str) -> float:
    """A value of the server's metrics."""
    for line in httpx.get(f"{address}/metrics", timeout=60).text.splitlines():
        if line.startswith(f"lagotto_{name} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"the metrics have no {name}")


def mixed_load(address: str, hub: Hub, texts: list[str], minutes: float) -> dict[str, Any]:
    """Asks for everything for some minutes; says how memory and descriptors of the server grew."""
    pictures = [hub.probe_picture(number) for number in range(16)]
    model, end = hub.models[0], time.monotonic() + 60 * minutes
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def ask(client: httpx.Client, number: int) -> httpx.Response:
        picture = {"pictures": ("a.jpg", pictures[number % len(pictures)])}
        match number % 8:
            case 0:
                return client.get("/api/v1/search", params={"like": f"{model}:0"})
            case 1:
                return client.get(f"/api/v1/probes/{number % len(hub.probes)}.webp")
            case 2:
                return client.get("/api/v1/models", params={"limit": 5})
            case 3:
                return client.post("/api/v1/search", files=picture)
            case 4:
                form = {"labels": "dog,cat,car", "voices": "image"}
                return client.post("/api/v1/classify", files=picture, data=form)
            case 5:
                return client.get("/api/v1/search", params={"q": "x" * 501})
            case 6:
                return client.get(f"/api/v1/probes/{number % len(hub.probes)}/outputs")
        return client.get("/api/v1/search", params={"q": texts[number % len(texts)]})

    def work(first: int) -> None:
        headers = {"Origin": address}
        with httpx.Client(base_url=address, timeout=120, headers=headers) as client:
            number = first
            while time.monotonic() < end:
                answer = ask(client, number)
                with lock:
                    statuses[answer.status_code] += 1
                number += LOAD_CLIENTS + 1

    threads = [threading.Thread(target=work, args=(first,)) for first in range(LOAD_CLIENTS)]
    for thread in threads:
        thread.start()
    seen = []
    for _ in range(PARTS):
        time.sleep(60 * minutes / PARTS)
        seen.append([gauge(address, name) for name in ("private_bytes", "open_files")])
    for thread in threads:
        thread.join()
    memory, files = np.array(seen).T
    result = {
        "minutes": minutes,
        "requests": statuses.total(),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "private_mb": [round(float(value) / 1e6, 1) for value in memory],
        "open_files": [int(value) for value in files],
    }
    say(json.dumps(result))
    middle, last = slice(PARTS // 3, 2 * PARTS // 3), slice(2 * PARTS // 3, PARTS)
    assert set(statuses) <= {200, 422, 429, 503}, statuses
    assert statuses[503] <= statuses.total() / 100, f"over 1 % took more than 30 s: {statuses}"
    result["grows"] = bool(memory[last].mean() > (1 + GROWTH) * memory[middle].mean())
    assert files[last].max() <= files[middle].max() + MORE_FILES, "descriptors grow"
    return result


def measure(folder: Path, minutes: float, count: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    texts = list(background_words())[:: max(1, len(background_words()) // count)][:count]
    hub = Hub.open(folder)
    hub.search("a photo", top=1)
    with (
        server(folder) as (address, ready_s, process),
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        say(f"ready after {ready_s:.1f} s")
        served, library = compare(client, process, hub, texts)
        rate = at_once(address, texts[:16])
        say(f"{rate:.0f} requests a second by {CLIENTS} clients")
        rss = gauge(address, "resident_bytes")
        grown = mixed_load(address, hub, texts, minutes) if minutes else None
    overheads = {
        kind: [a - b for a, b in zip(getattr(served, kind), getattr(library, kind), strict=True)]
        for kind in ("seen", "new")
    }
    everything = served.new + served.seen
    return {
        "ready_s": round(ready_s, 2),
        "search_ms_p50": round(statistics.median(served.seen), 2),
        "search_ms_p99": round(float(np.quantile(everything, 0.99)), 2),
        "requests_per_s": round(rate, 1),
        "overhead_over_library_ms": round(statistics.median(overheads["seen"]), 2),
        "overhead_over_library_new_ms": round(statistics.median(overheads["new"]), 2),
        "processor_overhead_ms": round((served.processor - library.processor) / len(everything), 2),
        "processor_library_ms": round(library.processor / len(everything), 2),
        "library_ms_p50": round(statistics.median(library.seen), 2),
        "library_new_ms_p50": round(statistics.median(library.new), 2),
        "search_new_ms_p50": round(statistics.median(served.new), 2),
        "rss_mb": round(rss / 1e6, 1),
        "mixed_load": grown,
        "models": len(hub),
        "probes": len(hub.probes),
        "texts": len(texts),
        "machine": {
            "cores": os.cpu_count(),
            "load_before": round(load, 1),
            "load_after": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
        },
    }


def missed(result: dict[str, Any]) -> list[str]:
    """Each bar that a result misses, in words."""
    found = [
        f"{name} is {result[name]}, over the bar of {bar}"
        for name, bar in BARS_MS.items()
        if result[name] > bar
    ]
    if result["mixed_load"] is not None and result["mixed_load"]["grows"]:
        found.append("memory grows under the mixed load")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("hub", type=Path, help="a hub of published models")
    parser.add_argument("--minutes", type=float, default=0.0, help="of the mixed load; 0: none")
    parser.add_argument("--texts", type=int, default=TEXTS, help="how many texts are asked")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.hub, options.minutes, options.texts)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:30} {value}")
    if found := missed(result):
        raise SystemExit("; ".join(found))


if __name__ == "__main__":
    main()

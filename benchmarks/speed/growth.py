"""What one more model costs in hubs of growing size: to add it, to open, to ask, to look at.

    python benchmarks/speed/growth.py --json > benchmarks/results/speed_growth.json

A hub has the demo's encoder and --probes pictures of noise. The responses of its models are made
by the script. What is behind them is, for the first thousand models and for the one that is
measured, the code that `hub add` runs: the file of responses, the catalogue, the descriptors, what
searches read; many_models.py says how the others are made. One process adds a model to a hub of
`models`, and others open the hub, ask it, and print its status. Each process is new, so that
nothing is left in its memory; files are in the system's cache. The load is that of the machine,
before and after. `rss_mb` is the peak of the asking process, mapped files included.
`add_one_cpu_s` counts both user and system time of adding, without the start of Python, its imports
and the encoder. Reads and writes are what the process asked the system for, mapped pages included
as far as they came from or went to the disk.

The answer is checked: a text query has the hits of the same query, bit for bit, before and after
`hub compact`, where there is such a command. --baseline FOLDER runs another checkout of the package
in the same run, on hubs of its own.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from provenance import provenance

OUTPUTS = 20
QUERIES = ("dog", "violin", "red flower", "old boat", "window")
Row = dict[str, Any]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_pictures(folder: Path, count: int) -> None:
    """Small pictures of smooth noise, all different."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((32, 32)).save(folder / f"{number:05d}.png")


def fill(folder: Path, first: int, last: int) -> None:
    """Records models as probed; see many_models.py."""
    from many_models import fill_hub

    fill_hub(folder, first, last)


def add_one(folder: Path, number: int) -> None:
    """`hub add` of one file; in place of its worker, the script writes the responses."""
    from many_models import drawn_responses, facts_of

    from lagotto.hub.hub import Hub
    from lagotto.hub.ingest import add
    from lagotto.hub.ingest.probing import ProbedModel
    from lagotto.hub.store.responses import ResponsesHeader, write_responses

    def probed(_: Any, jobs: Any, probe_set: Any, __: Any, staging: Path, *___: Any) -> Iterator:
        for digest in jobs:
            path = staging / f"{digest}.safetensors"
            values = drawn_responses(number, len(probe_set.probes))
            header = ResponsesHeader(digest, probe_set.digest, "onnx", "raw")
            yield ProbedModel(digest, facts_of(write_responses(path, values, header)), path, None)

    add.probe_models = probed
    file = folder.parent / f"new{number}.onnx"
    file.write_bytes(f"new {number}".encode())
    hub = Hub.open(folder)
    hub.encoder.embed_texts(["warm"])
    begin = usage()
    report = hub.add(file)
    spent = usage()
    assert len(report.done) == 1, report
    print_values(begin, spent, "add_one")


def usage() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    values = {"cpu_s": used.ru_utime + used.ru_stime, "s": time.perf_counter()}
    for line in Path("/proc/self/io").read_text().splitlines():
        name, value = line.split(": ")
        values[name] = float(value)
    return values


def print_values(begin: dict[str, float], end: dict[str, float], name: str) -> None:
    spent = {key: end[key] - begin[key] for key in begin}
    print(
        json.dumps(
            {
                f"{name}_cpu_s": round(spent["cpu_s"], 3),
                f"{name}_s": round(spent["s"], 3),
                f"{name}_read_mb": round(max(spent["rchar"], spent["read_bytes"]) / 1e6, 1),
                f"{name}_written_mb": round(max(spent["wchar"], spent["write_bytes"]) / 1e6, 1),
            }
        )
    )


def ask(folder: Path) -> None:
    """Opening with the first query, then the median of others; and a digest of all hits."""
    from dataclasses import replace

    from lagotto.hub.hub import Hub

    with Hub.open(folder) as other:
        other.encoder.embed_texts(["warm"])
        encoder = other.encoder
    begin, processor = time.perf_counter(), time.process_time()
    hub = Hub.open(folder, encoder)
    answers = [hub.search(QUERIES[0])]
    opened, opened_cpu = time.perf_counter() - begin, time.process_time() - processor
    times = []
    for text in QUERIES * 3:
        begin = time.perf_counter()
        answers.append(hub.search(text))
        times.append(1e3 * (time.perf_counter() - begin))
    said = [replace(hits, hub="", elapsed_s=None).to_json() for hits in answers]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        json.dumps(
            {
                "open_s": round(opened, 3),
                "open_cpu_s": round(opened_cpu, 3),
                "search_ms": round(float(np.median(times)), 2),
                "rss_mb": round(peak, 1),
                "answers": sha256("\n".join(said).encode()).hexdigest(),
            }
        )
    )


def look(folder: Path) -> None:
    """What `hub status` prints, as the command line makes it."""
    from lagotto.cli.main import main as run

    begin, processor = time.perf_counter(), time.process_time()
    sys.argv = ["lagotto", "hub", "status", str(folder)]
    stdout = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with suppress(SystemExit):
        run()
    sys.stdout.flush()
    os.dup2(stdout, 1)
    seconds, used = time.perf_counter() - begin, time.process_time() - processor
    print(json.dumps({"status_s": round(seconds, 3), "status_cpu_s": round(used, 3)}))


def compact(folder: Path) -> None:
    from lagotto.hub.hub import Hub

    Hub.open(folder).compact()
    print("{}")


def child(source: Path, action: str, *arguments: object) -> Row:
    """Runs one of the actions above in a process of its own, with a checkout's package."""
    command = [sys.executable, __file__, "--child", action, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{action} {arguments} failed:\n{done.stderr}")
    lines = done.stdout.strip().splitlines()
    answer: Row = json.loads(lines[-1]) if lines else {}
    return answer


def create(folder: Path, pictures: Path) -> None:
    from lagotto.demo.bundled import DEMO_ENCODER
    from lagotto.hub.hub import Hub

    Hub.create(folder, pictures, str(DEMO_ENCODER))
    print("{}")


def linked_copy(hub: Path, copy: Path) -> None:
    """A copy that can be changed: all files but the catalogue are replaced, never written to."""
    shutil.copytree(hub, copy, copy_function=os.link)
    (copy / "catalogue.sqlite").unlink()
    shutil.copy2(hub / "catalogue.sqlite", copy)


def grown(
    source: Path, bases: Path, sizes: list[int], pictures: Path
) -> Iterator[tuple[int, Path]]:
    """Each size, and a hub of one model less, which grew out of that of the size before."""
    before: Path | None = None
    filled = 0
    for added, size in enumerate(sizes):
        hub = bases / str(size) / "hub"
        last = size - 2 - added
        if not hub.exists():
            say(f"making {size - 1:,} models")
            draft = bases / "draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            if before is None:
                child(source, "create", draft / "hub", pictures)
            else:
                linked_copy(before, draft / "hub")
            child(source, "fill", draft / "hub", filled, last)
            child(source, "add_one", draft / "hub", 10**9 + size)  # and merges segments
            draft.rename(hub.parent)
        yield size, hub
        before, filled = hub, last


def measure(source: Path, folder: Path, bases: Iterator[tuple[int, Path]], ours: bool) -> list[Row]:
    """A row for each size."""
    rows = []
    for size, base in bases:
        hub, copy = folder / "hub", folder / "copy"
        linked_copy(base, hub)
        child(source, "add_one", hub, 2 * 10**9 + size)  # looks at all files: the copy has new ones
        row: Row = {"models": size}
        row |= child(source, "add_one", hub, 3 * 10**9 + size)
        row |= child(source, "ask", hub)
        row |= child(source, "look", hub)
        if ours:
            linked_copy(hub, copy)
            child(source, "compact", copy)
            again = child(source, "ask", copy)
            assert again["answers"] == row["answers"], "compacting changed an answer"
            shutil.rmtree(copy)
        shutil.rmtree(hub)
        rows.append(row)
        say(f"{source}: {row}")
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        action, *arguments = sys.argv[2:]
        places = [Path(text) if not text.isdigit() else int(text) for text in arguments]
        actions: Any = globals()
        actions[action](*places)
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="10,1000,10000,100000")
    parser.add_argument("--baseline", type=Path, help="a checkout to measure in the same run")
    parser.add_argument("--baseline-sizes", default="10,1000")
    parser.add_argument("--probes", type=int, default=640)
    parser.add_argument("--bases", type=Path, help="keeps the hubs there, for later runs")
    parser.add_argument("--folder", type=Path, help="where the hubs are made; needs gigabytes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    source, load_before = Path(__file__).resolve().parents[2], os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        make_pictures(folder / "pictures", options.probes)
        baseline: list[Row] = []
        bases = options.bases or folder / "bases"
        if options.baseline:
            sizes = [int(size) for size in options.baseline_sizes.split(",")]
            hubs = grown(options.baseline, folder / "baseline", sizes, folder / "pictures")
            baseline = measure(options.baseline, folder, hubs, False)
        sizes = [int(size) for size in options.sizes.split(",")]
        hubs = grown(source, bases, sizes, folder / "pictures")
        rows = measure(source, folder, hubs, True)
    ratio = rows[-1]["add_one_cpu_s"] / rows[0]["add_one_cpu_s"]
    result = {
        "probes": options.probes,
        "outputs": OUTPUTS,
        "rows": rows,
        "ratio_add_one_largest_to_smallest": round(ratio, 2),
        "baseline": baseline,
        "cores": os.cpu_count(),
        "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        **provenance(),
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for name, table in (("baseline", baseline), ("rows", rows)):
        for row in table:
            print(name, json.dumps(row))


if __name__ == "__main__":
    main()

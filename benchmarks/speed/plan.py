"""What `lagotto hub plan` says of hubs that are then made: predicted beside measured.

    python benchmarks/speed/plan.py --hub my-hub --json > benchmarks/results/speed_plan.json

For each of --sizes the script writes so many convolutional networks of 20 outputs, all different,
with their known number of multiply-adds, plans their hub, and then makes it by `hub add` on
--probes bundled pictures. --hub is a finished hub whose size on disk, memory and query time are
compared as well; it is not changed. Hours are processor seconds of all processes over the cores, as
the plan's own are, so other work on the machine does not count; `wall_hours` is by the clock.
Memory is the peak of a new process that opens the hub and answers one text; the query is the median
of 20 warm ones, in processor seconds: in hubs of this size one thread does it all. A row is planned
by this machine's speed alone ("machine"), or by the runs and sizes of another hub as well ("hub"):
of the first one that the script made, or of the finished one itself.

The answer is checked: each model is in the hub, and has the logits that numpy computes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lagotto.core.machine import usable_cores
from lagotto.core.progress import Silent
from lagotto.demo import bundled
from lagotto.diagnosis.planning.measure import measure_machine, measure_search
from lagotto.diagnosis.planning.plan import (
    HubPlan,
    HubRecords,
    PlanRequest,
    make_plan,
    read_records,
)
from lagotto.hub.hub import Hub
from lagotto.hub.store.layout import HubLayout
from provenance import provenance

EDGE, CHANNELS, OUTPUTS = 64, 32, 20
GIGA = (16 * 16 * 16 * 3 * CHANNELS + CHANNELS * OUTPUTS) / 1e9
"""Of one network: a convolution of 4 x 4 in steps of 4 over three channels, and a linear layer."""

QUERIES = ("dog", "violin", "red flower", "old boat")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write_models(folder: Path, count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Networks with weights of their own, each with a model.json; the weights by name."""
    weights = {}
    for number in range(count):
        rng = np.random.default_rng(number)
        kernel = rng.normal(0, 0.2, (CHANNELS, 3, 4, 4)).astype(np.float32)
        linear = rng.normal(0, 0.5, (CHANNELS, OUTPUTS)).astype(np.float32)
        nodes = [
            helper.make_node("Conv", ["x", "k"], ["c"], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "planned",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, EDGE, EDGE])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", OUTPUTS])],
            [numpy_helper.from_array(kernel, "k"), numpy_helper.from_array(linear, "w")],
        )
        place = folder / f"m{number:04d}"
        place.mkdir(parents=True)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), place / "m.onnx")
        told = {"input": {"size": [EDGE, EDGE], "scale": "0..1", "channels": "RGB"}}
        (place / "model.json").write_text(json.dumps(told))
        weights[place.name] = kernel, linear
    return weights


def add(hub: str, models: str) -> None:
    """`hub add` in this process; what it cost, workers included, as JSON."""
    opened = Hub.open(hub)
    begin, used = time.perf_counter(), _processor_s()
    report = opened.add(models)
    assert not report.failures, report.failures[:3]
    cost = {"cpu_s": _processor_s() - used, "wall_s": time.perf_counter() - begin}
    print(json.dumps({**cost, "done": len(report.done)}))


def ask(hub: str) -> None:
    """Opens a hub and asks it; what that took, as JSON."""
    opened = Hub.open(hub)
    opened.search(QUERIES[0])
    peak = _peak_bytes()
    seconds = []
    for number in range(20):
        begin = time.process_time()
        opened.search(QUERIES[number % len(QUERIES)])
        seconds.append(time.process_time() - begin)
    print(json.dumps({"peak_bytes": peak, "query_cpu_s": statistics.median(seconds)}))


def _peak_bytes() -> int:
    """The most memory that this process held; getrusage would count that of its parent, too."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _processor_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def child(what: str, *arguments: str) -> dict[str, Any]:
    """One of the functions above in a process of its own."""
    command = [sys.executable, __file__, f"--{what}", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def size_of(*paths: Path) -> int:
    """Bytes of files, and of all files under folders."""
    files = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file())


def disk_of(hub: Path) -> dict[str, int]:
    """The bytes of the parts of a hub, as the plan names them."""
    layout = HubLayout(hub)
    parts = {
        "responses": size_of(layout.responses),
        "descriptors": size_of(layout.blocks),
        "catalogue": size_of(layout.catalogue),
    }
    whole = size_of(hub)
    return {**parts, "probes": whole - sum(parts.values()), "disk": whole}


def compare(plan: HubPlan, hub: Path, cost: dict[str, Any] | None) -> dict[str, Any]:
    """A row: what was predicted, what was measured, and the ratio of the two."""
    found, cores = child("ask", str(hub)), plan.speed.cores
    measured: dict[str, float] = {
        **{f"{name}_mb": size / 1e6 for name, size in disk_of(hub).items()},
        "memory_mb": found["peak_bytes"] / 1e6,
        "query_ms": 1e3 * found["query_cpu_s"],
    }
    predicted: dict[str, float] = {
        "responses_mb": plan.responses_bytes / 1e6,
        "descriptors_mb": plan.descriptors_bytes / 1e6,
        "catalogue_mb": plan.catalogue_bytes / 1e6,
        "probes_mb": plan.probes_bytes / 1e6,
        "disk_mb": plan.disk_bytes / 1e6,
        "memory_mb": plan.search_memory_bytes / 1e6,
        "query_ms": 1e3 * plan.query_memory_s,
    }
    if cost is not None:
        measured["minutes"] = cost["cpu_s"] / cores / 60
        predicted["minutes"] = 60 * plan.hours
    return {
        "models": plan.models,
        "outputs": round(plan.outputs, 1),
        "probes": plan.probes,
        "predicted": {name: round(predicted[name], 4) for name in measured},
        "measured": {name: round(value, 4) for name, value in measured.items()},
        "ratio": {name: round(predicted[name] / measured[name], 2) for name in measured},
        "wall_minutes": None if cost is None else round(cost["wall_s"] / 60, 2),
    }


def check(hub: Path, weights: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """The logits of some models on the probes, beside plain arithmetic."""
    from lagotto.core.images import decode_picture, to_pixels
    from lagotto.core.types import PixelSpec

    opened = Hub.open(hub)
    pictures = [decode_picture(opened.reader.probe_set.picture(index)) for index in range(4)]
    pixels = np.stack([to_pixels(picture, PixelSpec(EDGE, EDGE)) for picture in pictures])
    blocks = (pixels / 255).reshape(4, EDGE // 4, 4, EDGE // 4, 4, 3)
    assert len(opened.models) == len(weights)
    for name in [*weights][:: max(1, len(weights) // 5)]:
        kernel, linear = weights[name]
        made = np.einsum("nyaxbc,kcab->nkyx", blocks, kernel)
        logits = np.maximum(made, 0).mean(axis=(2, 3)) @ linear
        assert np.allclose(opened.responses(name)[:4], logits, atol=1e-2), name


def records_of(hub: Path) -> HubRecords:
    """What `hub plan HUB` learns of a hub; its runs were too short, or on a busy machine."""
    return replace(read_records(hub), image_s=None, search=measure_search(hub))


def measure(folder: Path, sizes: list[int], probes: int, finished: Path | None) -> dict[str, Any]:
    """All rows."""
    speed, rows = measure_machine(Silent()), []
    known: HubRecords | None = None
    for count in sizes:
        say(f"{count} models x {probes} probes")
        weights = write_models(folder / f"models{count}", count)
        hub = folder / f"hub{count}"
        Hub.create(hub, bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=probes)
        request = PlanRequest(count, OUTPUTS, probes, giga_multiply_adds=GIGA)
        cost = child("add", str(hub), str(folder / f"models{count}"))
        check(hub, weights)
        for by, records in (("machine", None), ("hub", known)):
            if by == "machine" or records is not None:
                plan = make_plan(request, speed, records)
                rows.append({"hub": "made by the script", "by": by, **compare(plan, hub, cost)})
        known = known or records_of(hub)
    if finished is not None:
        with Hub.open(finished) as opened:
            models, counted = len(opened.models), len(opened.probes)
            logits = opened.status(with_models=False).logits
        request = PlanRequest(models, round(logits / models), counted)
        for by, own in (("machine", None), ("hub", records_of(finished))):
            plan = make_plan(request, speed, own)
            rows.append({"hub": "finished", "by": by, **compare(plan, finished, None)})
    worst = {
        by: max(max(r, 1 / r) for row in rows if row["by"] == by for r in row["ratio"].values())
        for by in ("machine", "hub")
    }
    return {"rows": rows, "worst_ratio": worst, "cores": usable_cores(), **provenance()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="50,200")
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--hub", type=Path, help="a finished hub, which is only read")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--add", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.add or options.ask:
        add(*options.add) if options.add else ask(options.ask)
        return
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), sizes, options.probes, options.hub)
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

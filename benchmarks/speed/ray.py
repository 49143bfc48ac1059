"""What `--runner ray` costs beside the local runner, and whether losses change the hub.

    python benchmarks/speed/ray.py --json > benchmarks/results/speed_ray.json

--models small networks are added to a hub three ways, interleaved, by two workers each: locally; on
a cluster of two nodes on this machine; and on it again while two workers are killed (at a quarter
and at half of the models) and one node is removed (at three quarters). Each run is a process of its
own. The seconds until its first model is loaded are counted apart: they join the cluster and start
workers. So are those that start the cluster. Processor seconds
are those of all processes of a run, and of the cluster during it. The hubs are compared byte for
byte.
"""

import argparse
import functools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.remove(str(Path(__file__).resolve().parent))  # this file is not the package ray

import numpy as np
import onnx
import ray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from ray.cluster_utils import Cluster

from lagotto.demo.bundled import DEMO_ENCODER
from lagotto.hub.hub import Hub
from provenance import provenance

EDGE, OUTPUTS, WIDTHS = 64, 20, (24, 48, 96)
GIB = 1 << 30
KINDS = ("local", "ray", "ray with losses")
LEFT_OUT = ("catalogue.sqlite", ".lock")
RUN = """
import json, sys, time
from lagotto import Hub
from lagotto.jobs.worker_limits import Limits

class Clock:
    def __init__(self):
        self.first, self.stages = None, []
    def start(self, stage, total, unit):
        self.stages.append((stage, time.perf_counter()))
    def advance(self, units, note=""):
        if self.stages[-1][0] == "loading models" and self.first is None:
            self.first = time.perf_counter()
            self.stages[-1] = ("loading models", self.first)
    def finish(self):
        pass

hub, models, runner, address = sys.argv[1:]
limits = Limits(runner, 2, memory_bytes=1 << 30, ray_address=address or None)
opened, clock, begin = Hub.open(hub), Clock(), time.perf_counter()
report = opened.add([models], limits=limits, progress=clock)
end = time.perf_counter()
ends = [begun for _, begun in clock.stages[1:]] + [end]
stages = {stage: until - begun for (stage, begun), until in zip(clock.stages, ends)}
print(json.dumps({
    "added": len(report.done), "failed": len(report.failures),
    "until_first_s": clock.first - begin, "rest_s": end - clock.first,
    "stages_s": {name: round(stages[name], 2) for name in stages if name != "reading models"},
}))
"""


def write_network(folder: Path, seed: int) -> None:
    """A network of three convolutions and a head, with the settings of its input."""
    chance = np.random.default_rng(seed)
    nodes, arrays, name, inputs = [], [], "picture", 3
    for layer, width in enumerate(WIDTHS):
        weights = chance.normal(0, (2 / (9 * inputs)) ** 0.5, (width, inputs, 3, 3))
        arrays.append(numpy_helper.from_array(weights.astype(np.float32), f"w{layer}"))
        settings = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes.append(helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], **settings))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        name, inputs = f"r{layer}", width
    head = chance.normal(0, 1, (inputs, OUTPUTS)).astype(np.float32)
    arrays.append(numpy_helper.from_array(head, "head"))
    nodes.append(helper.make_node("ReduceMean", [name], ["pooled"], axes=[2, 3], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["pooled", "head"], ["scores"]))
    shape = ["n", 3, EDGE, EDGE]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", OUTPUTS])],
        arrays,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / "model.onnx"))
    described = {"size": [EDGE, EDGE], "layout": "NCHW", "channels": "RGB", "scale": "0..1"}
    described |= {"mean": [0.0] * 3, "std": [1.0] * 3, "resize": "stretch", "dtype": "float32"}
    (folder / "model.json").write_text(json.dumps({"input": described, "output": "logits"}))


def contents(hub: Path) -> dict[str, bytes]:
    """The bytes of every file that must not depend on where models ran."""
    return {
        str(path.relative_to(hub)): path.read_bytes()
        for path in sorted(hub.rglob("*"))
        if path.is_file() and path.name not in LEFT_OUT
    }


def kill_member() -> int:
    """Kills one process of Ray that runs a model; how many there were to kill."""
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdecimal() and b"ray::_RayMember.work" in (path / "cmdline").read_bytes():
                raylet = parent_of(int(path.name))
                if parent_of(raylet) == os.getpid():
                    os.kill(int(path.name), signal.SIGKILL)
                    return 1
    return 0


def processor_seconds() -> dict[int, float]:
    """The processor seconds so far of every process that this one started, and those did."""
    parents, seconds, ours = {}, {}, {os.getpid()}
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdecimal():
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                parents[int(path.name)] = int(fields[1])
                ticks = int(fields[11]) + int(fields[12])
                seconds[int(path.name)] = ticks / os.sysconf("SC_CLK_TCK")
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return {process: seconds[process] for process in ours - {os.getpid()} if process in seconds}


def parent_of(process: int) -> int:
    """The number of the process that started a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def remove_node(cluster: Cluster, node: Any) -> int:
    """Removes a node without notice; 1, as one loss."""
    cluster.remove_node(node, allow_graceful=False)
    return 1


def start_cluster() -> tuple[Cluster, Any, float]:
    """Two nodes of two cores each, of which the other may be removed; and the seconds it took."""
    begin = time.perf_counter()
    node = {"num_cpus": 2, "memory": 3 * GIB, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    other = cluster.add_node(num_cpus=2, memory=3 * GIB)
    return cluster, other, time.perf_counter() - begin


def add(hub: Path, models: Path, cluster: Cluster | None, losses: list[Callable[[], int]]) -> Any:
    """One run in a process of its own; each loss happens when so many more models are done."""
    words = [str(hub), str(models), "local" if cluster is None else "ray"]
    words.append("" if cluster is None else cluster.address)
    total, lost = len(list(models.iterdir())), 0
    before, spent, looked = os.getloadavg()[0], processor_seconds(), 0.0
    used: dict[int, float] = {}
    command = [sys.executable, "-c", RUN, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        while process.poll() is None:
            done = len(list((hub / "responses").glob("*")))
            if lost < len(losses) and done >= (lost + 1) * total / (len(losses) + 1):
                lost += losses[lost]()
            if time.monotonic() - looked > 0.5:
                used, looked = used | processor_seconds(), time.monotonic()
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, f"the run ended with {process.returncode}"
    result = json.loads(said)
    assert result["added"] == total, result
    assert lost == len(losses), f"only {lost} losses happened"
    used |= processor_seconds()
    seconds = sum(each - spent.get(process, 0.0) for process, each in used.items())
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    return {**result, "processor_s": round(seconds, 1), "load": load}


def measure(folder: Path, count: int, probes: int, rounds: int, kinds: list[str]) -> dict[str, Any]:
    """All runs, their seconds and whether their hubs are the same."""
    chance, pictures, models = np.random.default_rng(0), folder / "pictures", folder / "models"
    pictures.mkdir()
    for number in range(probes):
        noise = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 96)).save(pictures / f"{number:04d}.png")
    for number in range(count):
        write_network(models / f"m{number:03d}", number)
    empty = Hub.create(folder / "empty", pictures, str(DEMO_ENCODER))
    rows, expected = [], None
    for number in range(rounds):
        for kind in kinds:
            hub = Hub.create_like(folder / "hub", empty.folder).folder
            row = {"kind": kind, "round": number}
            if kind == "local":
                row |= add(hub, models, None, [])
            else:
                cluster, other, row["cluster_start_s"] = start_cluster()
                removal = functools.partial(remove_node, cluster, other)
                losses = [kill_member, kill_member, removal] if kind != "ray" else []
                try:
                    row |= add(hub, models, cluster, losses)
                finally:
                    cluster.shutdown()
            found = contents(hub)
            expected = expected or found
            assert found == expected, f"{kind}: the hub is another"
            shutil.rmtree(hub)
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    return {
        "models": count,
        "probes": probes,
        "workers": 2,
        "nodes": 2,
        "content_equal": True,
        "rows": rows,
        "ratio_to_local": {kind: ratio(rows, kind) for kind in kinds[1:]},
        "ray": ray.__version__,
        "cores": os.cpu_count(),
        **provenance(),
    }


def ratio(rows: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """Medians over the rounds of seconds beside those of the local run of the same round."""
    local = {row["round"]: row for row in rows if row["kind"] == "local"}
    pairs = [(row, local[row["round"]]) for row in rows if row["kind"] == kind]
    whole = [_whole(one) / _whole(other) for one, other in pairs]
    used = [one["processor_s"] / other["processor_s"] for one, other in pairs]
    rest = [one["rest_s"] / other["rest_s"] for one, other in pairs]
    return {
        "after_first_model": round(statistics.median(rest), 3),
        "whole_run": round(statistics.median(whole), 3),
        "processor": round(statistics.median(used), 3),
    }


def _whole(row: dict[str, Any]) -> float:
    return row["until_first_s"] + row["rest_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default=",".join(KINDS), help="local, then others")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ |= {"RAY_worker_niceness": "0"}  # else its workers yield to all on the machine
    with tempfile.TemporaryDirectory() as folder:
        result = measure(
            Path(folder), options.models, options.probes, options.rounds, options.kinds.split(",")
        )
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

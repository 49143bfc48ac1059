"""From nothing to the first hit on one's own models: commands typed, seconds, bytes.

    python benchmarks/speed/first_hour.py --assets DIR --json \
        > benchmarks/results/speed_first_hour.json

A stub of the Hugging Face Hub on the loopback serves the encoder of DIR under the name of the
default encoder, and the photos of DIR/photos/coco as parquet under that of the default probes. The
commands run in processes of their own, with an empty home: no cache, no settings. The models are
those of DIR/hub. The network costs nothing here; the bytes tell what it would cost. Asserted: two
commands before the first search, its first hit is a right one, and a second hub fetches nothing.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lagotto.core.types import JsonObject
from lagotto.encoders.known.table import DEFAULT_ENCODER, KNOWN_ENCODERS
from lagotto.hub.probes.datasets.prepare import DEFAULT_PROBES

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))
from hub_stub import Repository, StubHub
from provenance import provenance

QUERY = "dog"
RIGHT = "dog"
_ROWS_A_GROUP = 40


def serve(assets: Path) -> StubHub:
    """A hub that has the default encoder and the default probes."""
    encoder = assets / "encoder" / "photo-lit"
    files = {}
    for path in sorted(file for file in encoder.iterdir() if file.is_file()):
        home = "onnx/" if path.suffix == ".onnx" else ""
        files[f"{home}{path.name}"] = path.read_bytes()
    photos = sorted((assets / "photos" / "coco").rglob("*.jpg"))
    rows = {"image": [path.read_bytes() for path in photos]}
    stream = io.BytesIO()
    pq.write_table(pa.table(rows), stream, row_group_size=_ROWS_A_GROUP, write_page_checksum=True)
    return StubHub(
        {
            KNOWN_ENCODERS[DEFAULT_ENCODER].repository: Repository(files, licence="apache-2.0"),
            DEFAULT_PROBES.removeprefix("hf:"): Repository(
                {"data/train-00000-of-00001.parquet": stream.getvalue()}, licence="cc-by-4.0"
            ),
        }
    )


def run(environment: dict[str, str], *words: str) -> tuple[float, float, str]:
    """The seconds, the processor seconds (workers included) and the answer of a command."""
    started, before = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "lagotto", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started, processor_seconds() - before, done.stdout


def processor_seconds() -> float:
    """What all processes have taken that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = serve(options.assets)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(home),
            "HF_ENDPOINT": hub.endpoint,
        }
        place = str(home / "my-hub")
        steps: list[JsonObject] = []
        for words in (
            ("hub", "create", place),
            ("hub", "add", place, str(options.assets / "hub"), "--quiet"),
            ("search", place, QUERY, "--json"),
        ):
            before = sum(hub.bytes.values())
            seconds, processor, answer = run(environment, *words)
            moved = sum(hub.bytes.values()) - before
            command = " ".join(("lagotto", *words)).replace(str(home), "~")
            command = command.replace(str(options.assets / "hub"), "models/")
            steps.append(
                {
                    "command": command,
                    "seconds": round(seconds, 1),
                    "processor_seconds": round(processor, 1),
                    "bytes": moved,
                }
            )
            print(steps[-1], file=sys.stderr, flush=True)
        first = json.loads(answer)["hits"][0]
        before = sum(hub.bytes.values())
        run(environment, "hub", "create", str(home / "another"))
        again = sum(hub.bytes.values()) - before
    hub.close()
    assert RIGHT in str(first["label"]), first
    assert len(steps) == 3
    assert again < 1_000, again
    result: JsonObject = {
        **provenance(),
        "what": "commands, seconds and bytes from nothing to the first hit",
        "steps": [*steps],
        "seconds": round(sum(float(str(step["seconds"])) for step in steps), 1),
        "processor_seconds": round(sum(float(str(step["processor_seconds"])) for step in steps), 1),
        "bytes": sum(int(str(step["bytes"])) for step in steps),
        "bytes_of_a_second_hub": again,
        "first_hit": {"model": first["model"], "label": first["label"]},
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

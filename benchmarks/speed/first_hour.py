"""From nothing to the first hit on one's own models: commands typed, seconds, bytes.

    python benchmarks/speed/first_hour.py --assets DIR --json \
        > benchmarks/results/speed_first_hour.json

The wheel is built from this tree and installed into a new environment, which has nothing else in
it. All commands run there, with an empty home: no cache, no settings, nothing of this tree on the
path. A stub of the Hugging Face Hub on the loopback serves the encoder of DIR under the name of the
default encoder, and the photos of DIR/photos/coco as parquet under that of the default probes. The
models are those of DIR/hub. Transfers take no time here, neither from the stub nor of packages,
which are downloaded before the clock starts; the bytes tell what they would take. Asserted: two
commands before the first search, its first hit is a right one, the package that ran is the
installed one, and a second hub fetches nothing.
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
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

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = "all"
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


def collect_wheels(place: Path) -> Path:
    """A folder with the wheel of this tree, and those of all that it needs, from the index."""
    tree, wheels, tools = place / "tree", place / "wheels", place / "tools"
    made = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", tree / "src", ignore=made)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    pip = [tools / "bin" / "pip", "wheel", "--quiet", "--wheel-dir", wheels, f"{tree}[{EXTRAS}]"]
    subprocess.run(pip, check=True)
    return wheels


@dataclass(frozen=True)
class NewUser:
    """Someone with an empty home, who types commands; each gives seconds and processor seconds."""

    home: Path
    variables: dict[str, str]

    def run(self, *words: str) -> tuple[float, float, str]:
        """A command in a process of its own; its answer is the last of the three."""
        started, before = time.perf_counter(), processor_seconds()
        done = subprocess.run(
            words, cwd=self.home, env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return time.perf_counter() - started, processor_seconds() - before, done.stdout


def processor_seconds() -> float:
    """What all processes have taken that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_hour(user: NewUser, wheels: Path, hub: StubHub, models: Path) -> JsonObject:
    """Types everything from the first command on."""
    steps: list[JsonObject] = []

    def served() -> int:
        return sum(hub.bytes.values())

    def step(shown: str, words: tuple[str, ...], count: Callable[[], int] = served) -> str:
        before = count()
        seconds, processor, answer = user.run(*words)
        steps.append(
            {
                "command": shown,
                "seconds": round(seconds, 1),
                "processor_seconds": round(processor, 1),
                "bytes": count() - before,
            }
        )
        print(steps[-1], file=sys.stderr, flush=True)
        return answer

    def lagotto(shown: str) -> str:
        typed = [str(models) if word == "models/" else word for word in shown.split()]
        return step(f"lagotto {shown}", (str(user.home / "venv" / "bin" / "lagotto"), *typed))

    python = str(user.home / "venv" / "bin" / "python")
    step("python3 -m venv venv", (sys.executable, "-m", "venv", "venv"))
    package = f"lagotto[{EXTRAS}]"
    offline = ("--quiet", "--no-index", "--find-links", str(wheels))
    step(f"pip install '{package}'", (python, "-m", "pip", "install", *offline, package))
    steps[-1]["bytes"] = sum(file.stat().st_size for file in wheels.iterdir())
    _, _, ran = user.run(python, "-c", "import lagotto; print(lagotto.__file__)")
    assert ran.startswith(str(user.home / "venv")), ran
    lagotto("hub create my-hub")
    lagotto("hub add my-hub models/ --quiet")
    first = json.loads(lagotto(f"search my-hub {QUERY} --json"))["hits"][0]
    before = served()
    user.run(str(user.home / "venv" / "bin" / "lagotto"), "hub", "create", "another")
    again = served() - before
    commands = [str(each["command"]) for each in steps]
    assert sum(command.startswith("lagotto hub") for command in commands) == 2, commands
    assert RIGHT in str(first["label"]), first
    assert again < 1_000, again
    return {
        "steps": [*steps],
        "commands_before_the_search": 2,
        "packages": len([*wheels.iterdir()]),
        "bytes_of_a_second_hub": again,
        "first_hit": {"model": first["model"], "label": first["label"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = serve(options.assets)
    with tempfile.TemporaryDirectory() as temporary:
        wheels = collect_wheels(Path(temporary))
        home = Path(temporary) / "home"
        home.mkdir()
        variables = {
            "PATH": os.defpath,
            "HOME": str(home),
            "HF_ENDPOINT": hub.endpoint,
            "PIP_CONFIG_FILE": os.devnull,
        }
        found = first_hour(NewUser(home, variables), wheels, hub, options.assets / "hub")
    hub.close()
    steps: list[JsonObject] = found["steps"]
    result: JsonObject = {
        **provenance(),
        "what": "commands, seconds and bytes from nothing to the first hit, from a wheel",
        **found,
        "seconds": round(sum(step["seconds"] for step in steps), 1),
        "processor_seconds": round(sum(step["processor_seconds"] for step in steps), 1),
        "bytes": sum(step["bytes"] for step in steps),
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

"""kill -9 of the whole process group of `lagotto hub add` at random moments, then compare the hub.

    python benchmarks/reliability/kill_resume.py --kills 30 --json

An undisturbed run is the reference. Then a fresh hub gets `hub add` again and again, each killed at
a random moment of the reference's duration, until one run ends by itself; the hub must then hold
the same bytes under responses/, the same columns of descriptors, the same rows in the catalogue
(all tables but `runs`, which logs the runs themselves), no left-over file, and pass `hub verify`.
Repeated until the kills are used up. Models: some of the bundled demo world and two broken files,
or those of --models.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from hub_contents import hub_contents

import lagotto

WORLD = Path(lagotto.__file__).parent / "demo" / "world"


def command(*words: str) -> list[str]:
    """A lagotto command line in this interpreter."""
    return [sys.executable, "-m", "lagotto.cli.main", *words]


def run(*words: str) -> str:
    """Runs a command to its end; its stdout."""
    return subprocess.run(command(*words), check=True, capture_output=True, text=True).stdout


def killed(hub: Path, models: Path, after_s: float) -> bool:
    """Starts `hub add` in its own group and kills the group; False if it ended before."""
    process = subprocess.Popen(
        command("hub", "add", str(hub), str(models), "--quiet"),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def gather_models(folder: Path, count: int) -> Path:
    """A folder with some bundled models and two broken ones."""
    models = folder / "models"
    for source in sorted((WORLD / "models").iterdir())[:count]:
        shutil.copytree(source, models / source.name)
    (models / "empty.onnx").write_bytes(b"")
    (models / "text.onnx").write_text("this is not a model")
    return models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, help="folder of models [default: demo models]")
    parser.add_argument("--model-count", type=int, default=20, help="demo models used")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = options.models or gather_models(folder, options.model_count)
        fresh = folder / "fresh"
        probes = str(WORLD / "probes.parquet")
        run("hub", "create", str(fresh), "--probes", probes, "--encoder", str(WORLD / "encoder"))
        reference = folder / "reference"
        shutil.copytree(fresh, reference)
        started = time.perf_counter()
        run("hub", "add", str(reference), str(models), "--quiet")
        undisturbed_s = time.perf_counter() - started
        expected = hub_contents(reference)
        kills, chains, differing, unverified = 0, 0, 0, 0
        while kills < options.kills:
            hub = folder / f"hub{chains}"
            shutil.copytree(fresh, hub)
            while kills < options.kills and killed(hub, models, chance.uniform(0, undisturbed_s)):
                kills += 1
                print(f"{kills} of {options.kills} kills", file=sys.stderr)
            run("hub", "add", str(hub), str(models), "--quiet")
            differing += hub_contents(hub) != expected
            unverified += bool(json.loads(run("hub", "verify", str(hub), "--json"))["damaged"])
            chains += 1
            shutil.rmtree(hub)
    result = {
        "kills": kills,
        "resumed_hubs": chains,
        "hubs_that_differ": differing,
        "hubs_that_do_not_verify": unverified,
        "models": len(cast(list[str], expected["rows of models"])),
        "undisturbed_s": round(undisturbed_s, 2),
        "seed": options.seed,
    }
    print(json.dumps(result) if options.json else result)
    sys.exit(1 if differing or unverified else 0)


if __name__ == "__main__":
    main()

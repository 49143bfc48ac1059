"""An overnight crawl in small: 200 models of a stub hub, faults of every kind, five kills.

    python benchmarks/reliability/crawl.py --json

Three hubs are made of the same 200 repositories. `whole`: nothing is wrong. `calm`: one repository
in ten is broken for good, each in its own way, and nothing else is wrong. `stormy`: the same, one
request in ten fails in passing (rate limits, 5xx, dropped connections, downloads cut off or
garbled), and the process group is killed at random moments, then started again.

Asserted: in `stormy` every model is done or failed with its reason; its files and catalogue rows
are those of `calm`; its done models have the bytes and rows that they have in `whole`; no weights
of a model that was done before a kill are fetched again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lagotto
from lagotto.core.files import sha256_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

import colour_world  # noqa: E402 - of the tests, as the stub is
from hub_stub import Faults, Repository, StubHub  # noqa: E402

TABLES = ("models", "logits", "failures", "copies")
SEARCH = "hf-search:task=image-classification,author=org,limit=1000"
BROKEN = (
    *("gone", "gated", "vanished", "damaged"),  # what the hub does
    *("pickles", "own-code", "no-model", "torn", "not-onnx", "no-classifier"),  # what it holds
)


def healthy(number: int) -> Repository:
    """A classifier of two to four colours as an ONNX export; one in twenty is a copy of another."""
    chance = random.Random(number - number % 20 if number % 20 == 1 else number)
    colours = tuple(chance.sample(colour_world.NAMES, chance.randint(2, 4)))
    model = colour_world.Classifier(colours, seed=chance.randrange(10**6))
    edge = colour_world.EDGE
    config = {"id2label": dict(enumerate(colours))}
    pictures = {"image_processor_type": "ViTImageProcessor", "do_normalize": False}
    pictures |= {"size": {"height": edge, "width": edge}}
    return Repository(
        {
            "README.md": b"# A model",
            "config.json": json.dumps(config).encode(),
            "preprocessor_config.json": json.dumps(pictures).encode(),
            "onnx/model.onnx": colour_world.classifier_bytes(model),
        }
    )


def broken(number: int, how: str) -> Repository:
    """The same repository, broken for good."""
    made = healthy(number)
    weights = made.files["onnx/model.onnx"]
    if how in ("gone", "gated", "vanished", "damaged"):
        made.fault = how
    elif how == "pickles":
        made.files = {"config.json": b"{}", "pytorch_model.bin": weights}
    elif how == "own-code":
        made.files = {"config.json": b'{"auto_map": {"a": "b.C"}}', "model.safetensors": weights}
    elif how == "no-model":
        made.files = {"README.md": b"# Nothing"}
    elif how == "torn":
        made.files["onnx/model.onnx"] = weights[: len(weights) // 2]
    elif how == "not-onnx":
        made.files["onnx/model.onnx"] = b"<html>rate limit</html>" * 40
    else:
        made.files["onnx/model.onnx"] = (bundled() / "text_model.onnx").read_bytes()
    return made


def bundled() -> Path:
    """An encoder: its text tower is a graph that classifies no picture."""
    return Path(lagotto.__file__).parent / "demo" / "world" / "encoder"


def command(hub: Path, stub: StubHub, home: Path) -> tuple[list[str], dict[str, str]]:
    """The crawl as a user types it, and the environment of the stub."""
    words = [sys.executable, "-m", "lagotto.cli.main", "hub", "add", str(hub), SEARCH, "--json"]
    return words, os.environ | {"HF_ENDPOINT": stub.endpoint, "HF_HOME": str(home)}


def contents(hub: Path) -> dict[str, Any]:
    """Digest of every file that must not depend on history, and the catalogue's rows."""
    files = {
        str(path.relative_to(hub)): sha256_file(path)
        for path in sorted(hub.rglob("*"))
        if path.is_file() and path.name not in ("catalogue.sqlite", ".lock")
    }
    with sqlite3.connect(hub / "catalogue.sqlite") as database:  # may have a kill to roll back
        rows = {t: sorted(map(list, database.execute(f"SELECT * FROM {t}"))) for t in TABLES}
    return {"files": files, "rows": rows}


def crawl(fresh: Path, hub: Path, repositories: dict[str, Repository], home: Path) -> float:
    """One run to its end, without passing faults; its seconds."""
    shutil.copytree(fresh, hub)
    stub = StubHub(repositories)
    words, environment = command(hub, stub, home)
    started = time.perf_counter()
    subprocess.run(words, env=environment, check=True, capture_output=True)
    stub.close()
    return time.perf_counter() - started


def storm(
    fresh: Path, hub: Path, repositories: dict[str, Repository], home: Path, options: Any
) -> dict[str, Any]:
    """Faults and kills, then runs until one ends by itself; what happened."""
    shutil.copytree(fresh, hub)
    stub = StubHub(repositories, Faults(rate=options.rate, seed=options.seed))
    words, environment = command(hub, stub, home)
    chance, kills, again = random.Random(options.seed), 0, 0
    while True:
        done = {row[2] for row in contents(hub)["rows"]["models"] if row[3] == "done"}
        served = dict(stub.served)
        process = subprocess.Popen(
            words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            wait_s = chance.uniform(2, options.longest_s) if kills < options.kills else None
            process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        again += sum(
            stub.served[name] > count
            for name, count in served.items()
            if name.rpartition("/onnx/")[0] in done
        )
        if process.returncode == 0 and kills >= options.kills:
            break
        if process.returncode == 0:
            raise SystemExit(f"it ended after {kills} kills; give a shorter --longest-s")
    stub.close()
    return {
        "kills": kills,
        "passing_faults": dict(sorted(stub.struck.items())),
        "requests": len(stub.requests),
        "fetched_again": again,
    }


def differences(stormy: dict[str, Any], calm: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """What is not as it must be."""
    wrong = [] if stormy == calm else ["stormy is not as calm"]
    known = {tuple(map(str, row)) for row in whole["rows"]["models"]}
    for row in stormy["rows"]["models"]:
        if row[3] == "done" and tuple(map(str, row)) not in known:
            wrong.append(f"{row[2]} is not as in whole")
        path = f"responses/{row[1]}.safetensors"
        if row[3] == "done" and stormy["files"][path] != whole["files"].get(path):
            wrong.append(f"responses of {row[2]} are not as in whole")
        if row[3] == "pending":
            wrong.append(f"{row[2]} is pending")
    explained = {row[0] for row in stormy["rows"]["failures"] if row[2]}
    failed = {row[0] for row in stormy["rows"]["models"] if row[3] == "failed"}
    return wrong if explained == failed else [*wrong, "a failure has no reason"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.1, help="share of requests that fail")
    parser.add_argument("--longest-s", type=float, default=15.0, help="longest time to a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [f"org/model-{number:03d}" for number in range(options.models)]
    well = {name: healthy(number) for number, name in enumerate(names)}
    ill = dict(well)
    for place, number in enumerate(range(7, options.models, 10)):
        ill[names[number]] = broken(number, BROKEN[place % len(BROKEN)])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = colour_world.write_pictures(folder / "pictures", each=4)
        encoder = colour_world.write_encoder(folder / "encoder")
        fresh = folder / "fresh"
        lagotto.Hub.create(fresh, pictures, str(encoder))
        whole_s = crawl(fresh, folder / "whole", well, folder / "home")
        calm_s = crawl(fresh, folder / "calm", ill, folder / "home")
        started = time.perf_counter()
        happened = storm(fresh, folder / "stormy", ill, folder / "home", options)
        stormy_s = time.perf_counter() - started
        hubs = [contents(folder / name) for name in ("stormy", "calm", "whole")]
    wrong = differences(*hubs)
    states = [row[3] for row in hubs[0]["rows"]["models"]]
    result = {
        "models": options.models,
        "done": states.count("done"),
        "failed_with_reason": states.count("failed"),
        "copies": len(hubs[0]["rows"]["copies"]),
        "broken_for_good": sum(ill[name] is not well[name] for name in names),
        "kinds_broken_for_good": len(BROKEN),
        "passing_fault_rate": options.rate,
        **happened,
        "differences": len(wrong),
        "whole_s": round(whole_s, 1),
        "calm_s": round(calm_s, 1),
        "stormy_s": round(stormy_s, 1),
        "seed": options.seed,
    }
    for line in wrong[:10]:
        print(line, file=sys.stderr)
    print(json.dumps(result) if options.json else result)
    sys.exit(1 if wrong or result["fetched_again"] else 0)


if __name__ == "__main__":
    main()

"""One `hub add` over a folder of models as engineers leave them: is every file accounted for?

    python benchmarks/reliability/mixed_folder.py --json

The folder is made by the tests' own generator: models of ONNX, TFLite, PyTorch, Keras,
TensorFlow.js, MLflow and Triton that know colours, models of forms that are not read, what a
training leaves, and broken downloads. Each file must become what it is: a model, a failure with a
reason, a model that is not read, or a file that is passed over and counted. Then each colour is
searched for, by text alone and by behaviour alone: outputs that know it must come first. The
baseline is what the version before this folder read of it: .onnx and .tflite files by themselves.

Exit code 1 unless every file becomes what it must, and every model is found.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import colour_world
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.add import AddReport
from lagotto.jobs.worker_limits import Limits
from mixed_folder import MixedFile, write_mixed_folder


def main() -> int:
    """Prints the outcome of every file; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lagotto-mixed-") as temporary:
        result = measure(Path(temporary))
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        for item in result["files"]:
            print(f"{'ok ' if item['ok'] else 'BAD'} {item['path']}: {item['became']}")
        print(json.dumps(result["counts"]))
    return 0 if result["counts"]["wrong"] == 0 and not result["counts"]["not_found"] else 1


def measure(place: Path) -> dict[str, Any]:
    """Adds the folder to a hub of colours, and searches it."""
    world = colour_world.World(
        pictures=colour_world.write_pictures(place / "pictures"),
        encoder=colour_world.write_encoder(place / "encoder"),
        models=place / "none",
        empty_hub=place / "hub",
        hub=place / "hub",
    )
    files = write_mixed_folder(place / "models")
    hub = Hub.create(world.hub, world.pictures, str(world.encoder))
    started = time.perf_counter()
    report = hub.add(place / "models", limits=Limits(memory_bytes=4 << 30))
    seconds = time.perf_counter() - started
    rows = [_row(item, report, place / "models") for item in files]
    found = [_found(hub, item) for item in files if item.colours and item.name in report.done]
    on_disk = sum(file.is_file() for file in (place / "models").rglob("*"))
    shutil.rmtree(place / "models")
    outputs = sum(len(item.colours) for item in files)
    known = sum(item["outputs"] for item in found)
    return {
        "files": rows,
        "search": found,
        "counts": {
            "files_on_disk": on_disk,
            "files_seen": report.files.seen,
            "entries": len(rows),
            "models": len(report.done),
            "failures": len(report.failures),
            "not_read": len(report.not_read),
            "wrong": sum(not row["ok"] for row in rows) + (on_disk != report.files.seen),
            "outputs_that_know_a_colour": outputs,
            "not_found": outputs - sum(item["found"] for item in found),
            "outputs_in_the_hub": known,
            "baseline_models": sum(
                item.outcome == "model" and Path(item.path).suffix in (".onnx", ".tflite")
                for item in files
            ),
            "seconds": round(seconds, 1),
        },
        "written_with": {name: find_spec(name) is not None for name in ("torch", "h5py")},
    }


def _row(item: MixedFile, report: AddReport, folder: Path) -> dict[str, Any]:
    """What became of a file: the first of model, failure, not read; else it was passed over."""
    failures = {failure.model: failure.reason for failure in report.failures}
    not_read = {str(Path(each.file).relative_to(folder)): each for each in report.not_read}
    became, why = "other", ""
    if item.name and item.name in report.done:
        became = "model"
    elif item.name and item.name in failures:
        became, why = "failed", failures[item.name]
    elif item.path in not_read:
        became, why = "not read", f"{not_read[item.path].format}: {not_read[item.path].reason}"
    return {
        "path": item.path,
        "expected": item.outcome,
        "became": became,
        "why": why,
        "ok": became == item.outcome,
    }


def _found(hub: Hub, item: MixedFile) -> dict[str, Any]:
    """How many outputs of a model are found by the name of their colour, from behaviour alone.

    As many hits are looked at as outputs know the colour in the whole hub, at most.
    """
    right = 0
    for logit, colour in enumerate(item.colours):
        hits = hub.search(colour, top=_SHOWN, behaviour_only=True)
        right += any((hit.model, hit.logit) == (item.name, logit) for hit in hits)
    return {"model": item.name, "outputs": len(item.colours), "found": right}


_SHOWN = 6
"""Hits that are looked at: no colour is known by more outputs of the folder."""


if __name__ == "__main__":
    sys.exit(main())

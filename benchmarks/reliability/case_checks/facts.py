"""Models with files beside them: what each file says is found, told and counted."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from lagotto.core.errors import LagottoError
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest, load_model

WORLD = Path(str(files("lagotto") / "demo/world"))
TWELVE = (
    *("violin", "crown", "lemon", "duck", "robot", "pizza", "sailboat", "snail"),
    *("rocket", "cactus", "owl", "key"),
)
FOUR = ("violin", "duck", "crown", "pizza")


def check_local_export(folder: Path, scratch: Path) -> list[str]:
    """Both json files are read, whether the axes are open or the graph lies in onnx/."""
    wrong = []
    digests = set()
    for name in ("open-size", "fixed-size", "transformers-js"):
        found = _inspect(folder / name, scratch).get(name)
        if found is None or found["failure"]:
            wrong.append(f"{name}: {found and found['failure']}")
            continue
        facts = {fact["fact"]: (fact["value"], fact["origin"]) for fact in found["facts"]}
        if facts["size"][0] != "64x64" or facts["labels"][1] != "config.json":
            wrong.append(f"{name}: {facts}")
        if (
            facts["scale"] != ("0..1", "preprocessor_config.json")
            or facts["mean"][0] != "0.5 0.5 0.5"
        ):
            wrong.append(f"{name}: scale {facts['scale']}, mean {facts['mean']}")
        (source,) = scan_models([folder / name])
        if load_model(source).spec.labels != TWELVE:
            wrong.append(f"{name}: labels are {load_model(source).spec.labels}")
        digests.add(behaviour_digest(source))
    return wrong if len(digests) in (0, 3) else [*wrong, "models of other weights have one digest"]


def check_download_folders(folder: Path, scratch: Path) -> list[str]:
    """The list beside each model is taken, and the origin told."""
    names = json.loads((WORLD / "models/q_v2/model.json").read_text(encoding="utf-8"))["labels"]
    wrong = []
    for name, found in _inspect(folder, scratch).items():
        facts = {fact["fact"]: fact["origin"] for fact in found["facts"]}
        if facts.get("labels") not in ("labels.txt", "classes.txt", "model.txt", "labels.json"):
            wrong.append(f"{name}: labels from {facts.get('labels')}: {found['failure']}")
        (source,) = scan_models([folder / name])
        if list(load_model(source).spec.labels or ()) != names:
            wrong.append(f"{name}: labels are {load_model(source).spec.labels}")
    return wrong


def check_two_label_files(folder: Path, scratch: Path) -> list[str]:
    """English words are taken, and a note names what was not."""
    del scratch
    wrong = []
    for source in scan_models([folder]):
        spec = load_model(source).spec
        if spec.labels != FOUR:
            wrong.append(f"{source.name}: labels are {spec.labels}")
        if not any("labels from" in note for note in spec.notes):
            wrong.append(f"{source.name}: no note on the other list")
    return wrong


def check_names(folder: Path, scratch: Path) -> list[str]:
    """Every file is a model with a name of its own, found again by it, and printed safely."""
    hub = _hub(scratch)
    added = _lagotto("hub", "add", hub, folder, "--quiet", "--workers", "1")
    wrong = [] if added.returncode == 0 else [f"hub add: {added.stderr.strip()}"]
    if any(not line.isprintable() for line in added.stdout.splitlines()):
        wrong.append("a name is printed with control characters")
    models = [model["name"] for model in _json("hub", "status", hub)["models"]]
    expected = len(
        [path for path in folder.rglob("*") if path.suffix.lower() == ".onnx" and path.is_file()]
    )
    if len(models) != expected or len(set(models)) != expected:
        wrong.append(f"{expected} files are {len(models)} models: {models}")
    wrong += [f"{name!r} is missing" for name in ("a", "b", "b-quantized") if name not in models]
    for name in models:
        hits = _lagotto("search", hub, "--logit", f"{name}:0", "--top", "1", "--json")
        if hits.returncode:
            wrong.append(f"{name!r} is not searchable: {hits.stderr.strip()}")
    return wrong


def check_same_broken_file(folder: Path, scratch: Path) -> list[str]:
    """Both are failures, nothing is a copy, and the exit code is 1."""
    answer = _lagotto("hub", "add", _hub(scratch), folder, "--json", "--workers", "1")
    report = json.loads(answer.stdout)
    wrong = [] if answer.returncode == 1 else [f"exit code {answer.returncode}"]
    if len(report["failures"]) != 2 or report["copies"]:
        wrong.append(f"{len(report['failures'])} failures, {len(report['copies'])} copies")
    if report["files"]["seen"] != 4:
        wrong.append(f"files: {report['files']}")
    return wrong


def check_foreign_model_json(folder: Path, scratch: Path) -> list[str]:
    """It is left alone with a note, and all five models are found."""
    inspected = _inspect(folder, scratch)
    wrong = [f"{name}: {item['failure']}" for name, item in inspected.items() if item["failure"]]
    if len(inspected) != 5:
        wrong.append(f"{len(inspected)} models: {sorted(inspected)}")
    for name, item in inspected.items():
        beside = not name.startswith("tfjs-in-subfolder")
        if beside and not any("another tool's" in note for note in item["notes"]):
            wrong.append(f"{name}: no note on the other tool's model.json")
    return wrong


def _inspect(models: Path, scratch: Path) -> dict[str, dict[str, Any]]:
    """The answer of `hub add --inspect --json`, by model."""
    answer = _json("hub", "add", _hub(scratch), models, "--inspect", "--workers", "1")
    return {item["model"]: item for item in answer["models"]}


def _hub(scratch: Path) -> Path:
    """An empty hub with a few probes of the demo."""
    hub = scratch / "hub"
    if not hub.exists():
        made = _lagotto(
            *("hub", "create", hub, "--probes", WORLD / "probes.parquet"),
            *("--encoder", WORLD / "encoder", "--max-probes", "40", "--quiet"),
        )
        if made.returncode:
            raise LagottoError(made.stderr.strip())
    return hub


def _json(*words: str | Path) -> dict[str, Any]:
    answer = _lagotto(*words, "--json")
    if answer.returncode:
        raise LagottoError(answer.stderr.strip() or f"exit code {answer.returncode}")
    value: dict[str, Any] = json.loads(answer.stdout)
    return value


def _lagotto(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lagotto.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


CHECKS = {
    "c02": check_local_export,
    "c08": check_download_folders,
    "c18": check_two_label_files,
    "c21": check_names,
    "c22": check_same_broken_file,
    "c23": check_foreign_model_json,
}

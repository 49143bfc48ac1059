"""Lists of class names as they are published: each answers as the same names typed by hand do."""

import json
import subprocess
import sys
from pathlib import Path

from lagotto import Classifier, Hub
from lagotto.core.errors import UsageError
from lagotto.demo.bundled import DEMO_ENCODER, MODELS, PROBES, read_heldout

NAMES = ["violin", "duck", "crown", "pizza"]
TEMPLATES = ("templates_c.txt", "templates_class.txt")
MODEL = "q_v2"


def check_label_arguments(folder: Path, scratch: Path) -> list[str]:
    """Every list is the four names in order, for every command that takes names."""
    picture = scratch / "picture.webp"
    picture.write_bytes(read_heldout()[0].data)
    lists = [file for file in sorted(folder.iterdir()) if file.name not in TEMPLATES]
    typed = _answer(picture, NAMES)
    wrong = [
        f"{file.name}: other answers than the names typed"
        for file in lists
        if _answer(picture, file) != typed
    ]
    for name in TEMPLATES:
        text = (folder / name).read_text(encoding="utf-8")
        plain = scratch / name
        plain.write_text(text.replace("{c}", "{}").replace("{class}", "{}"), encoding="utf-8")
        if _answer(picture, NAMES, folder / name) != _answer(picture, NAMES, plain):
            wrong.append(f"{name}: other answers than the same templates with {{}}")
    words = ("classify", picture, "--encoder", DEMO_ENCODER, "--labels")
    found = _json(*words, folder / "map.json")
    if found.get("labels") != NAMES:
        wrong.append(f"classify --labels map.json: {found.get('labels')}")
    refused = _run(*words, scratch / "none.txt")
    if refused.returncode != 2 or "no such file" not in refused.stderr:
        wrong.append(f"a list that is not there: {refused.stderr or refused.stdout}")
    return wrong + _in_a_hub(folder, lists, scratch / "hub")


def _answer(
    picture: Path, labels: Path | list[str], templates: Path | None = None
) -> tuple[list[str], list[float]]:
    """The labels of a classifier, and their probabilities for the picture."""
    more = {} if templates is None else {"templates": str(templates)}
    try:
        classifier = Classifier(str(DEMO_ENCODER), labels, **more)
    except UsageError as error:
        return [str(error)], []
    names = [label.name for label in classifier.labels]
    return names, classifier.predict_proba(picture)[0].tolist()


def _in_a_hub(folder: Path, lists: list[Path], hub: Path) -> list[str]:
    """The commands that ask a hub: no path becomes a label, and all lists give one answer."""
    _run("hub", "create", hub, "--probes", PROBES, "--encoder", DEMO_ENCODER)
    _run("hub", "add", hub, MODELS / MODEL)
    wrong = []
    with Hub.open(hub) as opened:
        typed = opened.cover(NAMES)
        wrong += [
            f"{file.name}: other models cover it" for file in lists if opened.cover(file) != typed
        ]
    found = _json("search", hub, "--labels", folder / "numbered.txt")
    if found.get("query", {}).get("value") != NAMES:
        wrong.append(f"search --labels numbered.txt asks for {found.get('query')}")
    found = _json("describe", hub, MODEL, "--vocabulary", folder / "classes.csv")
    if found.get("vocabulary", {}).get("names") != len(NAMES):
        wrong.append(f"describe --vocabulary classes.csv: {found.get('vocabulary')}")
    found = _json("audit", hub, MODEL, "--labels", folder / "label2id.json")
    counts = [model["labels"] for model in found.get("models", [])]
    if counts != [len(NAMES)]:
        wrong.append(f"audit --labels label2id.json holds {counts} labels against the outputs")
    return wrong


def _json(*words: object) -> dict:
    answer = _run(*words, "--json")
    return json.loads(answer.stdout) if answer.returncode == 0 else {}


def _run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lagotto.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


CHECKS = {"c12": check_label_arguments}

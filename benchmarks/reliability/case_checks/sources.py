"""Pictures and captions as people have them: each is read, or counted with its reason."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lagotto.demo.bundled import DEMO_ENCODER

MAY_FAIL = {"no_eoi.jpg", "truncated.jpg", "phone.heic"}


def check_quotes(folder: Path, scratch: Path) -> list[str]:
    """Every row of a tab-separated table is a caption, whatever quote marks it has."""
    wrong = []
    for name, rows in (("pairs.tsv", 10), ("texts.tsv", 10), ("many.tsv", 3000)):
        found = _captions(folder / name, scratch / name)
        if found.get("captions") != rows or found.get("set_aside"):
            wrong.append(f"{name}: {found}")
    return wrong


def check_dialects(folder: Path, scratch: Path) -> list[str]:
    """Every published form gives its four pictures with captions; none becomes text alone."""
    wrong = []
    for path in sorted(folder.iterdir()):
        found = _captions(path, scratch / path.name)
        if path.name == "laion-upper":
            if "--text-only" not in found.get("error", ""):
                wrong.append(f"{path.name}: {found}")
        elif (found.get("pictures"), found.get("text_only")) != (4, 0):
            wrong.append(f"{path.name}: {found}")
        elif not _adds_up(found["source_count"]):
            wrong.append(f"{path.name}: the count does not add up: {found['source_count']}")
    return wrong


def check_pictures(folder: Path, scratch: Path) -> list[str]:
    """Every picture has a row: its answer, or why it cannot be read."""
    words = ("classify", folder, "--labels", "red,blue", "--encoder", DEMO_ENCODER, "--json")
    found = _json(*words)
    files = [path for path in folder.iterdir() if path.is_file()]
    rows = found.get("images", [])
    wrong = []
    if len(rows) != len(files):
        wrong.append(f"{len(files)} files and {len(rows)} rows: {found.get('error', '')}")
    for row in rows:
        if "error" in row and Path(row["path"]).name not in MAY_FAIL:
            wrong.append(f"{row['path']}: {row['error']}")
    if rows and not _adds_up(found["source_count"]):
        wrong.append(f"the count does not add up: {found['source_count']}")
    made = _json(
        "hub", "create", scratch / "hub", "--probes", folder, "--encoder", DEMO_ENCODER, "--json"
    )
    if made.get("source_count", {}).get("seen") != len(files):
        wrong.append(f"hub create: {made}")
    return wrong


def _adds_up(count: dict) -> bool:
    return count["seen"] == count["taken"] + count["skipped"] + sum(count["passed_over"].values())


def _captions(pairs: Path, store: Path) -> dict:
    words = ("captions", "create", store, "--pairs", pairs, "--encoder", DEMO_ENCODER)
    return _json(*words, "--json", "--quiet")


def _json(*words: object) -> dict:
    """What a command prints as JSON, or its message under `error`."""
    code = "from lagotto.cli.main import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout) if done.stdout.strip() else {"error": done.stderr.strip()}


CHECKS: dict[str, Callable[[Path, Path], list[str]]] = {
    "c03": check_quotes,
    "c04": check_dialects,
    "c06": check_pictures,
}

"""kill -9 at random moments over every command that writes: what is lost, doubled, left behind?

    python benchmarks/reliability/kill_anywhere.py --moments 500 --json

Each command runs on a fresh copy of a small world of the tests' own, is killed at a random moment
of its undisturbed duration, up to three times in a row, and then run once more to its end. A
command is a fork of this process, which has the modules loaded: so the moments fall on work, not on
imports.

- differing: the files and rows are not those of the same commands without a kill: something was
  lost, doubled, or written half;
- unverified: `hub verify` or `captions verify` names a damage;
- leftovers: a temporary file, a draft or a folder of a worker is left after that next command;
- broken: the next command itself fails where the undisturbed one does not.

Exit code 1 unless all are zero.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

from hub_contents import file_digests, hub_contents

import colour_world
from lagotto.cli.main import main as lagotto

KILLS_IN_A_ROW = 3
_SECOND = ("--shard", "2/2", "--out", "{place}/part2")
Words = tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """A writing command: where it starts, what is run again after a kill, and what must come out.

    `start` has what exists before, by its name in the world. `again` are the commands after the
    last kill, the command itself first.
    """

    command: Words
    again: tuple[Words, ...]
    start: Callable[[Path, Path], None]
    result: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="some commands, like 'hub grow;hub merge'")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = try_all(Path(folder), options.moments, options.seed, options.only)
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    bad = ("differing", "unverified", "leftovers", "broken")
    sys.exit(1 if any(result[name] for name in bad) else 0)


def try_all(folder: Path, moments: int, seed: int, only: str | None = None) -> dict[str, object]:
    """Kills every command in turn until the moments are used up; the counts."""
    started = time.time()
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    world = build_world(folder / "world")
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    per_command: Counter[str] = Counter()
    problems: list[str] = []
    names = None if only is None else only.split(";")
    chosen = {n: item for n, item in scenarios().items() if names is None or n in names}
    expected = {name: undisturbed(item, world, folder) for name, item in chosen.items()}
    while counts["moments"] < moments:
        for name, scenario in chosen.items():
            if counts["moments"] >= moments:
                break
            duration, wanted = expected[name]
            place = folder / "trial"
            place.mkdir()
            scenario.start(world, place)
            for _ in range(min(KILLS_IN_A_ROW, moments - counts["moments"])):
                command = resumed(scenario, place)
                if not killed(command, place, chance.uniform(0, duration)):
                    break
                counts["moments"] += 1
                per_command[name] += 1
            counts["trials"] += 1
            for found in after(scenario, place, wanted, temporary):
                counts[found.partition(":")[0]] += 1
                problems.append(f"{name}: {found}")
                print(problems[-1], file=sys.stderr)
            shutil.rmtree(place)
        print(f"{counts['moments']} of {moments} moments", file=sys.stderr)
    return {
        "moments": counts["moments"],
        "trials": counts["trials"],
        **{name: counts[name] for name in ("differing", "unverified", "leftovers", "broken")},
        "commands": dict(per_command),
        "problems": problems[:20],
        "seed": seed,
        "minutes": round((time.time() - started) / 60, 1),
    }


# ----------------------------------------------------------------------------------- the commands


def scenarios() -> dict[str, Scenario]:
    """Every command that writes, on the world that `build_world` makes."""
    probes = ("--probes", "{world}/pictures", "--encoder", "{world}/encoder")
    pairs = ("--pairs", "{world}/pairs.jsonl")
    labels = ("--labels", "red,green,blue", "--encoder", "{world}/encoder")
    share = ("--probes-per-model", "16")
    one = ("hub", "add", "{place}/hub", "{world}/models/plain", "--quiet")
    create = ("captions", "create", "{place}/store", *pairs, "--encoder", "{world}/encoder")
    return {
        "hub create": _on("hub create {place}/hub --quiet", probes, start=_nothing),
        "hub add": _on("hub add {place}/hub {world}/models --quiet", start=_copy("empty:hub")),
        "hub add, a share": _on(
            "hub add {place}/hub {world}/models --quiet", share, start=_copy("empty:hub")
        ),
        "hub remove": _on("hub remove {place}/hub bytes", again=(one,), start=_copy("hub")),
        "hub add, one more": Scenario(one, (one,), _copy("grown:hub"), "hub"),
        "hub add --shard": _on(
            "hub add {place}/hub {world}/models --quiet --shard 1/2 --out {place}/part1",
            start=_copy("empty:hub"),
            again=(
                ("hub", "add", "{place}/hub", "{world}/models", "--quiet", *_SECOND),
                ("hub", "merge", "{place}/hub", "{place}/part1", "{place}/part2", "--quiet"),
            ),
        ),
        "hub merge": _on(
            "hub merge {place}/hub {world}/part2 {world}/part1 --quiet", start=_copy("empty:hub")
        ),
        "hub merge, into models": _on(
            "hub merge {place}/hub {world}/part1 {world}/part2 --quiet", start=_copy("grown:hub")
        ),
        "hub grow": _on("hub grow {place}/hub --probes {world}/more --quiet", start=_copy("hub")),
        "hub compact": _on("hub compact {place}/hub --quiet", start=_copy("grown:hub")),
        "hub index": _on("hub index {place}/hub --quiet", start=_copy("hub")),
        "audit --all": _on("audit {place}/hub --all --quiet", start=_old_hub),
        "captions create": Scenario(create, (create,), _nothing, "store"),
        "captions add": _on("captions add {place}/store --quiet", pairs, start=_copy("half:store")),
        "captions index": _on("captions index {place}/store --quiet", start=_copy("store")),
        "captions repair": _on("captions repair {place}/store --quiet", start=_broken_store),
        "describe --out": _on(
            "describe {world}/hub plain --quiet --out {place}/card", start=_nothing, result="card"
        ),
        "classify --explain": _on(
            "classify {world}/some --quiet --csv --explain {place}/pages",
            labels,
            start=_nothing,
            result="pages",
        ),
        "eval --out": _on(
            "eval classification {world}/labelled --quiet --out {place}/report.json",
            labels[2:],
            start=_nothing,
            result=".",
        ),
    }


def _on(
    words: str,
    more: Words = (),
    *,
    start: Callable[[Path, Path], None],
    again: tuple[Words, ...] = (),
    result: str = "",
) -> Scenario:
    command = (*words.split(), *more)
    folder = result or command[2].rpartition("/")[2]
    if command[0] == "audit":
        folder = "hub"
    return Scenario(command, (command, *again), start, folder)


def resumed(scenario: Scenario, place: Path) -> Words:
    """The command that goes on after a kill: a store that was begun is added to."""
    if scenario.command[:2] == ("captions", "create") and (place / "store/captions.json").exists():
        return ("captions", "add", *scenario.command[2:5], "--quiet")
    return scenario.command


def _nothing(world: Path, place: Path) -> None:
    pass


def _copy(names: str) -> Callable[[Path, Path], None]:
    source, _, target = names.partition(":")

    def start(world: Path, place: Path) -> None:
        shutil.copytree(world / source, place / (target or source))

    return start


def _old_hub(world: Path, place: Path) -> None:
    _copy("hub")(world, place)
    colour_world.make_old(place / "hub")


def _broken_store(world: Path, place: Path) -> None:
    _copy("store")(world, place)
    log = place / "store" / "shards.jsonl"
    log.write_bytes(log.read_bytes()[:-40] + b"x" * 39 + b"\n")


def build_world(world: Path) -> Path:
    """Pictures, an encoder, models, and hubs and stores before and after each step."""
    pictures = colour_world.write_pictures(world / "pictures", each=4)
    encoder = colour_world.write_encoder(world / "encoder")
    colour_world.write_pictures(world / "more", each=2, seed=77_000)
    colour_world.write_models(world / "models", ("plain", "channels_last", "bytes", "nameless"))
    (world / "models" / "broken.onnx").write_bytes(b"no model")
    (world / "some").mkdir()
    for path in sorted(pictures.iterdir())[:6]:
        shutil.copy(path, world / "some")
    for path in sorted(pictures.iterdir()):
        folder = world / "labelled" / path.stem.partition("_")[2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    lines = [
        json.dumps({"image": f"pictures/{path.name}", "captions": [f"a photo {n}", path.stem]})
        for n, path in enumerate(sorted(pictures.iterdir()))
    ]
    (world / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    (world / "few.jsonl").write_text("\n".join(lines[:10]) + "\n")
    common = ("--encoder", str(encoder), "--quiet")
    for words in (
        ("hub", "create", f"{world}/empty", "--probes", str(pictures), *common),
        ("captions", "create", f"{world}/half", "--pairs", f"{world}/few.jsonl", *common),
        ("captions", "create", f"{world}/store", "--pairs", f"{world}/pairs.jsonl", *common),
    ):
        assert run(words, world) == 0, words
    shutil.copytree(world / "empty", world / "hub")
    run(("hub", "add", f"{world}/hub", f"{world}/models", "--quiet"), world)
    for index in ("1", "2"):
        shard = ("--shard", f"{index}/2", "--out", f"{world}/part{index}")
        run(("hub", "add", f"{world}/empty", f"{world}/models", "--quiet", *shard), world)
    shutil.copytree(world / "empty", world / "grown")
    for name in ("channels_last", "bytes", "nameless"):
        run(("hub", "add", f"{world}/grown", f"{world}/models/{name}", "--quiet"), world)
    run(("hub", "remove", f"{world}/grown", "bytes"), world)
    return world


# ------------------------------------------------------------------------------- running, killing


def _child(words: Sequence[str], place: Path) -> int:
    """Forks a process of its own group that runs a command; its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    with contextlib.suppress(BaseException):
        os.setsid()
        quiet = os.open(os.environ.get("KILL_ANYWHERE_LOG", os.devnull), os.O_WRONLY | os.O_APPEND)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        world = place.parent / "world"
        filled = [
            word.replace("{place}", str(place)).replace("{world}", str(world)) for word in words
        ]
        sys.argv = ["lagotto", *filled]
        try:
            lagotto()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    os._exit(code)


def run(words: Sequence[str], place: Path) -> int:
    """Runs a command to its end; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(_child(words, place), 0)[1])


def killed(words: Sequence[str], place: Path, after_s: float) -> bool:
    """Starts a command and kills its group after a time; False if it ended before."""
    child = _child(words, place)
    end = time.monotonic() + after_s
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def undisturbed(scenario: Scenario, world: Path, folder: Path) -> tuple[float, dict[str, object]]:
    """How long the command takes, and what its result holds."""
    place = folder / "trial"
    place.mkdir()
    scenario.start(world, place)
    started = time.perf_counter()
    codes = [run(scenario.command, place)]
    duration = time.perf_counter() - started
    codes += [run(words, place) for words in scenario.again[1:]]
    if not set(codes) <= {0, 1}:
        raise SystemExit(f"{scenario.command} ends with {codes} without a kill")
    held = contents(place / scenario.result)
    shutil.rmtree(place)
    return duration, held


def after(scenario: Scenario, place: Path, wanted: dict[str, object], temporary: Path) -> list[str]:
    """Runs what comes after a kill, and says what is wrong then."""
    found = []
    for words in (resumed(scenario, place), *scenario.again[1:]):
        code = run(words, place)
        # What a kill came too late for is refused as done: it exists, or is no longer there.
        if code not in (0, 1, 2):
            found.append(f"broken: {words[:2]} ended with {code}")
    held = contents(place / scenario.result)
    if held != wanted:
        found.append(f"differing: {differences(held, wanted)}")
    if scenario.result in ("hub", "store"):
        kind = "hub" if scenario.result == "hub" else "captions"
        verified = run((kind, "verify", "{place}/" + scenario.result), place)
        if verified:
            found.append(f"unverified: {verified}")
    left = [str(path.relative_to(place)) for path in place.rglob("*") if _is_left(path)]
    left += [path.name for path in temporary.iterdir() if _settled(path)]
    if left:
        found.append(f"leftovers: {left[:5]}")
    return found


def _is_left(path: Path) -> bool:
    name = path.name
    return (
        name.endswith((".tmp", ".aside"))
        or ".draft-" in name
        or ".partial." in name
        or name in ("staging", "fetched", "growing", "appending.json")
    )


def _settled(path: Path) -> bool:
    """Whether a folder of a process is still there: a worker may take a moment to end."""
    for _ in range(100):
        if not path.exists():
            return False
        time.sleep(0.01)
    return True


def contents(folder: Path) -> dict[str, object]:
    """What must not depend on history: digests of files, and the rows of a catalogue."""
    if (folder / "catalogue.sqlite").exists():
        return hub_contents(folder)
    held = file_digests(folder)
    if (folder / "report.json").exists():
        report = json.loads((folder / "report.json").read_text())
        held["report"] = sorted(report)
    if (folder / "shards.jsonl").exists():
        last = json.loads((folder / "shards.jsonl").read_text().splitlines()[-1])
        held["shards.jsonl"] = {key: last[key] for key in ("pictures", "captions", "lengths")}
    return held


def differences(held: dict[str, object], wanted: dict[str, object]) -> str:
    """The names of what differs."""
    names = [name for name in {**held, **wanted} if held.get(name) != wanted.get(name)]
    return ", ".join(names[:5])


if __name__ == "__main__":
    main()

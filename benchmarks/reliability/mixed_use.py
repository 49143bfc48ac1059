"""Two writers, four readers and two verifiers on one hub and one caption store, for some minutes.

    python benchmarks/reliability/mixed_use.py --minutes 60 --json

Eight processes live through the whole run. One writer adds and removes models of a hub in a fixed
cycle, one adds captions to a store. Two readers search the hub through one `Hub` object each, two
search the store. Two verifiers read every file. Then the same steps are made one after the other in
one process, and every answer is compared with the answer of that replay in the same state: the same
models in the same order, the same captions.

- wrong: answers that differ from the replay's;
- errors: anything that was raised, and damages that two looks at one state name;
- grown: processes that held more open files in the second half of the run than in the first, or
  whose memory grew by more than 2 % and 10 MB a minute.

Exit code 1 unless all are zero, and unless every kind of process did something.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import numpy as np

import colour_world
from lagotto.core.errors import HubError
from lagotto.core.progress import Silent
from lagotto.hub.hub import Hub
from lagotto.hub.reader.changes import change_mark
from lagotto.hub.reader.verify import verify_hub
from lagotto.hub.store.layout import HubLayout
from lagotto.jobs.worker_limits import Limits
from lagotto.zeroshot.captions.search import search_text
from lagotto.zeroshot.captions.store import CaptionStore

MODELS = ("plain", "channels_last", "bytes")
CYCLE = (
    *(("remove", "plain"), ("add", "plain"), ("remove", "channels_last")),
    *(("remove", "bytes"), ("add", "channels_last"), ("add", "bytes")),
)
COLOURS = ("red", "green", "blue", "yellow", "cyan")
ROLES = (
    *("hub writer", "store writer", "hub reader", "hub reader", "store reader", "store reader"),
    *("hub verifier", "store verifier"),
)
SAMPLE_S = 2.0
MOST_ADDED = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        print(json.dumps(play(options.role, options.world, 60 * options.minutes)))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = use(Path(folder), options.minutes)
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    idle = [name for name, count in result["steps"].items() if not count]  # type: ignore[attr-defined]
    sys.exit(1 if result["wrong"] or result["errors"] or result["grown"] or idle else 0)


def use(folder: Path, minutes: float) -> dict[str, object]:
    """Runs the eight processes and the replay; what they found."""
    world = build_world(folder / "world")
    copies = {name: shutil.copytree(world / name, folder / name) for name in ("hub", "store")}
    command = [sys.executable, __file__, "--minutes", str(minutes), "--world", str(world)]
    processes = [
        subprocess.Popen([*command, "--role", role], stdout=subprocess.PIPE, text=True)
        for role in ROLES
    ]
    try:
        played = [json.loads(process.communicate()[0] or "{}") for process in processes]
    finally:
        for process in processes:
            process.kill()
    steps = {
        f"{role} {number}": report.get("steps", 0)
        for number, (role, report) in enumerate(zip(ROLES, played, strict=True), 1)
    }
    errors = [line for report in played for line in report.get("errors", ["no report"])]
    wanted = replay(copies["hub"], copies["store"], world, played)
    answers = [answer for report in played for answer in report.get("answers", [])]
    wrong = [answer for answer in answers if wanted.get(answer[0], {}).get(answer[1]) != answer[2]]
    resources = {
        name: report.get("resources", {}) for name, report in zip(steps, played, strict=True)
    }
    return {
        "minutes": minutes,
        "steps": steps,
        "answers_compared": sum(report.get("compared", 0) for report in played),
        "states": len({answer[0] for answer in answers}),
        "wrong": len(wrong),
        "errors": len(errors),
        "grown": [name for name, item in resources.items() if item.get("grew")],
        "resources": resources,
        "examples": [*map(str, wrong[:3]), *errors[:5]],
        "load": list(os.getloadavg()),
    }


# ------------------------------------------------------------------------------------ the processes


def play(role: str, world: Path, seconds: float) -> dict[str, object]:
    """Does one thing again and again until the time is over; what came of it."""
    step = _PLAYS[role](world)
    end = time.monotonic() + seconds
    steps, compared = 0, 0
    errors: list[str] = []
    answers: dict[str, list[object]] = {}
    samples: list[tuple[float, int, float]] = []
    sampled_at = 0.0
    while time.monotonic() < end:
        try:
            answer = step()
        except Exception as error:  # whatever it is, it is what this run looks for
            place = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(place.filename).name}:{place.lineno}"
            errors.append(f"{role}: {type(error).__name__} at {at}: {error}"[:300])
            answer = None
        steps += 1
        if answer is not None:
            compared += 1
            answers.setdefault(json.dumps(answer), list(answer))
        if time.monotonic() - sampled_at > SAMPLE_S:
            sampled_at = time.monotonic()
            samples.append((sampled_at, len(os.listdir("/proc/self/fd")), _resident_mb()))
    return {
        "steps": steps,
        "compared": compared,
        "answers": list(answers.values()),
        "errors": errors[:20],
        "resources": _growth(samples),
    }


def _hub_writer(world: Path) -> Callable[[], None]:
    hub = Hub.open(world / "hub")
    turn = [0]

    def step() -> None:
        what, name = CYCLE[turn[0] % len(CYCLE)]
        turn[0] += 1
        if what == "remove":
            hub.remove(name)
        else:
            hub.add([world / "models" / name], limits=Limits(workers=1))
        time.sleep(0.2)

    return step


def _store_writer(world: Path) -> Callable[[], None]:
    turn = [0]

    def step() -> None:
        if turn[0] < MOST_ADDED:
            _add_captions(world / "store", world, turn[0])
            turn[0] += 1
        time.sleep(0.5)

    return step


def _add_captions(store: Path, world: Path, number: int) -> None:
    file = world / f"captions-{store.parent.name}-{number}.txt"
    colour = COLOURS[number % len(COLOURS)]
    file.write_text(f"a photo of {colour} {number}\nthe {colour} one of {number}\n")
    CaptionStore.open(store).add(file)
    file.unlink()


def _hub_reader(world: Path) -> Callable[[], list[object] | None]:
    hub = Hub.open(world / "hub")
    turn = [os.getpid()]

    def step() -> list[object] | None:
        turn[0] += 1
        colour = COLOURS[turn[0] % len(COLOURS)]
        before = change_mark(HubLayout(world / "hub"))
        models = hub.models
        found = hub.search(colour, behaviour_only=True, k=9, top=5)
        if before != change_mark(HubLayout(world / "hub")):
            return None
        return _hub_answer(models, colour, found)

    return step


def _hub_answer(models: tuple[str, ...], colour: str, found: object) -> list[object]:
    hits = [[hit.model, hit.logit, round(hit.score, 4)] for hit in found]  # type: ignore[attr-defined]
    return ["hub " + ",".join(models), colour, hits]


def _store_reader(world: Path) -> Callable[[], list[object]]:
    encoder = CaptionStore.open(world / "store").encoder
    turn = [os.getpid()]

    def step() -> list[object]:
        turn[0] += 1
        time.sleep(0.05)
        with CaptionStore.open(world / "store", encoder) as store:
            return _store_answer(store, COLOURS[turn[0] % len(COLOURS)])

    return step


def _store_answer(store: CaptionStore, colour: str) -> list[object]:
    found = search_text(store, f"a photo of {colour}", 5)
    return [f"store {store.captions}", colour, [item.text for item in found.captions]]


def _hub_verifier(world: Path) -> Callable[[], None]:
    layout = HubLayout(world / "hub")

    def step() -> None:
        before = change_mark(layout)
        looks = [set(map(str, verify_hub(world / "hub"))) for _ in range(2)]
        damages = set.intersection(*looks)
        if damages and before == change_mark(layout) and not (layout.staging).exists():
            raise HubError("; ".join(sorted(damages)))
        time.sleep(0.2)

    return step


def _store_verifier(world: Path) -> Callable[[], None]:
    def step() -> None:
        looks = [set(CaptionStore.open(world / "store").verify()) for _ in range(2)]
        if damages := set.intersection(*looks):
            raise HubError("; ".join(sorted(damages)))
        time.sleep(0.2)

    return step


_PLAYS: dict[str, Callable[[Path], Callable[[], list[object] | None]]] = {
    "hub writer": _hub_writer,
    "store writer": _store_writer,
    "hub reader": _hub_reader,
    "store reader": _store_reader,
    "hub verifier": _hub_verifier,
    "store verifier": _store_verifier,
}


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _growth(samples: list[tuple[float, int, float]]) -> dict[str, object]:
    """Open files and memory in the first and the second half, and whether they grew.

    The first quarter is left out: there libraries are loaded and caches filled.
    """
    rest = samples[len(samples) // 4 :]
    if len(rest) < 8:
        return {}
    half = len(rest) // 2
    first, second = rest[:half], rest[half:]
    times = np.array([item[0] for item in rest]) / 60
    memory = np.array([item[2] for item in rest])
    slope = float(np.polyfit(times - times[0], memory, 1)[0])
    # A reader has the files of the models that it last saw: their number goes up and down.
    files = [max(item[1] for item in part) for part in (first, second)]
    mean = [float(np.median([item[2] for item in part])) for part in (first, second)]
    return {
        "open_files": files,
        "resident_mb": [round(value, 1) for value in mean],
        "mb_a_minute": round(slope, 2),
        "grew": files[1] > files[0] + 2 or (slope > 10 and mean[1] > 1.02 * mean[0]),
    }


# ------------------------------------------------------------------------------------- the replay


def replay(
    hub: Path, store: Path, world: Path, played: list[dict[str, list[list[object]]]]
) -> dict[str, dict[str, object]]:
    """The right answers by state and question, each step after the other in this process."""
    wanted: dict[str, dict[str, object]] = {}
    states = {str(answer[0]) for report in played for answer in report.get("answers", [])}
    opened = Hub.open(hub)
    for turn in range(-1, len(CYCLE)):
        if turn >= 0:
            what, name = CYCLE[turn]
            if what == "remove":
                opened.remove(name)
            else:
                opened.add([world / "models" / name], limits=Limits(workers=1))
        for colour in COLOURS:
            found = opened.search(colour, behaviour_only=True, k=9, top=5)
            state, question, hits = _hub_answer(opened.models, colour, found)
            wanted.setdefault(str(state), {})[str(question)] = hits
    most = max((int(state.split()[1]) for state in states if state.startswith("store")), default=0)
    number = 0
    encoder = CaptionStore.open(store).encoder
    while True:
        with CaptionStore.open(store, encoder) as reader:
            count = reader.captions
            for colour in COLOURS if f"store {count}" in states else ():
                state, question, texts = _store_answer(reader, colour)
                wanted.setdefault(str(state), {})[str(question)] = texts
        if count >= most:
            return wanted
        _add_captions(store, world, number)
        number += 1


def build_world(world: Path) -> Path:
    """Pictures, an encoder, models, a hub with all of them, and a caption store."""
    pictures = colour_world.write_pictures(world / "pictures", each=4)
    encoder = colour_world.write_encoder(world / "encoder")
    colour_world.write_models(world / "models", MODELS)
    hub = Hub.create(world / "hub", pictures, str(encoder))
    for name in MODELS:
        hub.add([world / "models" / name], progress=Silent())
    lines = [
        json.dumps({"image": f"pictures/{path.name}", "caption": path.stem.partition("_")[2]})
        for path in sorted(pictures.iterdir())
    ]
    (world / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    CaptionStore.create(world / "store", world / "pairs.jsonl", str(encoder)).close()
    with suppress(OSError):
        (world / "pairs.jsonl").unlink()
    return world


if __name__ == "__main__":
    main()

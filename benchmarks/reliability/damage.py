"""Every file of a hub and of a caption store, damaged one at a time: told, harmless or silent?

    python benchmarks/reliability/damage.py --json

A small hub and a small caption store are made by the tests' own generators. Each damage is put on a
fresh copy, then the commands that read it are run, each in a process of its own. Of one damage:

- detected: `verify` names it, or a command refuses by one line;
- harmless: every command answers as before, and nothing names it (a status may tell of it);
- silent: a command answers otherwise and exits 0, and `verify` says that all is well;
- traceback, crash: a command ends by a traceback, or by a signal.

Exit code 1 unless the last three are zero.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import colour_world
from command_line import lagotto
from lagotto.hub.hub import Hub

HUB_COMMANDS = {
    "text": ("search", "{}", "red", "--json", "--quiet"),
    "low-rank": ("search", "{}", "blue", "--low-rank", "--json", "--quiet"),
    "behaviour": ("search", "{}", "cyan", "--behaviour-only", "--json", "--quiet"),
    "paper": ("search", "{}", "white", "--rule", "paper", "--json", "--quiet"),
    "logit": ("search", "{}", "--logit", "plain:0", "--json", "--quiet"),
    "labels": ("search", "{}", "--labels", "red,green", "--json", "--quiet"),
    "describe": ("describe", "{}", "plain", "--json", "--quiet"),
    "audit": ("audit", "{}", "plain", "--json", "--quiet"),
    "status": ("hub", "status", "{}", "--json"),
}
STORE_COMMANDS = {
    "text": ("captions", "search", "{}", "a photo of red", "--json"),
    "status": ("captions", "status", "{}", "--json"),
    "classify": ("classify", "PICTURE", "--labels", "red,green,blue", "--captions", "{}", "--json"),
    "approximate": (
        *("classify", "PICTURE", "--labels", "red,green,blue", "--captions", "{}"),
        *("--approximate", "--json"),
    ),
}
UNSTABLE = re.compile(r'"(elapsed_s|disk_bytes|bytes)": [\d.e-]+')
_LONGEST_S = 60
ALIKE = {"responses": 2, "probes/pictures": 2}
"""Folders of files that are all of one kind, and how many of them are tried."""


def _put(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(data)


def _flip(file: Path, share: float) -> None:
    data = bytearray(file.read_bytes())
    data[min(int(share * len(data)), len(data) - 1)] ^= 0x41
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut to half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "last byte lost": lambda file: os.truncate(file, file.stat().st_size - 1),
    "64 bytes zeroed": lambda file: _put(
        file, file.stat().st_size // 2, bytes(min(64, file.stat().st_size // 2))
    ),
    "a bit at the start": lambda file: _flip(file, 0.02),
    "a bit in the first half": lambda file: _flip(file, 0.3),
    "a bit in the second half": lambda file: _flip(file, 0.75),
    "a bit at the end": lambda file: _flip(file, 0.99),
    "bytes appended": lambda file: file.open("ab").write(b"junk"),
    "deleted": Path.unlink,
    "a folder instead": lambda file: (file.unlink(), file.mkdir()),
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its code (negative: a signal), what it printed, whether it broke."""

    code: int
    out: str
    traceback: bool


def run(words: Sequence[str]) -> Outcome:
    """A command in a child of this process, which has everything imported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(_LONGEST_S)  # a command that hangs ends by a signal
        answer, broke = None, False
        try:
            answer = lagotto(*words)
        except BaseException:
            broke = True
        content = {
            "code": 1 if answer is None else answer.code,
            "out": "" if answer is None else answer.out,
            "traceback": broke or "Traceback" in (answer.err if answer else ""),
        }
        with os.fdopen(writer, "w") as stream:
            json.dump(content, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or not text:
        return Outcome(-os.WTERMSIG(status) or -1, "", traceback=False)
    return Outcome(**json.loads(text))


def tried_files(folder: Path) -> Iterator[str]:
    """The files of a folder, relative to it; a few of those that are all of one kind."""
    seen: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name == ".lock":
            continue
        kind = next((kind for kind in ALIKE if name.startswith(f"{kind}/")), None)
        if kind is not None:
            seen[kind] += 1
            if seen[kind] > ALIKE[kind]:
                continue
        yield name


def try_folder(
    base: Path, commands: dict[str, tuple[str, ...]], verify: tuple[str, ...], place: Path
) -> dict[str, object]:
    """Counts of all damages of a hub or store, and each that was not detected or harmless."""

    def ask(folder: Path, words: Sequence[str]) -> Outcome:
        return run([word.replace("{}", str(folder)) for word in words])

    def plain(text: str, folder: Path) -> str:
        return UNSTABLE.sub("", text).replace(str(folder), "")

    expected = {name: plain(ask(base, words).out, base) for name, words in commands.items()}
    assert all(expected.values()), [name for name, out in expected.items() if not out]
    counts: Counter[str] = Counter()
    worst = []
    for name in tried_files(base):
        for damage, apply in DAMAGES.items():
            folder = place / "copy"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(base, folder)
            if not (folder / name).stat().st_size and damage not in ("deleted", "a folder instead"):
                continue
            apply(folder / name)
            found = {each: ask(folder, words) for each, words in commands.items()}
            verified = ask(folder, verify)
            fates = {
                each: _fate(
                    outcome, each == "status" or plain(outcome.out, folder) == expected[each]
                )
                for each, outcome in found.items()
            }
            fates["verify"] = _fate(verified, same=True)
            told = verified.code == 1 or "refused" in fates.values()
            verdict = next((f for f in ("crash", "traceback") if f in fates.values()), None)
            if verdict is None and "other" in fates.values() and verified.code == 0:
                verdict = "silent"
            if verdict is None:
                verdict = "detected" if told else "harmless"
            counts[verdict] += 1
            if verdict not in ("detected", "harmless"):
                broken = sorted(e for e, fate in fates.items() if fate not in ("same", "refused"))
                worst.append({"file": name, "damage": damage, "is": verdict, "in": broken})
                print(worst[-1], file=sys.stderr)
    kinds = ("detected", "harmless", "silent", "traceback", "crash")
    return {
        "tried": sum(counts.values()),
        **{kind: counts[kind] for kind in kinds},
        "worst": worst,
    }


def _fate(outcome: Outcome, same: bool) -> str:
    if outcome.code < 0:
        return "crash"
    if outcome.traceback:
        return "traceback"
    if outcome.code:
        return "refused"
    return "same" if same else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=["hub", "captions"])
    options = parser.parse_args()
    result: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        # In a child: threads of this process would not be in the children that it forks later.
        builder = os.fork()
        if builder == 0:
            make_folders(place)
            os._exit(0)
        assert os.waitpid(builder, 0)[1] == 0
        if options.only != "captions":
            verify = ("hub", "verify", "{}")
            result["hub"] = try_folder(place / "world" / "hub", HUB_COMMANDS, verify, place)
        if options.only != "hub":
            store = place / "store"
            picture = str(sorted((place / "world" / "pictures").glob("0*.png"))[0])
            commands = {
                name: tuple(picture if word == "PICTURE" else word for word in words)
                for name, words in STORE_COMMANDS.items()
            }
            verify = ("captions", "verify", "{}")
            result["captions"] = try_folder(store, commands, verify, place)
    print(json.dumps(result, indent=1) if options.json else result)
    bad = sum(
        int(each[kind]) for each in result.values() for kind in ("silent", "traceback", "crash")
    )
    sys.exit(1 if bad else 0)


def make_folders(place: Path) -> None:
    """A hub with its index; a store of its pictures and of texts without one, with its indexes."""
    world = colour_world.build_world(place / "world")
    Hub.open(world.hub).build_index(3)
    lines = [
        json.dumps({"image": str(file), "caption": f"a photo of {file.stem.partition('_')[2]}"})
        for file in sorted(world.pictures.glob("0*.png"))
    ]
    (place / "pairs.jsonl").write_text("\n".join(lines))
    (place / "texts.txt").write_text("a photo of red\nphoto of green and blue\n")
    store = place / "store"
    common = ("--encoder", world.encoder, "--quiet")
    assert lagotto("captions", "create", store, "--pairs", place / "pairs.jsonl", *common).code == 0
    added = lagotto("captions", "add", store, "--pairs", place / "texts.txt", "--quiet")
    assert added.code == 0
    assert lagotto("captions", "index", store, "--quiet").code == 0


if __name__ == "__main__":
    main()

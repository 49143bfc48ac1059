"""Every file of a hub and of a caption store, damaged one at a time: told, harmless or silent?

    python benchmarks/reliability/damage.py --json

Small hubs and a small caption store are made by the tests' own generators (damage_folders.py), also
published ones, hubs that are merged, and one whose growth was cut off. Each damage is put on a
fresh copy, then the commands that read it are run in a process of their own. Of one damage:

- detected: `verify` names it, a command refuses by one line, or its answer names the damaged file;
- harmless: every command answers as before, and nothing names it (a status may tell of it);
- silent: a command answers otherwise, exits 0 and does not name the file, and `verify` says that
  all is well. Where each command goes on from the one before, as a search goes on from a merge, it
  is enough that one of them names it;
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

os.environ["HF_HUB_OFFLINE"] = "1"

from damage_folders import Subject, ask_folder, make_growing, make_subjects, subjects

UNSTABLE = re.compile(r'"(elapsed_s|disk_bytes|bytes|resumed)": [\d.e-]+')
"""What a run cost; `resumed`: how much of the work of a run that was cut off it could take over."""

_LONGEST_S = 60
BROKEN = ("crash", "traceback", "other")
"""Fates of a command that neither answered as before, nor refused, nor told of the damage."""

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
    """How a command ended: its code (negative: a signal), what it printed, whether it broke.

    `out` and `err` are its answer and its messages, `modules` those that it imported.
    """

    code: int
    out: str
    err: str
    traceback: bool
    modules: tuple[str, ...] = ()

    def names(self, file: str) -> bool:
        """Whether the answer or a message names a file by its path in the folder."""
        return f"/{file}" in self.out or f"/{file}" in self.err


def run(commands: Sequence[Sequence[str]], is_enough: Callable[[Outcome], bool]) -> list[Outcome]:
    """Commands, one after the other, in a child of this process, which has everything imported.

    A child that ends before all of them is that command's crash, and another child goes on. The
    rest is left out once an outcome is enough.
    """
    found: list[Outcome] = []
    while len(found) < len(commands) and not (found and is_enough(found[-1])):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as stream:
                for words in commands[len(found) :]:
                    signal.alarm(_LONGEST_S)  # a command that hangs ends by a signal
                    outcome = _answer(words)
                    print(json.dumps(asdict(outcome)), file=stream, flush=True)
                    if is_enough(outcome):
                        break
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            found += [Outcome(**json.loads(line)) for line in stream]
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            found.append(Outcome(-os.WTERMSIG(status), "", "", traceback=False))
    return found


def _answer(words: Sequence[str]) -> Outcome:
    before = set(sys.modules)
    try:
        answer = ask_folder(words)
    except BaseException:
        return Outcome(1, "", "", traceback=True)
    modules = tuple(sorted(set(sys.modules) - before))
    return Outcome(answer.code, answer.out, answer.err, "Traceback" in answer.err, modules)


def tried_files(subject: Subject) -> Iterator[str]:
    """The files to damage, relative to the folder; a few of those that are all of one kind."""
    seen: Counter[str] = Counter()
    found = {path for pattern in subject.tried for path in subject.folder.glob(pattern)}
    for path in sorted(found):
        name = path.relative_to(subject.folder).as_posix()
        if not path.is_file() or path.name == ".lock":
            continue
        kind = next((kind for kind in ALIKE if f"/{kind}/" in f"/{name}"), None)
        if kind is not None:
            seen[kind] += 1
            if seen[kind] > ALIKE[kind]:
                continue
        yield name


def trials(subject: Subject) -> Iterator[tuple[str, str]]:
    """Each file with each damage that it can have."""
    for name in tried_files(subject):
        is_empty = not (subject.folder / name).stat().st_size
        for damage in DAMAGES:
            if not is_empty or damage in ("deleted", "a folder instead"):
                yield name, damage


def ask(
    folder: Path,
    commands: Iterable[Sequence[str]],
    is_enough: Callable[[Outcome], bool] = lambda _: False,
) -> list[Outcome]:
    """Commands on a folder."""
    os.environ["XDG_CACHE_HOME"] = str(folder)
    texts = [[word.replace("{}", str(folder)) for word in words] for words in commands]
    return run(texts, is_enough)


def plain(outcome: Outcome, folder: Path) -> Outcome:
    """What a command printed, without what differs from run to run."""
    answer = UNSTABLE.sub("", outcome.out).replace(str(folder), "")
    return replace(outcome, out=answer, err=outcome.err.replace(str(folder), ""))


def answers(subject: Subject, copy: Path) -> dict[str, Outcome]:
    """What the commands say of the undamaged folder."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(subject.folder, copy)
    outcomes = ask(copy, subject.commands.values())
    said = dict(zip(subject.commands, outcomes, strict=True))
    assert not any(outcome.code for outcome in outcomes), said
    for module in {name for outcome in said.values() for name in outcome.modules}:
        with suppress(ImportError):  # so that the children of each trial have them
            import_module(module)
    return {name: plain(outcome, copy) for name, outcome in said.items()}


def try_damage(
    subject: Subject, expected: dict[str, Outcome], copy: Path, name: str, damage: str
) -> tuple[str, list[str]]:
    """What became of one damage, and the commands that neither answered as before nor refused."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(subject.folder, copy)
    DAMAGES[damage](copy / name)
    refusal_ends = subject.in_order
    outcomes = ask(copy, subject.commands.values(), lambda found: refusal_ends and found.code > 0)
    fates = {}
    for each, outcome in zip(subject.commands, outcomes, strict=False):
        said, before = plain(outcome, copy), expected[each]
        is_same = each == "status" or said.out == before.out
        fates[each] = _fate(said, is_same, said.names(name) and not before.names(name))
    (verified,) = ask(copy, [subject.verify])
    fates["verify"] = _fate(verified, True, False)
    broken = sorted(each for each, fate in fates.items() if fate in BROKEN)
    return _verdict(set(fates.values()), verified.code != 0, subject.in_order), broken


def _verdict(fates: set[str], is_verified_bad: bool, in_order: bool) -> str:
    """What became of one damage, by the fates of the commands."""
    for worst in ("crash", "traceback"):
        if worst in fates:
            return worst
    is_told = is_verified_bad or (in_order and "told" in fates)
    if "other" in fates and not is_told:
        return "silent"
    return "detected" if is_told or fates & {"told", "refused"} else "harmless"


def try_subject(subject: Subject, place: Path, workers: int) -> dict[str, object]:
    """Counts of all damages of a folder, and each that was not detected or harmless."""
    expected = answers(subject, place / "trial")
    tasks = list(trials(subject))
    counts: Counter[str] = Counter()
    worst = []
    with get_context("fork").Pool(workers) as pool:
        work = partial(_try_one, subject, expected, place)
        for (name, damage), (verdict, broken) in zip(tasks, pool.imap(work, tasks), strict=True):
            counts[verdict] += 1
            if verdict not in ("detected", "harmless"):
                worst.append({"file": name, "damage": damage, "is": verdict, "in": broken})
                print(worst[-1], file=sys.stderr, flush=True)
    files = len({name for name, _ in tasks})
    kinds = ("detected", "harmless", "silent", "traceback", "crash")
    return {
        "files": files,
        "tried": sum(counts.values()),
        **{kind: counts[kind] for kind in kinds},
        "worst": worst,
    }


def _try_one(
    subject: Subject, expected: dict[str, Outcome], place: Path, task: tuple[str, str]
) -> tuple[str, list[str]]:
    return try_damage(subject, expected, place / f"trial-{os.getpid()}", *task)


def _fate(outcome: Outcome, is_same: bool, is_named: bool) -> str:
    if outcome.code < 0:
        return "crash"
    if outcome.traceback:
        return "traceback"
    if outcome.code:
        return "refused"
    if is_named:
        return "told"
    return "same" if is_same else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="+", help="some of the folders, by name")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    result: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        # In children: threads of this process would not be in the children that it forks later,
        # which then wait for them for ever.
        for make in (make_subjects, make_growing):
            builder = os.fork()
            if builder == 0:
                make(place)
                os._exit(0)
            assert os.waitpid(builder, 0)[1] == 0
        assert (place / "growing" / "hub" / "growing" / "responses").is_dir()
        for name, subject in subjects(place).items():
            if name in (options.only or [name]):
                result[name] = try_subject(subject, place, options.workers)
    print(json.dumps(result, indent=1) if options.json else result)
    bad = sum(
        int(str(each[kind]))
        for each in result.values()
        for kind in ("silent", "traceback", "crash")
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

"""Damaged checkpoints by the hundred thousand, opened in workers under their limits.

    python benchmarks/reliability/checkpoint_fuzz.py --count 100000 --json [--readers hdf5,keras]

Each file is made from its number alone (tests/helpers/checkpoint_damage.py, keras_mutation.py),
opened, and all its tensors are read; one of the Keras family is translated to ONNX. It must be
read, or refused by a ModelError of one line. An audit hook of Python watches every opening:
whatever would run code, start a program, import a module, open a socket or write a file is counted.
So is what took longer than --slow seconds. Exit code 1 if there was any of that, another error, or
a worker that crashed, hung or was out of memory.
"""

import argparse
import codecs
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

from checkpoint_damage import READERS as CHECKPOINT_READERS
from checkpoint_damage import damaged
from keras_mutation import KERAS_READERS
from lagotto.core.errors import ModelError
from lagotto.jobs.base import Outcome, Task
from lagotto.jobs.local import LocalRunner

READERS = CHECKPOINT_READERS | KERAS_READERS
BATCH = 250
FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.kill", "os.remove"),
    *("subprocess.", "socket.", "ctypes.", "exec", "compile", "import", "pickle.", "marshal."),
    *("shutil.", "os.rename", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.putenv"),
)
_MESSAGES = 20


class Watch:
    """Counts forbidden events of Python while it is on; a hook cannot be taken off again."""

    def __init__(self) -> None:
        self.is_on = False
        self.events: Counter[str] = Counter()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        writes = event == "open" and str(arguments[1] or "r")[:1] != "r"
        if writes or event.startswith(FORBIDDEN):
            self.events[f"{event} {str(arguments)[:100]}"] += 1


@cache
def _watch() -> Watch:
    """The one of this process, which opens many batches."""
    return Watch()


def fuzz_batch(payload: dict[str, Any], progress: Callable[[int], None]) -> dict[str, Any]:
    """Opens the damaged files of some numbers; the entry of a worker's task."""
    reader = READERS[payload["reader"]]
    file = Path(tempfile.gettempdir()) / f"fuzzed{reader.ending}"
    for name, content in reader.beside.items():
        (file.parent / name).write_bytes(content)
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    codecs.lookup("raw_unicode_escape")  # which Python imports when it first meets such a text
    for seed in reader.seeds():  # imports of the first opening are none of a damaged file
        file.write_bytes(seed)
        reader.read(file)
    watch = _watch()
    watch.events.clear()
    for number in range(payload["first"], payload["first"] + payload["count"]):
        kind, data = damaged(reader, f"{payload['seed']}:{number}")
        file.write_bytes(data)
        started = time.perf_counter()
        watch.is_on = True
        try:
            reader.read(file)
            end = "read"
        except ModelError as error:
            end = "refused"
            if not str(error).isprintable() or len(str(error)) > 500:
                wrong.append(f"{number}: a message that is no line: {ascii(str(error))[:200]}")
        except Exception as error:
            end = "other error"
            wrong.append(f"{number}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            watch.is_on = False
        slowest = max(slowest, time.perf_counter() - started)
        kinds[f"{kind}, {end}"] += 1
    return {
        "kinds": dict(kinds),
        "wrong": wrong[:_MESSAGES],
        "wrongs": len(wrong),
        "events": dict(watch.events),
        "slowest_s": slowest,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="damaged files of each reader")
    parser.add_argument("--readers", default=",".join(READERS), help="names, with commas between")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--slow", type=float, default=10.0, help="seconds that none may take")
    parser.add_argument("--out", type=Path, help="written after every batch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [sys.path[0], here, os.environ.get("PYTHONPATH", "")]
    )
    result = _fuzz(options)
    print(json.dumps(result, indent=1) if options.json else result)
    sys.exit(0 if all(result["checks"].values()) else 1)


@dataclass
class Tally:
    """What became of the damaged files of one reader."""

    kinds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    wrongs: int = 0
    wrong: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    memory_mb: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts what became of a batch."""
        if outcome.value is None:
            self.failures.append(f"batch {outcome.key}: {outcome.failure}")
            return
        self.kinds.update(outcome.value["kinds"])
        self.events.update(outcome.value["events"])
        self.wrongs += outcome.value["wrongs"]
        self.wrong += outcome.value["wrong"]
        self.slowest_s = max(self.slowest_s, round(outcome.value["slowest_s"], 3))
        self.memory_mb = max(self.memory_mb, outcome.value["memory_mb"])

    def as_json(self) -> dict[str, Any]:
        """The fields by name, with some of the messages."""
        shown = {"wrong": self.wrong[:_MESSAGES], "failures": self.failures[:_MESSAGES]}
        return asdict(self) | {"kinds": dict(sorted(self.kinds.items()))} | shown


def _fuzz(options: argparse.Namespace) -> dict[str, Any]:
    """What became of all damaged files, batch by batch of all readers in turn."""
    names = options.readers.split(",")
    tallies = {name: Tally() for name in names}
    tasks = (
        Task(
            f"{name}:{first}",
            "checkpoint_fuzz:fuzz_batch",
            {
                "reader": name,
                "seed": options.seed,
                "first": first,
                "count": min(BATCH, options.count - first),
            },
        )
        for first in range(0, options.count, BATCH)
        for name in names
    )
    started = time.perf_counter()
    runner = LocalRunner(options.workers, 120.0, 1 << 30, [])
    try:
        for outcome in runner.run(tasks):
            tallies[outcome.key.partition(":")[0]].add(outcome)
            if options.out:
                result = _result(tallies, options, time.perf_counter() - started)
                options.out.write_text(json.dumps(result, indent=1))
    finally:
        runner.close()
    return _result(tallies, options, time.perf_counter() - started)


def _result(
    tallies: dict[str, Tally], options: argparse.Namespace, seconds: float
) -> dict[str, Any]:
    found = tallies.values()
    return {
        "files": sum(sum(item.kinds.values()) for item in found),
        "checks": {
            "nothing_executed": not any(item.events for item in found),
            "no_other_error": not any(item.wrongs for item in found),
            "no_crash_hang_or_lack_of_memory": not any(item.failures for item in found),
            "none_slow": all(item.slowest_s < options.slow for item in found),
        },
        "readers": {name: tally.as_json() for name, tally in tallies.items()},
        "seed": options.seed,
        "limits": {"memory_gb": 1, "timeout_s": 120, "slow_s": options.slow},
        "seconds": round(seconds),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), "numpy": version("numpy")},
    }


if __name__ == "__main__":
    main()

"""Makes the whole demo world, step by step, and checks it.

    python make_world.py WORK WORLD [--from STEP]

WORK holds what is never shipped (the training pool, torch weights); about 600 MB.
"""

import argparse
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
STEPS = {  # step: the commands that run at the same time
    "pictures": ["pictures.py pool {work}", "pictures.py shipped {world}"],
    "training": ["classifiers.py {work}", "encoder.py {work}"],
    "export": ["export.py classifiers {work} {world}", "export.py encoder {work} {world}"],
    "report": ["report.py {world}"],
    "check": ["check.py {world}"],
}


def run_step(commands: list[str], work: pathlib.Path, world: pathlib.Path) -> None:
    """The commands side by side; stops at the first failure."""
    running = [
        subprocess.Popen(
            [sys.executable, *(part.format(work=work, world=world) for part in command.split())],
            cwd=HERE,
        )
        for command in commands
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit("a step failed; its message is above")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("world", type=pathlib.Path)
    parser.add_argument("--from", dest="first", choices=list(STEPS), default=next(iter(STEPS)))
    options = parser.parse_args()
    work, world = options.work.resolve(), options.world.resolve()
    names = list(STEPS)
    for name in names[names.index(options.first) :]:
        start = time.monotonic()
        run_step(STEPS[name], work, world)
        print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()

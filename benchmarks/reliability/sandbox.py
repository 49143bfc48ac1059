"""What a worker can reach: each probe as root and as an ordinary user, with guards and without.

    python benchmarks/reliability/sandbox.py --json

The probes are those of the tests (tests/helpers/sandbox_probes.py). They run in a real worker of a
process that has a terminal, another process and sockets to attack. A system without Landlock or
without seccomp is made by a filter that refuses those. Exit code 1 if a probe reached what it must
not, or did not reach what a worker needs.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

from lagotto.jobs.sandbox.guards import find_guards
from lagotto.jobs.sandbox.landlock import landlock_version
from sandbox_probes import PROBES
from sandbox_runs import python_of, run_probes

USERS = ("root", "ordinary")
SYSTEMS = ((), ("landlock",), ("seccomp",), ("landlock", "seccomp"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs, left_out = [], []
    for user in USERS:
        python = python_of(user)
        if python is None or (user == "root" and os.geteuid() != 0):
            left_out.append(user)
            continue
        for without in SYSTEMS:
            found = run_probes(python, user, without)
            wrong = {v.probe.name: v.outcome for v in found if not v.expected}
            runs.append(
                {
                    "user": user,
                    "without": list(without),
                    "reached": [v.probe.name for v in found if v.reached],
                    "not_as_expected": wrong,
                }
            )
    result = {
        "probes": [{"kind": p.kind, "name": p.name, "kept_by": list(p.kept_by)} for p in PROBES],
        "runs": runs,
        "users_left_out": left_out,
        "all_as_expected": not any(run["not_as_expected"] for run in runs),
        "isolation": {guard.what: guard.means for guard in find_guards()},
        "landlock_version": landlock_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    print(json.dumps(result, indent=1) if options.json else _summary(result))
    sys.exit(0 if result["all_as_expected"] else 1)


def _summary(result: dict[str, list[dict[str, object]]]) -> str:
    """A line a run."""
    lines = [f"{len(result['probes'])} probes"]
    for run in result["runs"]:
        lost = " and ".join(run["without"]) or "nothing"  # type: ignore[arg-type]
        reached, wrong = len(run["reached"]), run["not_as_expected"] or "none"  # type: ignore[arg-type]
        lines.append(f"{run['user']}, without {lost}: {reached} reached, not as expected: {wrong}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Files as people have them: each family of inputs is made and read, and what is misread is named.

    python benchmarks/reliability/cases.py --cases DIR --json

DIR holds one script a family, `cNN_name.py`, which writes its inputs into the folder that it is
given. What is right for a family is in `case_checks/`; a family without a check there counts as
wrong, so that none is passed over. Exit code 1 if one is wrong.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

_CHECKS = Path(__file__).resolve().parent / "case_checks"
_MAKING_S = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, required=True, help="the folder with the scripts")
    parser.add_argument("--only", help="a comma list of families, such as c01,c19")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = set(options.only.split(",")) if options.only else None
    scripts = {file.name.partition("_")[0]: file for file in sorted(options.cases.glob("c*_*.py"))}
    wrong = []
    names = [name for name in scripts if wanted is None or name in wanted]
    for name in names:
        found = run_case(name, scripts[name])
        print(f"{scripts[name].stem}: {'right' if not found else 'wrong'}", file=sys.stderr)
        wrong += [{"case": scripts[name].stem, "what": what} for what in found]
    failed = {entry["case"] for entry in wrong}
    result = {"cases": len(names), "right": len(names) - len(failed), "wrong": wrong}
    print(json.dumps(result, indent=1) if options.json else result)
    sys.exit(1 if wrong or not names else 0)


def run_case(name: str, script: Path) -> list[str]:
    """What is wrong with a family of inputs; nothing if all of them are read as they should be."""
    check = load_checks().get(name)
    if check is None:
        return ["no check knows this family"]
    with tempfile.TemporaryDirectory() as temporary:
        folder, scratch = Path(temporary) / "inputs", Path(temporary) / "scratch"
        folder.mkdir()
        scratch.mkdir()
        command = [sys.executable, str(script), str(folder)]
        made = subprocess.run(command, capture_output=True, text=True, timeout=_MAKING_S)
        if made.returncode:
            return [f"its script fails: {made.stderr.strip().splitlines()[-1]}"]
        try:
            wrong: list[str] = check(folder, scratch)
        except Exception:
            wrong = [f"the check fails: {traceback.format_exc(limit=-2)}"]
        return wrong


def load_checks() -> dict:
    """Checks by the short names of families, from all modules of case_checks."""
    checks: dict = {}
    for file in sorted(_CHECKS.glob("[a-z]*.py")):
        checks |= import_module(f"case_checks.{file.stem}").CHECKS
    return checks


if __name__ == "__main__":
    main()

"""Files made to harm, fed to Lagotto one and all: what becomes of each.

    python benchmarks/reliability/attacks.py --json

The attacks are those of the tests, made on the spot (tests/helpers/attack_*.py): hostile pictures
become a hub's probes, hostile models are added to that hub by the command line with a good model
among them, hostile archives and tables are read as captions, hostile hubs are imported. Exit code 1
if one of them does not end as it must, or if anything was executed, read, changed or left behind.
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import attack_run
import colour_world
from lagotto.jobs.sandbox.guards import find_guards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--timeout", type=float, default=6.0, help="seconds that an endless one may take"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        encoder = colour_world.write_encoder(folder / "encoder")
        field = folder / "field"
        field.mkdir()
        battle = attack_run.run_attacks(field, encoder, options.timeout)
        fates = [_without_paths(asdict(fate), str(folder)) for fate in battle.fates]
    checks = {
        "good_model_done": battle.good_models_done,
        "nothing_executed": not battle.executed,
        "secret_untouched": battle.secret_untouched,
        "nothing_left_behind": not battle.strays,
        "every_attack_held": all(fate.held for fate in battle.fates),
    }
    result = {
        "attacks": len(fates),
        "checks": checks,
        "isolation": {guard.what: guard.means for guard in find_guards()},
        "timeout_s": options.timeout,
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("onnxruntime", "ai-edge-litert", "pillow")},
        "fates": fates,
    }
    print(json.dumps(result, indent=1) if options.json else result)
    sys.exit(0 if all(checks.values()) else 1)


def _without_paths(fate: dict[str, object], folder: str) -> dict[str, object]:
    """The same bytes wherever it runs."""
    return {key: v.replace(folder, "...") if isinstance(v, str) else v for key, v in fate.items()}


if __name__ == "__main__":
    main()

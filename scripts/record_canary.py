"""Records what the bundled encoder does, for `lagotto doctor` to hold an installation against.

    python scripts/record_canary.py        # writes src/lagotto/diagnosis/canary.json

Run it when the encoder of the bundled world has changed, and for no other reason: a canary that no
longer fits is what tells that pictures or texts are prepared in another way than before.
"""

import json
from pathlib import Path

from lagotto.demo import bundled
from lagotto.encoders.canary import measure_canary
from lagotto.encoders.registry import load_encoder

FILE = Path(__file__).resolve().parents[1] / "src" / "lagotto" / "diagnosis" / "canary.json"

if __name__ == "__main__":
    recorded = measure_canary(load_encoder(str(bundled.DEMO_ENCODER))).as_json()
    FILE.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")

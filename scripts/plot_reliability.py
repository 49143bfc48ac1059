"""Draws docs/images/reliability.png from benchmarks/results/quality_calibration.json.

    python scripts/plot_reliability.py

Confidence against the share of hits that are right, in deciles, with 95 % over draws of the
concepts; deciles of fewer than 30 hits are left out. Needs the extra `plots`.
"""

import io
import json
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lagotto.core.files import write_atomically

ROOT = Path(__file__).parents[1]
ENOUGH = 30
LINES = {"ten hits": ("tab:red", 0.0), "first hit": ("tab:blue", 0.008)}
"""Colour, and how far to the right it is drawn, that bars do not hide each other."""


def main() -> None:
    found = json.loads((ROOT / "benchmarks/results/quality_calibration.json").read_text())
    with matplotlib.rc_context({"font.size": 10}):
        worlds = {f"mini-hub, {name}": world for name, world in found["worlds"].items()}
        for name, world in found["published"].items():
            worlds[f"published models, {name}"] = world["absent"]["outputs hidden"]
        figure = Figure(figsize=(9, 8.4), dpi=110, layout="constrained")
        panels = figure.subplots(2, len(worlds) // 2, sharey=True)
        for axes, (name, world) in zip(panels.ravel(), worlds.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="black", linestyle=":", label="exactly calibrated")
            for hits, (colour, shift) in LINES.items():
                rows = [
                    row
                    for row in world["confidence"]["confidence"][hits]["bins"]
                    if row[2] >= ENOUGH
                ]
                said = [row[3] + shift for row in rows]
                right = [row[4] for row in rows]
                # a gap is said less right: the highest gap is the lowest share of right ones
                low = [max(0.0, row[4] - (row[3] - row[5][1])) for row in rows]
                high = [max(0.0, (row[3] - row[5][0]) - row[4]) for row in rows]
                axes.errorbar(
                    said, right, [low, high], color=colour, marker="o", capsize=3, label=hits
                )
            axes.set_title(f"{name}, reported half", fontsize=10)
            axes.set_xlabel("confidence")
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
        for axes in panels[:, 0]:
            axes.set_ylabel("share that is right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(ROOT / "docs" / "images" / "reliability.png", buffer.getvalue())


if __name__ == "__main__":
    main()

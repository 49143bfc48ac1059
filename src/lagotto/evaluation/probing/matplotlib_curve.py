"""A probing curve comes in; a PNG like ProbeLog's Figure 7 goes out. Needs the extra `plots`."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lagotto.core.files import write_atomically
from lagotto.evaluation.probing.curve import ProbingCurve

_LINES = {
    "fixed": ("fixed subset", "tab:gray", "o"),
    "seen": ("own probes, seen part", "tab:olive", "v"),
    "paper_rule_completed": ("completed, paper's rule", "tab:orange", "s"),
    "completed": ("completed", "tab:blue", "D"),
    "guarded": ("guarded (what search uses)", "tab:red", "x"),
}


def write_curve(path: Path, curve: ProbingCurve) -> None:
    """Writes a PNG of Top-1 accuracy by probes per model; bars span the lowest and highest seed.

    Raises:
        HubError: The file cannot be written.
    """
    with matplotlib.rc_context({"svg.hashsalt": "lagotto", "font.size": 10}):
        figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        counts = [row.probes for row in curve.rows]
        for name, (label, colour, marker) in _LINES.items():
            accuracies = [row.accuracies[name] for row in curve.rows]
            means = [accuracy.top1 for accuracy in accuracies]
            low = [accuracy.top1 - accuracy.top1_range[0] for accuracy in accuracies]
            high = [accuracy.top1_range[1] - accuracy.top1 for accuracy in accuracies]
            axes.errorbar(
                counts, means, [low, high], label=label, color=colour, marker=marker, capsize=3
            )
        axes.axhline(
            curve.all_probes["default"].top1, color="black", linestyle=":", label="all probes"
        )
        axes.set_xlabel("probes per model")
        axes.set_ylabel("Top-1 accuracy")
        axes.set_ylim(0, _top_of(curve))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(fontsize=8, loc="outside lower center", ncols=3)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(path, buffer.getvalue())


def _top_of(curve: ProbingCurve) -> float:
    """Where the axis of accuracies ends: a little above the highest, and at 1 at most."""
    seeds = [row.accuracies[name].top1_range[1] for row in curve.rows for name in _LINES]
    return min(1.0, max(0.1, 1.1 * max(*seeds, curve.all_probes["default"].top1)))

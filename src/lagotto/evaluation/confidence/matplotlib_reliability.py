"""A reliability comes in; a PNG of it goes out. Needs the extra `plots`."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from lagotto.core.files import write_atomically
from lagotto.evaluation.confidence.reliability import Reliability

FEW = 10
"""Bins of fewer hits say little: they are drawn hollow, and no line goes through them."""


def write_reliability(path: Path, found: Reliability) -> None:
    """Writes a PNG: the share of right hits by confidence, and how many hits there are of each.

    Raises:
        HubError: The file cannot be written.
    """
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(6, 6.4), dpi=120, layout="constrained")
        shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        shares.plot([0, 1], [0, 1], color="black", linestyle=":", label="exactly calibrated")
        many = [item for item in found.bins if item.hits >= FEW]
        few = [item for item in found.bins if item.hits < FEW]
        joined = {"color": "tab:blue", "linestyle": "-", "label": "hits"}
        alone = {"color": "tab:gray", "linestyle": "", "mfc": "white", "label": f"under {FEW} hits"}
        for bins, style in ((many, joined), (few, alone)):
            if bins:
                right = [item.right.value for item in bins]
                low = [item.right.value - item.right.low for item in bins]
                high = [item.right.high - item.right.value for item in bins]
                said = [item.confidence for item in bins]
                shares.errorbar(said, right, [low, high], marker="o", capsize=3, **style)
        shares.set_title(
            f"{found.queries:,} queries, {found.hits:,} hits: "
            f"{100 * found.calibration_error:.1f} points off on average",
            fontsize=11,
        )
        shares.set_ylabel("share that is right")
        shares.set_ylim(-0.02, 1.02)
        shares.legend(fontsize=9, loc="upper left")
        tenths = [min(int(item.confidence * 10), 9) / 10 + 0.05 for item in found.bins]
        bars = counts.bar(tenths, [item.hits for item in found.bins], 0.09, color="tab:gray")
        counts.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=1)
        counts.set_yscale("log")
        counts.set_ylim(0.8, 8 * max(item.hits for item in found.bins))
        counts.set_ylabel("hits")
        counts.set_xlabel("confidence")
        counts.set_xlim(0, 1)
        for axes in (shares, counts):
            axes.xaxis.set_major_locator(MultipleLocator(0.2))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3)
            axes.set_axisbelow(True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(path, buffer.getvalue())

"""Tables of the paper come in; its figures, a PNG each, go out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lagotto.core.files import replacing
from lagotto.evaluation.paper.tables import PaperTable

_INCHES = (7.0, 4.2)
_DOTS_PER_INCH = 150
_CURVES = ("k", "probes")


def write_plots(tables: Sequence[PaperTable], folder: Path) -> tuple[Path, ...]:
    """Writes `NAME.png` for each table into an existing folder: curves over k and probes, or bars.

    The figures show Top-1 accuracy of every kind of query with its 95 % interval.
    """
    paths = []
    for table in tables:
        figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        (_curves if table.name in _CURVES else _bars)(axes, table)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", alpha=0.3)
        axes.legend(frameon=False)
        paths.append(folder / f"{table.name}.png")
        with replacing(paths[-1]) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
    return tuple(paths)


def _curves(axes: Axes, table: PaperTable) -> None:
    steps = [float(row.name) for row in table.rows]
    for position, cell in enumerate(table.rows[0].cells):
        estimates = [row.cells[position].top1 for row in table.rows]
        axes.plot(
            steps, [estimate.value for estimate in estimates], marker="o", label=_plain(cell.kind)
        )
        low, high = (
            [estimate.low for estimate in estimates],
            [estimate.high for estimate in estimates],
        )
        axes.fill_between(steps, low, high, alpha=0.15)
    axes.set_xscale("log")
    axes.set_xticks(steps, [row.name for row in table.rows])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(table.what)
    axes.set_ylabel("Top-1")


def _bars(axes: Axes, table: PaperTable) -> None:
    kinds = [cell.kind for cell in table.rows[0].cells]
    centers = np.arange(len(table.rows))
    height = 0.8 / len(kinds)
    for position, kind in enumerate(kinds):
        estimates = [row.cells[position].top1 for row in table.rows]
        values = np.array([estimate.value for estimate in estimates])
        error = [
            values - [estimate.low for estimate in estimates],
            [estimate.high for estimate in estimates] - values,
        ]
        offset = (position - (len(kinds) - 1) / 2) * height
        axes.bar(centers + offset, values, height, yerr=error, capsize=2, label=_plain(kind))
    axes.set_title(table.what)
    axes.set_xticks(centers, [_plain(row.name) for row in table.rows], rotation=20, ha="right")
    axes.set_ylabel("Top-1")


def _plain(name: str) -> str:
    """A name from a file without markup, and without letters that the font may lack."""
    return name.encode("ascii", "backslashreplace").decode().replace("$", r"\$")

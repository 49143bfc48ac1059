"""An overview of a hub comes in; a PNG of it goes out. Needs the extra `plots`."""

import io
import warnings
from pathlib import Path
from textwrap import wrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lagotto.core.files import write_atomically
from lagotto.core.text.clean import shown
from lagotto.hub.reports.overview import LEAST_SHOWN, HubOverview, ModelLabels

_COLOURS = {
    "firmly": ("label borne out by its audit", "#1b7837"),
    "openly": ("label not contradicted", "#a6d96a"),
    "doubted": ("label not believed", "#d6604d"),
    "unlabelled": ("no label", "#c7c7c7"),
}
_MOST_MODELS = 24
_LONGEST_NAME = 28
_WORDS_NAMED = 8


def write_png(overview: HubOverview, file: Path) -> None:
    """Writes the picture; raises HubError if the file cannot be written."""
    rows = min(len(overview.models), _MOST_MODELS)
    with matplotlib.rc_context({"font.size": 10, "axes.titlesize": 11}):
        height = max(4.6, 1.9 + 0.24 * rows)
        figure = Figure(figsize=(11, height), dpi=120, layout="constrained")
        figure.suptitle(_heading(overview), fontsize=12)
        models, probes = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _draw_models(models, overview)
        _draw_shown(probes, overview)
        buffer = io.BytesIO()
        with warnings.catch_warnings():  # a name in a script that the font lacks is drawn as boxes
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(file, buffer.getvalue())


def _heading(overview: HubOverview) -> str:
    outputs = sum(model.outputs for model in overview.models)
    parts = [
        f"{_plain(overview.name)}: {len(overview.models):,} models with {outputs:,} outputs",
        f"{overview.probes:,} probes",
    ]
    parts += [f"{count:,} failed ({kind})" for kind, count in overview.failures]
    parts += [f"{overview.pending:,} pending"] if overview.pending else []
    parts += [f"{overview.copies:,} copies"] if overview.copies else []
    return ", ".join(parts)


def _draw_models(axes: Axes, overview: HubOverview) -> None:
    """A bar a model, in parts by what is known of the labels of its outputs."""
    most = overview.models[:_MOST_MODELS]
    rest = overview.models[_MOST_MODELS:]
    left = np.zeros(len(most))
    for field, (label, colour) in _COLOURS.items():
        counts = np.array([_count(model, field) for model in most], float)
        if sum(_count(model, field) for model in overview.models):
            axes.barh(range(len(most)), counts, left=left, color=colour, label=label, height=0.75)
        left += counts
    for place, model in enumerate(most):
        axes.annotate(
            f"{model.outputs:,}", (model.outputs, place), (4, 0), textcoords="offset points",
            va="center", fontsize=8, color="dimgray",
        )  # fmt: skip
    axes.margins(x=0.08)
    axes.set_yticks(range(len(most)), [_plain(model.name) for model in most], fontsize=9)
    axes.set_ylim(len(most) - 0.4, -0.6)
    axes.set_xlabel("outputs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    others = f"; {len(rest):,} smaller ones are left out" if rest else ""
    axes.set_title(f"Outputs and labels of the models{others}")
    if most:
        axes.legend(fontsize=8, loc="lower right")


def _draw_shown(axes: Axes, overview: HubOverview) -> None:
    """How surely the probes show the common words, the surest first."""
    axes.set_title("What the probes show")
    if not len(overview.shown):
        axes.text(0.5, 0.5, _wrapped(overview.not_known), ha="center", va="center", fontsize=9)
        axes.set_axis_off()
        return
    share = (np.arange(len(overview.shown)) + 1) / len(overview.shown)
    axes.fill_between(share, overview.shown, color="tab:blue", alpha=0.2, linewidth=0)
    axes.plot(share, overview.shown, color="tab:blue")
    axes.axhline(LEAST_SHOWN, color="tab:red", linestyle=":")
    axes.text(
        0.99, LEAST_SHOWN + 0.012, "below, a search says that no probe shows it", ha="right",
        va="bottom", fontsize=8, color="tab:red",
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"share of {len(overview.words):,} common words")
    axes.set_ylabel("probability of the word on its surest probe")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    text = f"{overview.shown_share:.0%} of the words are shown\n\nsurest: {_some(overview.words)}"
    text += f"\n\nleast: {_some(overview.words[::-1])}"
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=9)


def _count(model: ModelLabels, field: str) -> int:
    return int(getattr(model, field))


def _some(words: tuple[str, ...]) -> str:
    half = _WORDS_NAMED // 2
    named = words[:_WORDS_NAMED]
    return ",\n".join(", ".join(named[at : at + half]) for at in range(0, len(named), half))


def _plain(text: str) -> str:
    """A name on one line, short, in which no sign starts a formula."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return shown(line, _LONGEST_NAME).replace("$", r"\$")


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text.replace("$", r"\$"), 48))

"""The request for plots comes in; a plot writer goes out, loaded from an optional package."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, cast

from lagotto.core.errors import UsageError
from lagotto.core.files import writing
from lagotto.core.registry import Adapter, load_adapter
from lagotto.evaluation.paper.tables import PaperTable

PlotWriter: TypeAlias = Callable[[Sequence[PaperTable], Path], tuple[Path, ...]]

_ADAPTERS = {
    "png": Adapter(
        "lagotto.evaluation.paper.matplotlib_plots",
        "write_plots",
        requires="matplotlib",
        extra="plots",
    )
}


def plot_writer() -> PlotWriter:
    """The function that writes plots; MissingExtraError if matplotlib is not installed."""
    return cast(PlotWriter, load_adapter(_ADAPTERS, "png", "plots as"))


def empty_folder(folder: Path) -> Path:
    """The folder, made if it is missing; UsageError if it is not empty, so nothing is lost."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; give a new folder, or an empty one")
    return folder

"""A hub comes in; what a picture of it shows goes out: its models, its labels, its probes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import LagottoError, UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.encoders.background.words import background_words
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.query.probe_weights import LEAST_COVERAGE, ProbeSpace
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import FIRMLY, OPENLY

LEAST_SHOWN = LEAST_COVERAGE / (1 - LEAST_COVERAGE)
"""LEAST_COVERAGE as a probability among the words themselves: a search has its own concept among
them a second time, if that is a word of the background."""

_WRITERS = {
    "png": Adapter("lagotto.hub.reports.matplotlib_overview", "write_png", "matplotlib", "plots")
}


@dataclass(frozen=True, slots=True)
class ModelLabels:
    """The outputs of a model by what is known of their labels: counts that sum to its outputs.

    `firmly` believed by an audit, `openly` until a query contradicts them, `doubted` not at all,
    and `unlabelled`.
    """

    name: str
    firmly: int
    openly: int
    doubted: int
    unlabelled: int

    @property
    def outputs(self) -> int:
        """All outputs."""
        return self.firmly + self.openly + self.doubted + self.unlabelled


@dataclass(frozen=True, slots=True)
class HubOverview:
    """What a picture of a hub shows.

    Attributes:
        name: the name of the hub's folder.
        probes: the number of probes.
        models: the models, those with most outputs first.
        failures: how many models failed, by kind.
        pending: models that are not probed yet.
        copies: files that are copies of models.
        shown: for each of the common words, how surely any probe shows it: the highest probability
            of the word among all of them, the highest first. Empty without the encoder.
        words: those words, in the same order.
        not_known: why `shown` is empty, or "".
    """

    name: str
    probes: int
    models: tuple[ModelLabels, ...]
    failures: tuple[tuple[str, int], ...]
    pending: int
    copies: int
    shown: Float32[np.ndarray, " words"]
    words: tuple[str, ...]
    not_known: str

    @property
    def shown_share(self) -> float:
        """The share of the common words that a probe shows as surely as a search asks for."""
        return float((self.shown >= LEAST_SHOWN).mean()) if len(self.shown) else 0.0


def draw_overview(hub: HubReader, file: Path) -> HubOverview:
    """Writes a PNG of a hub: outputs and labels of its models, failures, and what its probes show.

    Args:
        hub: The hub; nothing of it is changed.
        file: The PNG; an older one is replaced.

    Returns:
        What the picture shows.

    Raises:
        UsageError: The name of the file does not end in .png.
        MissingExtraError: matplotlib is not installed; the message holds the pip line.
        HubError: The hub cannot be read, or the file cannot be written.
    """
    if file.suffix.lower() != ".png":
        raise UsageError(f"plot {str(file)!r} is no PNG; give a name that ends in .png")
    write: Callable[[HubOverview, Path], None] = load_adapter(_WRITERS, "png", "plot")
    overview = read_overview(hub)
    write(overview, file)
    return overview


def read_overview(hub: HubReader) -> HubOverview:
    """What a picture of a hub shows; raises HubError if the hub cannot be read."""
    status = hub.status(with_models=False)
    trust = LabelTrust(hub.label_lists(), hub.references())
    models = [_model_labels(hub, trust, record.name) for record in hub.records()]
    words, shown, not_known = background_words(), np.empty(0, np.float32), ""
    try:
        shown = measure_shown(hub.space)
    except LagottoError as error:  # the rest of the picture needs no encoder
        not_known = str(error)
    order = np.argsort(-shown, kind="stable")
    return HubOverview(
        name=hub.folder.resolve().name,
        probes=status.probes,
        models=tuple(sorted(models, key=lambda model: -model.outputs)),
        failures=tuple(Counter(failure.kind for failure in status.failures).most_common()),
        pending=status.pending,
        copies=len(status.copies),
        shown=shown[order],
        words=tuple(words[place] for place in order),
        not_known=not_known,
    )


def measure_shown(space: ProbeSpace) -> Float32[np.ndarray, " words"]:
    """For each background word, its highest probability among all of them on any probe."""
    scores = space.logit_scale * space.background_cosines - space.background_scores[0]
    return np.asarray(np.exp(scores.max(axis=1)), dtype=np.float32)


def _model_labels(hub: HubReader, trust: LabelTrust, model: str) -> ModelLabels:
    labelled = np.array([label is not None for label in hub.labels(model)])
    levels = trust.levels(model, len(labelled))
    return ModelLabels(
        name=model,
        firmly=int((labelled & (levels >= FIRMLY)).sum()),
        openly=int((labelled & (levels >= OPENLY) & (levels < FIRMLY)).sum()),
        doubted=int((labelled & (levels < OPENLY)).sum()),
        unlabelled=int((~labelled).sum()),
    )

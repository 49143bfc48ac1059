"""A hub comes in; what the page of its state shows, and how a running `hub add` goes on, go out."""

from dataclasses import dataclass

from lagotto.core.text.clean import shown
from lagotto.hub.hub import Hub
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import FailedModel, RunRecord, split_copies
from lagotto.web.problems import without_paths
from lagotto.web.views.addresses import model_href
from lagotto.web.views.marks import LabelMark, verdict_mark
from lagotto.web.views.model import source_of

MODELS_A_PAGE = 100
_FAILURES = 100


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list of all."""

    name: str
    open: str
    source: str
    framework: str
    architecture: str
    outputs: int
    mark: LabelMark | None
    is_reference: bool


@dataclass(frozen=True, slots=True)
class AddProgress:
    """What the catalogue says now: probed models, those to go, failures with reasons, the run."""

    done: int
    pending: int
    failures: tuple[FailedModel, ...]
    failed: int
    run: RunRecord | None

    @property
    def is_running(self) -> bool:
        """Whether the last `hub add` has not ended; it runs, or was cut off."""
        return self.run is not None and self.run.finished is None and self.pending > 0

    @property
    def share(self) -> float:
        """The models of the catalogue that are finished, 0 to 1."""
        total = self.done + self.failed + self.pending
        return (total - self.pending) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The state of a hub: counts, encoder, guards, models."""

    progress: AddProgress
    logits: int
    invalid: int
    probes: int
    encoder: str
    size_mb: float
    guards: tuple[tuple[str, bool, str], ...]
    notes: tuple[str, ...]
    copies: tuple[tuple[str, str], ...]
    models: tuple[ModelRow, ...]
    total: int
    first: int
    wanted: str

    @property
    def next(self) -> int | None:
        """The first model of the next page of the list; None at its end."""
        after = self.first + MODELS_A_PAGE
        return after if after < self.total else None

    @property
    def previous(self) -> int | None:
        """The first model of the page before; None at the start."""
        return max(0, self.first - MODELS_A_PAGE) if self.first else None


def add_progress(hub: Hub) -> AddProgress:
    """How far models are probed; it reads the catalogue alone, in milliseconds."""
    with Catalog(HubLayout(hub.folder).catalogue) as catalogue:
        done = len(catalogue.models("done"))
        pending = len(catalogue.models("pending"))
        failures = catalogue.failures()
        _, failed_copies = split_copies(catalogue.copies(), failures)
        runs = catalogue.runs()
    failed = [FailedModel(each.name, each.source, each.kind, each.reason) for each in failures]
    everything = [*failed, *failed_copies]
    shortened = tuple(
        FailedModel(each.model, "", each.kind, shown(without_paths(each.reason)))
        for each in everything[:_FAILURES]
    )
    return AddProgress(done, pending, shortened, len(everything), runs[-1] if runs else None)


def status_page(hub: Hub, first: int = 0, wanted: str = "") -> StatusPage:
    """The page of a hub's state.

    Args:
        hub: The hub.
        first: The first model of the list that is shown.
        wanted: Only models whose name or architecture has these characters.
    """
    status = hub.status()
    records = {record.name: record for record in hub.reader.records()}
    trust, references = hub.label_trust, frozenset(status.references)
    folded = wanted.casefold()
    matching = [
        model
        for model in status.models
        if folded in model.name.casefold() or folded in model.architecture.casefold()
    ]
    first = first if 0 <= first < len(matching) else 0
    rows = []
    for model in matching[first : first + MODELS_A_PAGE]:
        audit = trust.audit_of(model.name)
        rows.append(
            ModelRow(
                model.name,
                model_href(model.name),
                source_of(records[model.name]) if model.name in records else "",
                model.framework,
                model.architecture,
                model.outputs,
                None if audit is None else LabelMark(*verdict_mark(audit.verdict), why=""),
                model.name in references,
            )
        )
    return StatusPage(
        progress=add_progress(hub),
        logits=status.logits,
        invalid=status.flawed_logits,
        probes=status.probes,
        encoder=status.encoder,
        size_mb=status.disk_bytes / 1e6,
        guards=tuple(
            (guard.words, bool(guard.means), guard.means or guard.reason)
            for guard in status.isolation
        ),
        notes=tuple(shown(without_paths(note)) for note in status.notes),
        copies=status.copies[:100],
        models=tuple(rows),
        total=len(matching),
        first=first,
        wanted=wanted,
    )

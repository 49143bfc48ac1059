"""A hub comes in; what the page of its state shows goes out."""

from dataclasses import dataclass

from lagotto.core.text.clean import shown
from lagotto.hub.hub import Hub
from lagotto.hub.store.records import FailedModel
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
class StatusPage:
    """The state of a hub: counts, encoder, guards, models."""

    done: int
    failures: tuple[FailedModel, ...]
    failed: int
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
        done=status.done,
        failures=tuple(
            FailedModel(each.model, "", each.kind, shown(without_paths(each.reason)))
            for each in status.failures[:_FAILURES]
        ),
        failed=len(status.failures),
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

"""A hub and a model's name come in; what the page of the model shows goes out."""

from collections.abc import Mapping
from dataclasses import dataclass

from lagotto.core.text.clean import shown
from lagotto.core.types import Decision
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.describe import SURE, ModelDescription
from lagotto.hub.labels.duplicates import DuplicateReport
from lagotto.hub.store.records import ModelRecord
from lagotto.web.views.addresses import like_href, model_href, output_href
from lagotto.web.views.marks import LabelMark, label_mark, verdict_mark
from lagotto.web.views.strips import ProbeTile, output_values, strip_tiles

OUTPUTS_A_PAGE = 40
_STRIP = 5
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class ProposedName:
    """A name that behaviour proposes for an output, and how sure it is, 0 to 1."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class OutputRow:
    """An output in the table of its model; `names` are None where they were not asked for."""

    logit: int
    label: str | None
    mark: LabelMark | None
    names: tuple[ProposedName, ...] | None
    tiles: tuple[ProbeTile, ...]
    open: str
    like: str


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model: its source, how it is fed and why, what its labels are worth, its outputs."""

    name: str
    source: str
    framework: str
    architecture: str
    kind: str
    outputs: int
    logits_source: str
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]
    seen: int
    probes: int
    is_reference: bool
    verdict: LabelMark | None
    audit: ModelAudit | None
    duplicates: tuple[tuple[str, str, float], ...] | None
    rows: tuple[OutputRow, ...]
    first: int
    has_names: bool

    @property
    def href(self) -> str:
        """The address of the page."""
        return model_href(self.name)

    @property
    def next(self) -> int | None:
        """The first output of the next page of the table; None at its end."""
        after = self.first + OUTPUTS_A_PAGE
        return after if after < self.outputs else None

    @property
    def previous(self) -> int | None:
        """The first output of the page before; None at the start."""
        return max(0, self.first - OUTPUTS_A_PAGE) if self.first else None


@dataclass(frozen=True, slots=True)
class ModelExtras:
    """What takes seconds to find, so that a page has it where it was asked for."""

    description: ModelDescription | None = None
    audit: ModelAudit | None = None
    duplicates: DuplicateReport | None = None


def model_page(hub: Hub, model: str, first: int, extras: ModelExtras) -> ModelPage:
    """The page of a model, its table from one output on.

    Args:
        hub: The hub.
        model: A name in the hub.
        first: The first output of the table.
        extras: Proposed names, a full audit, duplicates, as far as they were asked for.
    """
    reader = hub.reader
    record = next(record for record in reader.records() if record.name == model)
    first = min(max(0, first), max(record.outputs - 1, 0))
    shown_logits = range(first, min(first + OUTPUTS_A_PAGE, record.outputs))
    names = _names(extras.description)
    labels = reader.labels(model)
    trust = hub.label_trust
    values = output_values(reader, [(model, logit) for logit in shown_logits])
    rows = tuple(
        OutputRow(
            logit=logit,
            label=_shown(labels[logit]),
            mark=label_mark(trust, model, logit, labels[logit]),
            names=None if extras.description is None else names.get(logit, ()),
            tiles=strip_tiles(reader, column, count=_STRIP),
            open=output_href(model, logit),
            like=like_href(model, logit),
        )
        for logit, column in zip(shown_logits, values, strict=True)
    )
    recorded = trust.audit_of(model)
    verdict = None
    if recorded is not None:
        verdict = LabelMark(*verdict_mark(recorded.verdict), why="")
    return ModelPage(
        name=model,
        source=source_of(record),
        framework=record.framework,
        architecture=record.architecture,
        kind=record.kind,
        outputs=record.outputs,
        logits_source=record.logits_source,
        decisions=decisions_from_json(record.input),
        notes=tuple(shown(note) for note in record.notes),
        seen=len(reader.seen_probes(model)),
        probes=reader.probe_count,
        is_reference=model in reader.references(),
        verdict=verdict,
        audit=extras.audit,
        duplicates=_duplicates(extras.duplicates, model),
        rows=rows,
        first=first,
        has_names=extras.description is not None,
    )


def source_of(record: ModelRecord) -> str:
    """Where a model is from, without the way to it on this machine."""
    source = record.source
    if "://" in source or (not source.startswith(("/", "\\")) and ":" in source):
        return shown(source)
    parts = [part for part in source.replace("\\", "/").split("/") if part]
    return shown("/".join(parts[-2:]))


def _names(description: ModelDescription | None) -> Mapping[int, tuple[ProposedName, ...]]:
    if description is None:
        return {}
    names = {}
    for output in description.logits:
        surest: dict[str, float] = {}
        for proposal in output.proposals:
            known = surest.get(proposal.name, 0.0)
            surest[proposal.name] = max(known, proposal.confidence)
        names[output.logit] = tuple(
            ProposedName(shown(name, 60), confidence)
            for name, confidence in list(surest.items())[:_MOST_NAMES]
            if confidence >= SURE / 4
        )
    return names


def _duplicates(
    report: DuplicateReport | None, model: str
) -> tuple[tuple[str, str, float], ...] | None:
    """The models nearly the same or of one training: (name, address, correlation), best first."""
    if report is None:
        return None
    pairs = [pair for pair in report.pairs if model in (pair.first, pair.second)]
    others = [
        (pair.second if pair.first == model else pair.first, pair.correlation) for pair in pairs
    ]
    return tuple((name, model_href(name), correlation) for name, correlation in others)


def _shown(label: str | None) -> str | None:
    return None if label is None else shown(label, 120)

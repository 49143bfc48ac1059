"""A hub comes in; what the pages of coverage, audits and duplicates show goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

from lagotto.core.text.clean import shown
from lagotto.hub.hub import Hub
from lagotto.hub.labels.coverage import ModelCoverage
from lagotto.hub.labels.duplicates import DuplicateReport
from lagotto.web.views.addresses import model_href, output_href
from lagotto.web.views.marks import LabelMark, verdict_mark

VERDICT_ORDER = (
    "another order fits",
    "contradicted",
    "wrong count",
    "cannot be judged",
    "never audited",
    "fits",
    "no labels",
)
"""What needs a look comes first."""


@dataclass(frozen=True, slots=True)
class CoveredRow:
    """A requested label and the output that is paired with it."""

    label: str
    output: int | None
    published: str | None
    fit: float
    open: str | None


@dataclass(frozen=True, slots=True)
class CoverRow:
    """A model that covers labels, with the output for each."""

    model: ModelCoverage
    open: str
    labels: tuple[CoveredRow, ...]


def cover_rows(covered: Sequence[ModelCoverage]) -> tuple[CoverRow, ...]:
    """The models that cover labels best, as the page shows them."""
    return tuple(
        CoverRow(
            model,
            model_href(model.model),
            tuple(
                CoveredRow(
                    shown(pair.label, 80),
                    pair.logit,
                    None if pair.published is None else shown(pair.published, 80),
                    pair.fit,
                    None if pair.logit is None else output_href(model.model, pair.logit),
                )
                for pair in model.labels
            ),
        )
        for model in covered
    )


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A model's label list and the verdict of its audit, as the hub keeps it."""

    model: str
    open: str
    outputs: int
    mark: LabelMark
    misplaced: tuple[tuple[int, str], ...]
    is_reference: bool


@dataclass(frozen=True, slots=True)
class AuditsPage:
    """All label lists of a hub, those that need a look first."""

    rows: tuple[AuditRow, ...]
    counts: tuple[tuple[str, LabelMark, int], ...]
    shown_verdict: str


def audits_page(hub: Hub, verdict: str = "") -> AuditsPage:
    """The verdicts that the hub keeps; `verdict` shows only the lists that have it."""
    references = frozenset(hub.reader.references())
    rows: dict[str, list[AuditRow]] = {name: [] for name in VERDICT_ORDER}
    for record in hub.reader.label_lists(only_labelled=False):
        kept = "no labels" if not record.labelled else "never audited"
        misplaced: tuple[int, ...] = ()
        if record.labelled and record.audit is not None:
            kept, misplaced = record.audit.verdict, record.audit.misplaced
        rows.setdefault(kept, []).append(
            AuditRow(
                record.model,
                model_href(record.model),
                record.outputs,
                _mark(kept),
                tuple((logit, output_href(record.model, logit)) for logit in misplaced[:20]),
                record.model in references,
            )
        )
    counts = tuple((name, _mark(name), len(found)) for name, found in rows.items() if found)
    if verdict not in rows:
        verdict = ""
    listed = [row for name, found in rows.items() if verdict in ("", name) for row in found]
    return AuditsPage(tuple(listed), counts, verdict)


def _mark(verdict: str) -> LabelMark:
    if verdict == "never audited":
        return LabelMark("open", "never audited", "Run lagotto audit HUB --all.")
    tone, text = verdict_mark(verdict)
    return LabelMark(tone, text, "")


@dataclass(frozen=True, slots=True)
class ModelLink:
    """A model and its page."""

    name: str
    open: str


@dataclass(frozen=True, slots=True)
class RelatedPair:
    """Two models that are nearly the same, or of one training."""

    first: ModelLink
    second: ModelLink
    correlation: float
    weakest: float
    same_order: bool
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class DuplicatesPage:
    """Groups of models, the pairs behind them, and files that are the same byte for byte."""

    duplicates: tuple[tuple[ModelLink, ...], ...]
    related: tuple[tuple[ModelLink, ...], ...]
    pairs: tuple[RelatedPair, ...]
    copies: tuple[tuple[str, ModelLink], ...]


def duplicates_page(report: DuplicateReport, least: float) -> DuplicatesPage:
    """The report as its page shows it; `least` is the correlation of a duplicate."""
    return DuplicatesPage(
        tuple(tuple(_link(name) for name in group) for group in report.duplicate_groups),
        tuple(
            tuple(_link(name) for name in group)
            for group in report.related_groups
            if group not in report.duplicate_groups
        ),
        tuple(
            RelatedPair(
                _link(pair.first),
                _link(pair.second),
                pair.correlation,
                pair.weakest,
                pair.same_order,
                pair.correlation >= least,
            )
            for pair in report.pairs[:200]
        ),
        tuple((shown(name, 80), _link(original)) for name, original in report.copies),
    )


def _link(name: str) -> ModelLink:
    return ModelLink(name, model_href(name))

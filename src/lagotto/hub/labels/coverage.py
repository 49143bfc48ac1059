"""A set of labels × a hub → the models that cover it best, each with its outputs for the labels.

A user who needs daisies told from roses and tulips needs one model, not three outputs of three
models: so labels are paired with distinct outputs of each model, and models compared by the pairs.
Of a thousand outputs some fit any label by accident, of five hardly one: what the best of so many
reaches by accident is taken off each fit first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float32

from lagotto.core.assignment import best_assignment
from lagotto.core.errors import UsageError
from lagotto.core.types import JsonObject
from lagotto.core.zscore import zscore_by_sample
from lagotto.hub.index.scoring import noise_threshold
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.fit import (
    Reference,
    TextEvidence,
    fit,
    standardized_responses,
)
from lagotto.hub.reader.reader import HubReader

_CANDIDATES = 40
_COLUMNS_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class CoveredLabel:
    """A wanted label and the output that stands for it; `published` is that output's own label."""

    label: str
    logit: int | None
    published: str | None
    fit: float


@dataclass(frozen=True, slots=True)
class ModelCoverage:
    """A model for a label set: `coverage` is the share of labels that fit better than by accident.

    By accident the best of so many outputs as the model has reaches a fit of about sqrt(2 ln n);
    `mean_lead` is by how much the labels' fits are above that.
    `weakest` is the label with the lowest fit; a model with fewer outputs than labels has none for
    some, whose fit is 0. `spare` outputs stand for none of the labels.
    """

    rank: int
    model: str
    coverage: float
    mean_fit: float
    mean_lead: float
    weakest: str
    spare: int
    labels: tuple[CoveredLabel, ...]

    def as_json(self) -> JsonObject:
        """The fields by name, numbers rounded."""
        fields: JsonObject = asdict(self)
        fields["coverage"] = round(self.coverage, 4)
        fields["mean_fit"] = round(self.mean_fit, 3)
        fields["mean_lead"] = round(self.mean_lead, 3)
        fields["labels"] = [{**asdict(each), "fit": round(each.fit, 3)} for each in self.labels]
        return fields


def cover_labels(
    hub: HubReader, labels: Sequence[str], *, top: int = 10
) -> tuple[ModelCoverage, ...]:
    """The models that cover a set of labels best: by coverage, then by mean lead.

    Models are compared in full if they are among the 40 whose outputs are highest on the labels'
    probes. Raises UsageError for no label, one given twice, or a hub without models.
    """
    wanted = tuple(label.strip() for label in labels)
    if not wanted or not all(wanted) or len(set(wanted)) < len(wanted):
        raise UsageError(
            f"labels {', '.join(wanted)!r}: give one or more, each once, for example daisy,rose"
        )
    if top < 1:
        raise UsageError(f"top {top} was asked for; give 1 or more")
    reader = LabelEncoder(hub)
    evidence = reader.read(wanted).evidence
    found = []
    for model in candidates(hub, evidence):
        standardized = standardized_responses(hub.responses(model))
        around = reader.reference(model, standardized)
        found.append(_coverage(hub, model, wanted, evidence, standardized, around))
    found.sort(key=lambda each: (-each.coverage, -each.mean_lead, each.model))
    return tuple(replace(model, rank=rank) for rank, model in enumerate(found[:top], start=1))


def candidates(hub: HubReader, labels: TextEvidence) -> list[str]:
    """Names of the models to compare: all of a small hub, else the most promising by blocks."""
    standardized = hub.logit_index()
    if not standardized.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    firsts, digests = standardized.firsts, standardized.digests
    names = [standardized.names[digest] for digest in digests]
    if len(names) <= _CANDIDATES:
        return names
    parts = []
    for block in standardized.blocks:
        for start in range(0, block.steps.size, _COLUMNS_AT_ONCE):
            part = slice(start, start + _COLUMNS_AT_ONCE)
            values = block.values[:, part].astype(np.float32)
            parts.append(labels.weights @ values * block.steps[part])
    sums = np.concatenate(parts, axis=1)
    scores = zscore_by_sample(sums, np.arange(sums.shape[1]))
    best = np.maximum.reduceat(scores, firsts, axis=1).mean(axis=0)
    widths = np.diff(np.append(firsts, sums.shape[1])).tolist()
    best -= np.array([noise_threshold(width) for width in widths], np.float32)
    return [names[place] for place in np.argsort(-best, kind="stable")[:_CANDIDATES].tolist()]


def _coverage(
    hub: HubReader,
    model: str,
    wanted: Sequence[str],
    evidence: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    around: Reference,
) -> ModelCoverage:
    fits = fit(evidence, standardized, around)
    partner = best_assignment(np.maximum(fits, 0.0))
    published = hub.labels(model)
    covered = tuple(
        CoveredLabel(label, place, published[place], float(fits[row, place]))
        if place >= 0
        else CoveredLabel(label, None, None, 0.0)
        for row, (label, place) in enumerate(zip(wanted, partner.tolist(), strict=True))
    )
    values = np.array([each.fit for each in covered])
    leads = values - noise_threshold(standardized.shape[1])
    return ModelCoverage(
        rank=0,
        model=model,
        coverage=float((leads > 0).mean()),
        mean_fit=float(values.mean()),
        mean_lead=float(leads.mean()),
        weakest=min(covered, key=lambda each: each.fit).label,
        spare=max(standardized.shape[1] - len(wanted), 0),
        labels=covered,
    )

"""A set of labels and a hub in, the models that cover the set best out, with an output a label.

A user who has to tell daisies, roses and tulips apart needs one model, not three outputs of three
models. So labels are paired with distinct outputs of each model, and models are compared by the
pairs. Of a thousand outputs some fit any label by accident, of five hardly one: what the best of so
many reaches by accident is subtracted from each fit first.
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
    """A requested label and the output paired with it; `published` is that output's own label."""

    label: str
    logit: int | None
    published: str | None
    fit: float


@dataclass(frozen=True, slots=True)
class ModelCoverage:
    """How well a model covers a label set.

    Attributes:
        rank: 1 for the best model.
        model: its name.
        label_coverage: the share of labels that fit better than by accident. By accident the best
            of the model's n outputs reaches a fit of about sqrt(2 ln n).
        mean_fit: the mean fit of the labels, in standard deviations; 0 for a label without output.
        mean_margin: the mean fit less what is reached by accident.
        weakest: the label with the lowest fit.
        spare: outputs that are paired with none of the labels.
        labels: each requested label with its output.
    """

    rank: int
    model: str
    label_coverage: float
    mean_fit: float
    mean_margin: float
    weakest: str
    spare: int
    labels: tuple[CoveredLabel, ...]

    def as_json(self) -> JsonObject:
        """The fields by name, numbers rounded."""
        return {
            "rank": self.rank,
            "model": self.model,
            "coverage": round(self.label_coverage, 4),
            "mean_fit": round(self.mean_fit, 3),
            "mean_lead": round(self.mean_margin, 3),
            "weakest": self.weakest,
            "spare": self.spare,
            "labels": [{**asdict(pair), "fit": round(pair.fit, 3)} for pair in self.labels],
        }


def cover_labels(
    hub: HubReader, labels: Sequence[str], *, top: int = 10
) -> tuple[ModelCoverage, ...]:
    """The models that cover a set of labels best: by coverage, then by mean margin.

    Models are compared in full if they are among the 40 whose outputs are highest on the labels'
    probes.

    Args:
        hub: the hub to search.
        labels: the labels that one model should tell apart, in words.
        top: how many models to give.

    Raises:
        UsageError: for no label, one given twice, `top` below 1, or a hub without models.
    """
    requested = tuple(label.strip() for label in labels)
    if not requested or not all(requested) or len(set(requested)) < len(requested):
        shown = ", ".join(requested[:20])
        raise UsageError(f"labels {shown!r}: give one or more, each once, for example daisy,rose")
    if top < 1:
        raise UsageError(f"top {top} was asked for; give 1 or more")
    reader = LabelEncoder(hub)
    evidence = reader.read(requested).evidence
    covered = []
    for model in candidates(hub, evidence):
        standardized = standardized_responses(hub.responses(model))
        around = reader.reference(model, standardized)
        covered.append(_coverage(hub, model, requested, evidence, standardized, around))
    covered.sort(key=lambda each: (-each.label_coverage, -each.mean_margin, each.model))
    return tuple(replace(model, rank=rank) for rank, model in enumerate(covered[:top], start=1))


def candidates(hub: HubReader, labels: TextEvidence) -> list[str]:
    """Names of the models to compare: all of a small hub, else the most promising by blocks."""
    index = hub.logit_index()
    if not index.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    firsts, digests = index.firsts, index.digests
    names = [index.names[digest] for digest in digests]
    if len(names) <= _CANDIDATES:
        return names
    parts = []
    for codes, steps in index.whole_tables():
        for start in range(0, steps.size, _COLUMNS_AT_ONCE):
            part = slice(start, start + _COLUMNS_AT_ONCE)
            values = codes[:, part].astype(np.float32)
            parts.append(labels.weights @ values * steps[part])
    sums = np.concatenate(parts, axis=1)
    scores = zscore_by_sample(sums, np.arange(sums.shape[1]))
    best = np.maximum.reduceat(scores, firsts, axis=1).mean(axis=0)
    widths = np.diff(np.append(firsts, sums.shape[1])).tolist()
    best -= np.array([noise_threshold(width) for width in widths], np.float32)
    return [names[model] for model in np.argsort(-best, kind="stable")[:_CANDIDATES].tolist()]


def _coverage(
    hub: HubReader,
    model: str,
    requested: Sequence[str],
    evidence: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    around: Reference,
) -> ModelCoverage:
    fits = fit(evidence, standardized, around)
    partner = best_assignment(np.maximum(fits, 0.0))
    published = hub.labels(model)
    covered = tuple(
        CoveredLabel(label, output, published[output], float(fits[row, output]))
        if output >= 0
        else CoveredLabel(label, None, None, 0.0)
        for row, (label, output) in enumerate(zip(requested, partner.tolist(), strict=True))
    )
    values = np.array([pair.fit for pair in covered])
    margins = values - noise_threshold(standardized.shape[1])
    return ModelCoverage(
        rank=0,
        model=model,
        label_coverage=float((margins > 0).mean()),
        mean_fit=float(values.mean()),
        mean_margin=float(margins.mean()),
        weakest=min(covered, key=lambda pair: pair.fit).label,
        spare=max(standardized.shape[1] - len(requested), 0),
        labels=covered,
    )

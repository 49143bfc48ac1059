"""A model's published labels and its responses in, a verdict on the list of labels out.

The verdict says whether the list is in the order of the outputs, shifted, permuted or incomplete.
It rests on `order_test`: how much better than a random order the published one is. If neither the
encoder knows the concepts nor the labels show which of them are alike, the order cannot be judged,
and the verdict says so.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import NameList
from lagotto.core.text.names import first_name
from lagotto.core.types import JsonObject, JsonValue
from lagotto.core.zscore import ROUNDING
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.fit import fit, standardized_responses
from lagotto.hub.labels.order_test import (
    OrderEvidence,
    shift_evidence,
    weigh_orders,
)
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.responses import ModelResponses

AuditVerdict: TypeAlias = Literal[
    "fits", "another order fits", "contradicted", "wrong count", "cannot be judged", "no labels"
]


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """The thresholds of the audit, chosen by benchmarks/quality/naming.py (its audit rows).

    Attributes:
        significant: evidence from which an order is no accident, in standard deviations of a
            random order of the same labels.
        clearly_better: evidence that one order needs more than another, in the same unit.
        known_set: z-score among random sets of words from which a set of labels is known to the
            outputs in whatever order.
        evidence_share: the least evidence of the right order, as a share of `known_set`.
        outright_fit: mean fit of labels on their own outputs from which a short list fits, in
            standard deviations of what is usual for a name and an output.
        draws: random sets of words that a set of labels is compared with.
    """

    significant: float = 3.0
    clearly_better: float = 2.0
    known_set: float = 4.0
    evidence_share: float = 1 / 3
    outright_fit: float = 1.5
    draws: int = 40


AUDIT = AuditConfig()
"""The thresholds that the package uses."""


@dataclass(frozen=True, slots=True)
class LabelFinding:
    """A label that does not fit its output in a list that otherwise does.

    `fits_better` is the output that it and its label would both prefer, None if it fits nowhere.
    """

    logit: int
    label: str
    fit: float
    fits_better: int | None


@dataclass(frozen=True, slots=True)
class ModelAudit:
    """The verdict on one model's labels.

    Attributes:
        model: the model's name, or the path of a model outside the hub.
        outputs: number of outputs of the model.
        labels: number of labels that were audited.
        verdict: one of `AuditVerdict`.
        score: standard deviations above a random order of the same labels, less the evidence for
            a better explanation. Below 0 the list is likely wrong.
        direct: the direct reading of `order_test` alone, in standard deviations.
        kinship: the kinship reading of `order_test` alone, in standard deviations.
        reason: the verdict in words.
        better_order: the name of an order that fits clearly better; None if there is none.
        proposed: the labels in that order.
        findings: labels that do not fit their output in a list that otherwise does.
    """

    model: str
    outputs: int
    labels: int
    verdict: AuditVerdict
    score: float
    direct: float
    kinship: float
    reason: str
    better_order: str | None = None
    proposed: tuple[str, ...] | None = None
    findings: tuple[LabelFinding, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name, numbers rounded."""
        fields: dict[str, JsonValue] = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if name not in ("proposed", "findings")
        }
        fields["proposed"] = None if self.proposed is None else list(self.proposed)
        fields["findings"] = [
            {
                "logit": item.logit,
                "label": item.label,
                "fit": round(item.fit, 3),
                "fits_better": item.fits_better,
            }
            for item in self.findings
        ]
        return fields


def audit_model(
    hub: HubReader,
    known: ModelResponses,
    labels: Sequence[str] | NameList | None = None,
    *,
    reader: LabelEncoder | None = None,
) -> ModelAudit:
    """An audit of a model's published labels, or of other labels for it.

    Args:
        hub: the hub whose probes the model has seen.
        known: the model's responses and its published labels.
        labels: other labels, one an output, or a list that is placed on the outputs by its numbers;
            None for the published ones.
        reader: what encodes labels. Give one of the hub if several models are audited.

    Returns:
        The verdict with its evidence.

    Raises:
        UsageError: for an empty list of labels.
    """
    outputs = known.values.shape[1]
    if isinstance(labels, NameList):
        labels = [name or "" for name in labels.for_outputs(outputs) or labels.names]
    elif labels is None:
        labels = [label for label in known.labels if label is not None]
        if not labels:
            return _unlabelled(hub, known)
    if not labels:
        raise UsageError("the list of labels is empty; give one label an output")
    standardized = standardized_responses(known.values)
    reader = reader or LabelEncoder(hub)
    read = reader.read([first_name(label) for label in labels])
    around = reader.reference(known.name, standardized)
    fits = fit(read.evidence, standardized, around)
    if len(labels) != outputs:
        return _miscounted(known.name, fits, labels)
    correlations = standardized.T @ standardized / len(standardized)
    orders = weigh_orders(fits, read.embeddings @ read.embeddings.T, correlations, labels)
    known_set = set_zscore(fits, fit(around.words, standardized, around))
    return audit_verdict(known.name, labels, fits, orders, known_set)


def audit_verdict(
    model: str,
    labels: Sequence[str],
    fits: Float32[np.ndarray, "labels outputs"],
    orders: Sequence[OrderEvidence],
    known_set: float,
) -> ModelAudit:
    """The verdict from the evidence.

    Args:
        model: the model's name.
        labels: the audited labels, one an output.
        fits: how well each label fits each output, as `fit` gives it.
        orders: the evidence for each order, that of the published one first.
        known_set: how much better the labels fit the outputs, in whatever order, than common words
            do: `set_zscore`.
    """
    published = orders[0]
    score, better = published.together, _better_order(orders)
    verdict: AuditVerdict
    if better is not None:
        score, verdict = published.together - better.together, "another order fits"
        reason = (
            f"{better.name} fits {better.together:.1f} sd better than a random order, "
            f"as published {published.together:.1f}"
        )
    elif score >= AUDIT.significant:
        verdict = "fits"
        reason = f"the order fits {score:.1f} sd better than a random one"
    elif _fits_outright(fits, published):
        verdict = "fits"
        reason = f"each label fits its own output ({_own_fit(fits):.1f} sd more than usual)"
    elif known_set >= AUDIT.known_set and published.direct < _least_evidence(
        known_set, len(labels)
    ):
        score, verdict = score - known_set, "contradicted"
        reason = (
            f"the outputs know these labels (by {known_set:.1f} sd), but in this order they hardly "
            f"fit better than in a random one ({published.direct:+.1f} sd)"
        )
    else:
        verdict = "cannot be judged"
        reason = f"the order fits {score:+.1f} sd better than a random one, too little to tell"
    findings = label_findings(labels, fits) if verdict == "fits" else ()
    proposed = None if better is None else tuple(labels[index] for index in better.order.tolist())
    return ModelAudit(
        model=model,
        outputs=fits.shape[1],
        labels=len(labels),
        verdict=verdict,
        score=score,
        direct=published.direct,
        kinship=published.kinship,
        reason=reason,
        better_order=None if better is None else better.name,
        proposed=proposed,
        findings=findings,
    )


def _least_evidence(known_set: float, labels: int) -> float:
    """The least direct reading of the right order of a set that is known so well.

    Few labels have few orders: the clearest order reaches the root of the number of labels less 1.
    """
    most = 0.75 * float(np.sqrt(labels - 1))
    return max(AUDIT.clearly_better, min(AUDIT.evidence_share * known_set, most))


def set_zscore(
    fits: Float32[np.ndarray, "labels outputs"], words: Float32[np.ndarray, "words outputs"]
) -> float:
    """How much better a set of labels fits, in whatever order, than random sets of common words.

    In standard deviations of such sets; 0 where there are too few words to draw from, or where all
    words fit alike but for rounding.
    """
    size = len(fits)
    if size > len(words) // 2:
        size = len(words) // 2
    if size < 1:
        return 0.0
    rng = np.random.default_rng(0)
    drawn = [
        _best_fits(words[rng.choice(len(words), size, replace=False)]) for _ in range(AUDIT.draws)
    ]
    spread = float(np.std(drawn))
    own = _best_fits(fits[rng.choice(len(fits), size, replace=False)])
    return (own - float(np.mean(drawn))) / spread if spread > ROUNDING else 0.0


def label_findings(
    labels: Sequence[str], fits: Float32[np.ndarray, "labels outputs"]
) -> tuple[LabelFinding, ...]:
    """Labels that fit another output much better, which fits them best too; and that fit nothing.

    Only for a list that fits as a whole: elsewhere it is the list that is in doubt.
    """
    positions = np.arange(len(labels))
    own, best = fits[positions, positions], fits.argmax(axis=1)
    highest = fits[positions, best]
    best_label = fits.argmax(axis=0)
    median = float(np.median(own))
    if median < AUDIT.outright_fit:
        return ()
    findings = []
    for index in np.flatnonzero(own < median / 3).tolist():
        other = int(best[index])
        if best_label[other] == index and highest[index] > max(median / 2, own[index] + 2.0):
            findings.append(LabelFinding(index, labels[index], float(own[index]), other))
        elif highest[index] < median / 3:
            findings.append(LabelFinding(index, labels[index], float(own[index]), None))
    return tuple(findings)


def _better_order(orders: Sequence[OrderEvidence]) -> OrderEvidence | None:
    """The order that fits clearly better than the published one, beyond what so many tries give."""
    needed = AUDIT.clearly_better + float(np.sqrt(2 * np.log(len(orders))))
    published = orders[0].together
    better = [
        order
        for order in orders[1:]
        if order.direct >= needed and order.together >= published + AUDIT.clearly_better
    ]
    return max(better, key=lambda order: order.together, default=None)


def _fits_outright(fits: Float32[np.ndarray, "labels outputs"], published: OrderEvidence) -> bool:
    """For short lists, whose orders are too few to be significant: the fits themselves are high.

    And no other order is better, or nearly none.
    """
    if _own_fit(fits) < AUDIT.outright_fit:
        return False
    best = bool((best_assignment(fits) == np.arange(len(fits))).all())
    return best or published.direct >= AUDIT.clearly_better


def _own_fit(fits: Float32[np.ndarray, "labels outputs"]) -> float:
    return float(np.diag(fits).mean())


def _best_fits(fits: Float32[np.ndarray, "labels outputs"]) -> float:
    return float(fits.max(axis=1).mean() + fits.max(axis=0).mean()) / 2


def _unlabelled(hub: HubReader, known: ModelResponses) -> ModelAudit:
    notes = [model.notes for model in hub.status().models if model.name == known.name]
    omitted = [note for note in (notes[0] if notes else ()) if note.startswith("labels left out")]
    outputs = known.values.shape[1]
    if omitted:
        reason = f"{omitted[0]}; give the list with --labels to see where it breaks"
        return ModelAudit(known.name, outputs, 0, "wrong count", 0.0, 0.0, 0.0, reason)
    reason = "no labels are published; lagotto describe proposes names"
    return ModelAudit(known.name, outputs, 0, "no labels", 0.0, 0.0, 0.0, reason)


def _miscounted(
    model: str, fits: Float32[np.ndarray, "labels outputs"], labels: Sequence[str]
) -> ModelAudit:
    """Another number of labels than outputs is wrong whatever fits; where it breaks is shown."""
    count, outputs = fits.shape
    evidence = shift_evidence(fits)
    best = max(evidence, key=lambda passed: evidence[passed])
    what = "outputs" if outputs > count else "labels"
    reason = f"{count} labels for {outputs} outputs"
    if evidence[best] >= AUDIT.significant and best:
        reason += f"; they fit best with the first {abs(best)} {what} passed over"
    elif evidence[best] >= AUDIT.significant:
        reason += f"; the first {min(count, outputs)} fit as they are"
    else:
        reason += "; laid along the outputs they fit in no place better than by accident"
    findings = tuple(
        LabelFinding(index, label, float(fits[index, index]), int(fits[index].argmax()))
        for index, label in enumerate(labels[:outputs])
        if _fits_another(fits[index].astype(np.float64), index)
    )
    return ModelAudit(
        model,
        outputs,
        count,
        "wrong count",
        -AUDIT.significant,
        evidence[0],
        0.0,
        reason,
        findings=findings,
    )


def _fits_another(row: Float64[np.ndarray, " outputs"], own: int) -> bool:
    """Whether a label fits another output than its own clearly better."""
    return bool(row.max() >= 2.0 and row.max() - row[own] >= AUDIT.clearly_better)

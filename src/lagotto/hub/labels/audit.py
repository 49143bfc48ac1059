"""A model's published labels against its behaviour: in order, shifted, permuted, incomplete?

The verdict rests on `label_order`: how much better than a random order the published one is. Where
neither the encoder knows the concepts nor the labels tell which of them are alike, that cannot be
seen, and the verdict says so.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.assignment import best_assignment
from lagotto.core.errors import UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.text.names import first_name
from lagotto.core.types import JsonObject, JsonValue
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.fit import fit, standardized_responses
from lagotto.hub.labels.order_test import (
    OrderEvidence,
    shift_evidence,
    weigh_orders,
)
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.model_responses import ModelResponses

AuditVerdict: TypeAlias = Literal[
    "fits", "another order fits", "contradicted", "wrong count", "cannot be judged", "no labels"
]

_BELIEVED = 3.0
"""Standard deviations from which the published order is no accident."""

_CLEARLY_BETTER = 2.0
_KNOWN_SET = 4.0
_SHOWN_SHARE = 1 / 3
"""Of how well a set of labels is known, what its right order shows at least (docs/results.md)."""

_FITS_OUTRIGHT = 1.5
_DRAWS = 40


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

    `direct`, `kinship` and `score` are standard deviations above a random order of the same labels
    (see `label_order`); from `score` the evidence for a better explanation is taken off, so that it
    is below 0 where the list is likely wrong. `proposed` are the labels in the order that fits.
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
                "logit": each.logit,
                "label": each.label,
                "fit": round(each.fit, 3),
                "fits_better": each.fits_better,
            }
            for each in self.findings
        ]
        return fields


def audit_hub(hub: HubReader, progress: Progress | None = None) -> tuple[ModelAudit, ...]:
    """An audit of every probed model, in the hub's order."""
    meter = progress or Silent()
    models = hub.status().models
    meter.start("auditing", len(models), "models")
    found, reader = [], LabelEncoder(hub)
    for each in models:
        found.append(audit_model(hub, hub.responses_of(each.name), reader=reader))
        meter.advance(1)
    meter.finish()
    return tuple(found)


def audit_model(
    hub: HubReader,
    known: ModelResponses,
    labels: Sequence[str] | None = None,
    *,
    reader: LabelEncoder | None = None,
) -> ModelAudit:
    """An audit of a model's published labels, or of other labels for it.

    Give one `reader` of the hub where several models are audited. Raises UsageError for an empty
    list of labels.
    """
    outputs = known.values.shape[1]
    if labels is None:
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
    alike = standardized.T @ standardized / len(standardized)
    orders = weigh_orders(fits, read.embeddings @ read.embeddings.T, alike, labels)
    known_set = set_standing(fits, fit(around.words, standardized, around))
    return audit_verdict(known.name, labels, fits, orders, known_set)


def audit_verdict(
    model: str,
    labels: Sequence[str],
    fits: Float32[np.ndarray, "labels outputs"],
    orders: Sequence[OrderEvidence],
    known_set: float,
) -> ModelAudit:
    """The verdict from the evidence; `orders` has the published one first.

    `known_set` says how much better the labels fit the outputs in some order than common words do,
    in standard deviations of random sets of words.
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
    elif score >= _BELIEVED:
        verdict = "fits"
        reason = f"the order fits {score:.1f} sd better than a random one"
    elif _fits_outright(fits, published):
        verdict = "fits"
        reason = f"each label fits its own output ({_own_fit(fits):.1f} sd more than usual)"
    elif known_set >= _KNOWN_SET and published.direct < _expected_of(known_set, len(labels)):
        score, verdict = score - known_set, "contradicted"
        reason = (
            f"the outputs know these labels (by {known_set:.1f} sd), but in this order they hardly "
            f"fit better than in a random one ({published.direct:+.1f} sd)"
        )
    else:
        verdict = "cannot be judged"
        reason = f"the order fits {score:+.1f} sd better than a random one, too little to tell"
    findings = label_findings(labels, fits) if verdict == "fits" else ()
    proposed = None if better is None else tuple(labels[place] for place in better.order.tolist())
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


def _expected_of(known_set: float, labels: int) -> float:
    """The direct reading that the right order of a set that is known so well has at least.

    Orders of few labels are few: the clearest is the square root of one less than they are.
    """
    most = 0.75 * float(np.sqrt(labels - 1))
    return max(_CLEARLY_BETTER, min(_SHOWN_SHARE * known_set, most))


def set_standing(
    fits: Float32[np.ndarray, "labels outputs"], words: Float32[np.ndarray, "words outputs"]
) -> float:
    """How much better a set of labels fits, in whatever order, than random sets of common words.

    In standard deviations of such sets; 0 where there are too few words to draw from.
    """
    size = len(fits)
    if size > len(words) // 2:
        size = len(words) // 2
    if size < 1:
        return 0.0
    rng = np.random.default_rng(0)
    drawn = [_best_fits(words[rng.choice(len(words), size, replace=False)]) for _ in range(_DRAWS)]
    spread = float(np.std(drawn))
    own = _best_fits(fits[rng.choice(len(fits), size, replace=False)])
    return (own - float(np.mean(drawn))) / spread if spread > 0 else 0.0


def label_findings(
    labels: Sequence[str], fits: Float32[np.ndarray, "labels outputs"]
) -> tuple[LabelFinding, ...]:
    """Labels that fit another output much better, which fits them best too; and that fit nothing.

    Only for a list that fits as a whole: elsewhere it is the list that is in doubt.
    """
    places = np.arange(len(labels))
    own, best = fits[places, places], fits.argmax(axis=1)
    highest = fits[places, best]
    favourite = fits.argmax(axis=0)
    usual = float(np.median(own))
    if usual < _FITS_OUTRIGHT:
        return ()
    found = []
    for place in np.flatnonzero(own < usual / 3).tolist():
        other = int(best[place])
        if favourite[other] == place and highest[place] > max(usual / 2, own[place] + 2.0):
            found.append(LabelFinding(place, labels[place], float(own[place]), other))
        elif highest[place] < usual / 3:
            found.append(LabelFinding(place, labels[place], float(own[place]), None))
    return tuple(found)


def _better_order(orders: Sequence[OrderEvidence]) -> OrderEvidence | None:
    """The order that fits clearly better than the published one, beyond what so many tries give."""
    needed = _CLEARLY_BETTER + float(np.sqrt(2 * np.log(len(orders))))
    published = orders[0].together
    able = [
        order
        for order in orders[1:]
        if order.direct >= needed and order.together >= published + _CLEARLY_BETTER
    ]
    return max(able, key=lambda order: order.together, default=None)


def _fits_outright(fits: Float32[np.ndarray, "labels outputs"], published: OrderEvidence) -> bool:
    """For short lists, whose orders are too few to be significant: the fits themselves are high.

    And no other order is better, or nearly none.
    """
    if _own_fit(fits) < _FITS_OUTRIGHT:
        return False
    best = bool((best_assignment(fits) == np.arange(len(fits))).all())
    return best or published.direct >= _CLEARLY_BETTER


def _own_fit(fits: Float32[np.ndarray, "labels outputs"]) -> float:
    return float(np.diag(fits).mean())


def _best_fits(fits: Float32[np.ndarray, "labels outputs"]) -> float:
    return float(fits.max(axis=1).mean() + fits.max(axis=0).mean()) / 2


def _unlabelled(hub: HubReader, known: ModelResponses) -> ModelAudit:
    notes = [each.notes for each in hub.status().models if each.name == known.name]
    left_out = [note for note in (notes[0] if notes else ()) if note.startswith("labels left out")]
    outputs = known.values.shape[1]
    if left_out:
        reason = f"{left_out[0]}; give the list with --labels to see where it breaks"
        return ModelAudit(known.name, outputs, 0, "wrong count", 0.0, 0.0, 0.0, reason)
    reason = "no labels are published; lagotto describe proposes names"
    return ModelAudit(known.name, outputs, 0, "no labels", 0.0, 0.0, 0.0, reason)


def _miscounted(
    model: str, fits: Float32[np.ndarray, "labels outputs"], labels: Sequence[str]
) -> ModelAudit:
    """Another number of labels than outputs is wrong whatever fits; where it breaks is shown."""
    count, outputs = fits.shape
    along = shift_evidence(fits)
    best = max(along, key=lambda passed: along[passed])
    what = "outputs" if outputs > count else "labels"
    reason = f"{count} labels for {outputs} outputs"
    if along[best] >= _BELIEVED and best:
        reason += f"; they fit best with the first {abs(best)} {what} passed over"
    elif along[best] >= _BELIEVED:
        reason += f"; the first {min(count, outputs)} fit as they are"
    else:
        reason += "; laid along the outputs they fit in no place better than by accident"
    findings = tuple(
        LabelFinding(place, label, float(fits[place, place]), int(fits[place].argmax()))
        for place, label in enumerate(labels[:outputs])
        if _decided(fits[place].astype(np.float64), place)
    )
    return ModelAudit(
        model, outputs, count, "wrong count", -_BELIEVED, along[0], 0.0, reason, findings=findings
    )


def _decided(row: Float64[np.ndarray, " outputs"], own: int) -> bool:
    """Whether a label fits another output than its own clearly better."""
    return bool(row.max() >= 2.0 and row.max() - row[own] >= _CLEARLY_BETTER)

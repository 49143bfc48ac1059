"""An audit of a list and a hub with references come in; the audit as these bear it out goes out.

Outputs that behave like labelled outputs of a reference have names from there. A list of the same
names in another order is plain then, however short it is and whatever the encoder knows of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lagotto.core.parsing.name_list import NameList
from lagotto.core.progress import Progress, Silent
from lagotto.core.results.through import Through
from lagotto.core.text.names import label_word_sets
from lagotto.hub.labels.audit import ModelAudit, audit_model
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.names import TwinNames
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.model_responses import ModelResponses

_LIKELY = 0.5
"""Probability of a twin from which its name is compared with the list's."""

_FEWEST = 3
"""Outputs with a name of the list, from references, below which nothing is told."""

_MOST, _HARDLY = 0.8, 0.2
"""Shares of these outputs from which an order is right, and up to which it is wrong."""


def audit_by_all(
    hub: HubReader, known: ModelResponses, labels: Sequence[str] | NameList | None = None
) -> ModelAudit:
    """The audit of one model's list by the encoder, by its own labels and by references.

    The arguments are those of `audit_model`.
    """
    listed: Sequence[str | None] | None = known.labels
    if isinstance(labels, NameList):
        listed = labels.for_outputs(known.values.shape[1])
    elif labels is not None:
        listed = labels
    audit = audit_model(hub, known, labels)
    references = ReferenceNames(hub, LabelTrust(hub.label_lists(), hub.references()))
    own = labels is None and known.in_hub
    return audit if listed is None else references.check(known, listed, audit, own=own)


def audit_hub(hub: HubReader, progress: Progress | None = None) -> tuple[ModelAudit, ...]:
    """An audit of every probed model, in the hub's order, by the encoder and by references."""
    meter = progress or Silent()
    models = hub.status().models
    meter.start("auditing", len(models), "models")
    audits, encoder = [], LabelEncoder(hub)
    references = ReferenceNames(hub, LabelTrust(hub.label_lists(), hub.references()))
    for model in models:
        known = hub.responses_of(model.name)
        audit = audit_model(hub, known, reader=encoder)
        audits.append(references.check(known, known.labels, audit, own=True))
        meter.advance(1)
    meter.finish()
    return tuple(audits)


class ReferenceNames:
    """What the references of a hub say of the outputs of its models, list by list.

    Only references whose own list an audit bears out have a say, and none about another reference.
    """

    def __init__(self, hub: HubReader, trust: LabelTrust) -> None:
        self._references = trust.references
        self._names = TwinNames(hub, trust, firm_references=True) if trust.references else None

    def check(
        self,
        known: ModelResponses,
        labels: Sequence[str | None],
        audit: ModelAudit,
        *,
        own: bool,
    ) -> ModelAudit:
        """The audit of a list, with another verdict where references tell more.

        Args:
            known: the responses of the model.
            labels: its list, None for an output without a label.
            audit: what the audit said without references.
            own: whether the list is the one that the model has in the hub.
        """
        told = own and known.name in self._references
        if self._names is None or told or len(labels) != known.values.shape[1]:
            return audit
        ways = self._names.of(known)
        return _checked({output: each[0] for output, each in ways.items()}, labels, audit)


def _checked(
    ways: Mapping[int, Through], labels: Sequence[str | None], audit: ModelAudit
) -> ModelAudit:
    """The audit of a list as the likeliest twin of each output bears it out."""
    sets = [frozenset(label_word_sets(label or "")) for label in labels]
    listed = frozenset[frozenset[str]]().union(*sets)
    names = {}
    for output, way in ways.items():
        words = frozenset(label_word_sets(way.label)) & listed
        if way.probability >= _LIKELY and words:
            names[output] = words
    if len(names) < _FEWEST:
        return audit
    count = len(labels)
    agreeing = [
        sum(bool(words & sets[(output + shift) % count]) for output, words in names.items())
        for shift in range(count)
    ]
    best = max(range(count), key=lambda shift: agreeing[shift])
    compared = f"of {len(names)} outputs that behave like a reference's output of a listed name"
    reason = f"{compared}, {agreeing[0]} have that name here"
    if agreeing[0] >= _MOST * len(names):
        return replace(audit, verdict="fits", reason=reason) if _is_open(audit) else audit
    if agreeing[0] > _HARDLY * len(names):
        return audit
    score = min(audit.score, -float(len(names)))
    if agreeing[best] < _MOST * len(names):
        return replace(audit, verdict="contradicted", score=score, reason=reason, findings=())
    signed = best if best <= count // 2 else best - count
    return replace(
        audit,
        verdict="another order fits",
        score=score,
        reason=f"{reason}, and {agreeing[best]} have it shifted by {signed:+d}",
        better_order=f"shifted by {signed:+d}",
        proposed=tuple(labels[(output + best) % count] or "" for output in range(count)),
        findings=(),
    )


def _is_open(audit: ModelAudit) -> bool:
    return audit.verdict == "cannot be judged"

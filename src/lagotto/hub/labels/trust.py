"""Label lists and audits of them come in; how far each published label is believed goes out.

A list that another order fits better, or that behaviour contradicts, is not believed at all. A list
that fits is believed, except for the labels that the audit found misplaced. Such labels, and a
short list that could not be judged or was never audited, are believed until a query contradicts
them. A long list that is right shows it, by what its labels mean or by which of them are alike: one
that shows no sign of being right is not believed.

Audits are made when models are added (`Hub.add`), or for all models at once (`Hub.audit_labels`),
and are kept in the hub's catalogue. A search reads them and makes none, so that it writes nothing.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from lagotto.hub.store.records import AuditRecord, LabelListRecord
from lagotto.hub.text.matching import FIRMLY, OPENLY

DISBELIEVED = ("another order fits", "contradicted", "wrong count")
"""Verdicts of lists that are not believed at all."""

LONG = 100
"""Labels from which a list that shows no sign of being right is not believed."""


def trust_levels(audit: AuditRecord | None, outputs: int) -> Float32[np.ndarray, " outputs"]:
    """How far the label of each of a model's outputs is believed; see text/matching.py: Named.

    Args:
        audit: the audit of the model's list; None if there was none.
        outputs: how many outputs, and so labels, the model has.

    Returns:
        FIRMLY, OPENLY (until a query contradicts the label) or 0 (not at all) for each output.
    """
    level = FIRMLY if audit is not None and audit.verdict == "fits" else OPENLY
    contradicted = audit is not None and audit.verdict in DISBELIEVED
    if contradicted or (level < FIRMLY and outputs >= LONG):
        level = 0.0
    levels = np.full(outputs, level, np.float32)
    misplaced = () if audit is None else audit.misplaced
    doubtful = [logit for logit in misplaced if 0 <= logit < outputs]
    levels[doubtful] = np.minimum(levels[doubtful], OPENLY)
    return levels


class LabelTrust:
    """How far the published labels of a hub are believed, by the audits in its catalogue."""

    def __init__(self, lists: Sequence[LabelListRecord], references: Collection[str] = ()) -> None:
        self._lists = {record.model: record for record in lists}
        self.references = frozenset(references)
        self._levels: dict[str, Float32[np.ndarray, " logits"]] = {}

    def believed(self, model: str) -> Float32[np.ndarray, " logits"]:
        """How far the label of each logit of a labelled model is believed: see `trust_levels`."""
        if model not in self._levels:
            record = self._lists[model]
            self._levels[model] = trust_levels(record.audit, record.outputs)
        return self._levels[model]

    def levels(self, model: str, outputs: int) -> Float32[np.ndarray, " outputs"]:
        """As `believed`, for any model with so many outputs: all 0 if it publishes no label."""
        return self.believed(model) if model in self._lists else np.zeros(outputs, np.float32)

    def level(self, model: str, logit: int) -> float:
        """How far one label is believed; 0 for a model that the catalogue did not hold."""
        return float(self.believed(model)[logit]) if model in self._lists else 0.0

    def audit_of(self, model: str) -> AuditRecord | None:
        """The audit of a model's label list; None for one without labels or never audited."""
        record = self._lists.get(model)
        return record.audit if record is not None and record.labelled else None

    def audit_key(self, model: str) -> str:
        """sha256 of the labels and responses that a model's audit is of; "" if it has none."""
        record = self._lists.get(model)
        return "" if record is None or record.audit is None else record.audit.key

    @property
    def teaching_models(self) -> tuple[str, ...]:
        """The models with labels that tell of other models' outputs, in the hub's order."""
        return tuple(
            model
            for model, record in self._lists.items()
            if record.labelled and self.teaching(model).any()
        )

    def teaching(self, model: str) -> Bool[np.ndarray, " logits"]:
        """Which labels of a model tell of other models' outputs.

        Those that are believed whatever a query says, and those of a reference that are believed
        until a query contradicts them.
        """
        least = OPENLY if model in self.references else FIRMLY
        return np.asarray(self.believed(model) >= least)

    def is_firm(self, model: str) -> bool:
        """Whether an audit bears out the list of a labelled model."""
        return bool((self.believed(model) >= FIRMLY).any())

    @property
    def doubted_references(self) -> tuple[str, ...]:
        """A line for each reference whose list the audit does not bear out."""
        lines = []
        for model in sorted(self.references & set(self._lists)):
            audit = self._lists[model].audit
            verdict = "never audited" if audit is None else audit.verdict
            believed, risk = "not believed", ""
            if self.believed(model).any():
                believed, risk = "believed unchecked", "; in a wrong order they would mislead"
            if verdict != "fits":
                lines.append(
                    f"the labels of the reference {model} are {believed}: {verdict}{risk}; "
                    f"see: lagotto audit HUB {model}"
                )
        return tuple(lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user has to know of a hub with label lists that were never audited."""
        count = sum(record.labelled and record.audit is None for record in self._lists.values())
        if not count:
            return ()
        lists = "1 label list was" if count == 1 else f"{count} label lists were"
        return (f"{lists} never audited; run: lagotto audit HUB --all",)

"""Models that were listed as references come in; those with labels are references, others refused.

A reference teaches by its labels. So one without a label for each output is no reference: if it was
not in the hub before, it is a failure with the reason, and otherwise it stays as it was.
"""

from collections.abc import Collection, Mapping

from lagotto.core.files import writing
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import FailedModel, ModelRecord
from lagotto.hub.store.references import record_references


def name_references(
    layout: HubLayout,
    catalogue: Catalog,
    listed: Collection[str],
    earlier: Mapping[str, ModelRecord],
) -> tuple[FailedModel, ...]:
    """Records the listed models that were probed as references.

    Args:
        layout: the hub.
        catalogue: its catalogue, writable.
        listed: behaviour digests, or sources of remote models.
        earlier: the models that the hub had before, by digest.

    Returns:
        Those that are refused.
    """
    accepted, refused = [], []
    for record in catalogue.done(listed, sources=listed):
        labels = catalogue.logit_labels(record.digest)
        if labels and all(label is not None for label in labels):
            accepted.append(record.name)
            continue
        was_there = record.digest in earlier
        reason = _refusal(layout, record, was_there)
        refused.append(FailedModel(record.name, record.source, "error", reason))
        if not was_there:
            catalogue.record_failure(record.digest, "error", reason)
            path = layout.responses_of(record.digest)
            with writing(path):
                path.unlink(missing_ok=True)
    if accepted:
        record_references(catalogue, accepted)
    return tuple(refused)


def _refusal(layout: HubLayout, record: ModelRecord, was_there: bool) -> str:
    said = [note for note in record.notes if "label" in note.lower()]
    reason = f"no reference without a label for each of its {record.outputs} outputs"
    remedy = "put labels.txt beside it, one line an output, "
    remedy += (
        f"and run: lagotto hub remove {layout.folder} {record.name}, then add it again"
        if was_there  # its labels were read when it came
        else "or add it without --reference"
    )
    return "; ".join([reason, *said, remedy])

"""A hub whose models changed comes in; what its searches read goes out, measured and kept.

These are audits and embeddings of the published labels, the twins of those that are believed, and
statistics of the background words.
"""

from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.hub.confidence.reference_file import keep_background_stats
from lagotto.hub.ingest.add import rebuild_blocks
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.label_embeddings import keep_label_embeddings
from lagotto.hub.labels.trust import LabelTrust, audit_lists
from lagotto.hub.labels.twins.stored import keep_twins
from lagotto.hub.query.background import keep_background
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock


def prepare_searches(
    hub: HubReader, progress: Progress, *, audit_all: bool
) -> tuple[ModelAudit, ...]:
    """Makes and keeps what searches read.

    Args:
        hub: A hub that is not locked; it is locked here.
        progress: Told of the work.
        audit_all: Audit the labels of every model, not only the lists that have no audit.

    Returns:
        The audits that were made, in the order of the hub's models.
    """
    layout = HubLayout(hub.folder)
    with hub_lock(hub.folder), Catalog(layout.catalogue, writable=True) as catalogue:
        keep_blocks(hub)
        refresh_background(hub, progress)
        texts, file = hub.label_texts(), layout.label_embeddings
        keep_label_embeddings(file, texts, hub.encoder, hub.space, progress)
        audits = audit_lists(hub, catalogue, progress, anew=audit_all)
        refresh_twins(hub, progress)
        with writing(layout.old_label_trust):
            layout.old_label_trust.unlink(missing_ok=True)
    return audits


def keep_blocks(hub: HubReader) -> None:
    """Makes the blocks of a locked hub hold its models, if they do not; the reader sees them."""
    layout = HubLayout(hub.folder)
    with Catalog(layout.catalogue) as catalogue:
        records = catalogue.models("done")
    rebuild_blocks(layout, records, hub.probe_digest)
    hub.refresh()


def refresh_background(hub: HubReader, progress: Progress) -> None:
    """Keeps the embeddings of the background words, and how they score in a locked hub."""
    layout = HubLayout(hub.folder)
    keep_background(layout.background, hub.encoder, progress)
    logit_index = hub.logit_index()
    if logit_index.usable:
        keep_background_stats(layout.rivals, hub.space, hub.encoder, logit_index, hub.probe_digest)


def refresh_twins(hub: HubReader, progress: Progress) -> None:
    """Keeps which outputs of a locked hub behave like its believed labelled ones."""
    trust = LabelTrust(hub.label_lists(), hub.references())
    keep_twins(HubLayout(hub.folder).twins, hub, trust, progress)

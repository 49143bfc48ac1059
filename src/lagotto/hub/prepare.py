"""A hub whose models changed comes in; what its searches read goes out, measured and kept.

These are audits and embeddings of the published labels, the twins of those that are believed, and
statistics of the background words.
"""

from contextlib import suppress
from dataclasses import dataclass

from lagotto.core.errors import LagottoError
from lagotto.core.files import writing
from lagotto.core.progress import Progress, Silent
from lagotto.hub.confidence.reference_file import keep_background_stats
from lagotto.hub.ingest.segments import compact_segments, rebuild_blocks
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.audits.kept import audit_lists
from lagotto.hub.labels.label_embeddings import keep_label_embeddings
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.stored import keep_twins, open_twins
from lagotto.hub.query.background import keep_background
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.segments import read_fact, read_segments, record_fact

_MEASURED = "logits of the background statistics"
_MEASURED_AT_ONCE = 32 << 20
"""Values of descriptors up to which the statistics are measured anew at every change: reading them
takes about as long as the rest of adding a model. benchmarks/speed/growth.py"""
_SHARE = 8


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """The segments of a hub and their bytes, before they were merged and after it."""

    segments_before: int
    segments: int
    bytes_before: int
    bytes: int


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
        keep_blocks(hub, catalogue)
        refresh_background(hub, catalogue, progress, always=audit_all)
        texts, file = hub.label_texts(), layout.label_embeddings
        embedded = keep_label_embeddings(file, texts, hub.encoder, hub.space, progress)
        audits = audit_lists(hub, catalogue, progress, embedded, anew=audit_all)
        refresh_twins(hub, progress)
        with writing(layout.old_label_trust):
            layout.old_label_trust.unlink(missing_ok=True)
    return audits


def keep_blocks(hub: HubReader, catalogue: Catalog) -> None:
    """Makes the segments of a locked hub hold its models, if they do not; the reader sees them."""
    rebuild_blocks(HubLayout(hub.folder), catalogue, hub.probe_digest)
    hub.refresh()


def remove_model(hub: HubReader, catalogue: Catalog, model: str) -> None:
    """Removes a model of a locked hub, its responses and its logits.

    Its columns stay in their segment, unseen, until that is merged.
    """
    layout = HubLayout(hub.folder)
    removed = catalogue.remove(model)
    hub.refresh()
    path = layout.responses_of(removed.digest)
    with writing(path):
        path.unlink(missing_ok=True)
    rebuild_blocks(layout, catalogue, hub.probe_digest)
    with suppress(LagottoError):  # a search measures what is not kept
        refresh_background(hub, catalogue, Silent())
        refresh_twins(hub, Silent())


def compact_hub(hub: HubReader, progress: Progress) -> SegmentCounts:
    """Merges the segments of a hub, which is locked here, and keeps what searches read."""
    layout = HubLayout(hub.folder)
    with hub_lock(hub.folder), Catalog(layout.catalogue, writable=True) as catalogue:
        before = read_segments(catalogue)
        compact_segments(layout, catalogue, hub.probe_digest, progress)
        hub.refresh()
        after = read_segments(catalogue)
        with suppress(LagottoError):  # without the encoder the segments are merged all the same
            refresh_background(hub, catalogue, progress, always=True)
            refresh_twins(hub, progress)
    sizes = (sum(segment.bytes for segment in segments) for segments in (before, after))
    return SegmentCounts(len(before), len(after), *sizes)


def refresh_background(
    hub: HubReader, catalogue: Catalog, progress: Progress, *, always: bool = False
) -> None:
    """Keeps the embeddings of the background words, and how they score in a locked hub.

    The scores are measured on a sample of logits that shifts with every model. In a large hub, that
    reads most of its descriptors: there they are measured anew when the hub has changed by an
    eighth, or `always`. Until then each process that searches measures them for itself.
    """
    layout = HubLayout(hub.folder)
    keep_background(layout.background, hub.encoder, progress)
    logits = sum(segment.live_logits for segment in read_segments(catalogue))
    before = int(read_fact(catalogue, _MEASURED) or 0)
    is_small = logits * hub.probe_count <= _MEASURED_AT_ONCE
    if not (always or is_small or abs(logits - before) * _SHARE >= before):
        return
    logit_index = hub.logit_index()
    if logit_index.usable:
        keep_background_stats(layout.rivals, hub.space, hub.encoder, logit_index, hub.probe_digest)
        record_fact(catalogue, _MEASURED, str(logits))


def refresh_twins(hub: HubReader, progress: Progress) -> None:
    """Keeps which outputs of a locked hub behave like its believed labelled ones."""
    trust = LabelTrust(hub.label_lists(), hub.references())
    keep_twins(HubLayout(hub.folder).twins, hub, trust, progress)


def reference_notes(hub: HubReader) -> tuple[str, ...]:
    """What a user has to know of a hub's references: lists that nothing bears out, and references
    that contradict each other."""
    trust = LabelTrust(hub.label_lists(), hub.references())
    twins = open_twins(HubLayout(hub.folder).twins, hub, trust)
    return (*trust.doubted_references, *twins.contradictions)

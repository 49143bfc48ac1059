"""A hub whose models changed comes in; segments that hold just its models go out.

New models are written as segments of their own. Segments of about one size are merged when there
are `TIER` of them, so that a column is copied once for each power of `TIER` that the hub grows by.
At every moment the catalogue lists segments that hold what it says: a new file is complete before
it is listed, and an old one is removed after it is listed no more.
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Int64

from lagotto.core.errors import HubError
from lagotto.core.files import read_array, writing
from lagotto.core.progress import Progress, Silent
from lagotto.hub.completion.stored import HubCompletion, current_completion, drop_completion
from lagotto.hub.descriptors.block_models import ModelTable
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    BlockSource,
    block_path,
    block_paths,
    join_blocks,
    open_block,
    write_blocks,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.segments import (
    Piece,
    adoptable_blocks,
    all_positions,
    arrange,
    open_segments,
    with_places,
)
from lagotto.hub.ingest.response_files import file_facts
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.segments import (
    SegmentRecord,
    Unplaced,
    drop_segments,
    has_segments,
    least_seen,
    made_with,
    next_segment,
    read_segments,
    read_unmeasured,
    read_unplaced,
    record_file_facts,
    record_segment,
)

TIER = 8
"""How many segments of about one size are merged; the next size is as many times larger."""

_SMALLEST = 1024
"""Logits up to which all segments are of one size."""

LARGEST_SEGMENT = 1 << 22
"""Logits that a merged segment has at most: a merge needs as much free disk as it has bytes."""


def rebuild_blocks(layout: HubLayout, catalogue: Catalog, probe_digest: str) -> None:
    """Makes the segments of a hub hold exactly the models that are done.

    What is there is not read: the cost is that of the new models, and now and then of a merge.
    Where models saw a share of the probes, the completion is brought up to date first.

    Args:
        layout: A hub that the caller has locked for writing.
        catalogue: Its catalogue, writable.
        probe_digest: Its probe set.

    Raises:
        HubError: Responses cannot be read, or the folder cannot be written.
    """
    if not has_segments(catalogue):
        _adopt(layout, catalogue, probe_digest)
    opened = open_segments(layout.blocks, catalogue, probe_digest, checked_bytes=0)
    if opened.unusable:
        with catalogue.transaction():
            drop_segments(catalogue, opened.unusable)
    _measure_responses(layout, catalogue)
    completion = hub_completion(layout, catalogue, probe_digest)
    _drop_outdated(catalogue, completion)
    _write_new(layout, catalogue, probe_digest, completion)
    with suppress(HubError):  # a full disk: the segments stay as they are, and serve
        _merge_tiers(layout, catalogue, probe_digest)
    _remove_unlisted(layout, catalogue)


def compact_segments(
    layout: HubLayout, catalogue: Catalog, probe_digest: str, progress: Progress | None = None
) -> None:
    """Merges all segments into as few as can be, without the columns of models that are gone.

    Arguments and errors as `rebuild_blocks`, which is done first.
    """
    progress = progress or Silent()
    rebuild_blocks(layout, catalogue, probe_digest)
    groups = _cut([*read_segments(catalogue)])
    groups = [group for group in groups if len(group) > 1 or group[0].lost_models]
    progress.start("merging", sum(each.live_logits for group in groups for each in group), "logits")
    for group in groups:
        _merge(layout, catalogue, probe_digest, group)
        progress.advance(sum(each.live_logits for each in group))
    progress.finish()
    _remove_unlisted(layout, catalogue)


def new_sources(
    layout: HubLayout, models: Sequence[Unplaced], completion: HubCompletion | None
) -> list[BlockSource]:
    """What the columns of some models are made of."""
    sources = []
    for model in models:
        path, made = layout.responses_of(model.digest), made_of(completion, model.digest)
        if completion is not None and made == completion.sha256:
            sources.append(BlockSource(model.digest, path, completion.responses, made))
        else:
            sources.append(BlockSource(model.digest, path, None, made))
    return sources


def made_of(completion: HubCompletion | None, digest: str) -> str:
    """What the columns of a model are made with, beside its responses: `BlockModel.made_with`."""
    if completion is None or completion.verdicts[digest].use == "all":
        return ""
    return SEEN_ONLY if completion.verdicts[digest].use == "seen" else completion.sha256


def _adopt(layout: HubLayout, catalogue: Catalog, probe_digest: str) -> None:
    """Lists the blocks that an older version made, as far as they hold models of the hub."""
    pieces = adoptable_blocks(layout.blocks, catalogue, probe_digest)
    with catalogue.transaction():
        for piece in pieces:
            if piece.places is not None:
                places = piece.places
                _list_segment(
                    layout, catalogue, piece.segment, places.positions, places.places.tolist()
                )


def _list_segment(
    layout: HubLayout,
    catalogue: Catalog,
    number: int,
    positions: Int64[np.ndarray, " models"],
    places: Sequence[int],
) -> None:
    """Takes a file into use, inside a transaction; `positions` are those of its models."""
    path = block_path(layout.blocks, number)
    block = open_block(path, read_hub_manifest(layout.folder).probe_digest, trusted=True)
    models = block.models if isinstance(block.models, ModelTable) else ModelTable.of(block.models)
    live = int(np.diff(models.firsts)[list(places)].sum())
    state = path.stat()
    record = SegmentRecord(
        id=number,
        sha256=block.sha256,
        bytes=state.st_size,
        changed_ns=state.st_mtime_ns,
        models=len(models),
        logits=int(models.firsts[-1]),
        first_position=int(positions.min()),
        last_position=int(positions.max()),
        lost_models=len(models) - len(places),
        lost_logits=int(models.firsts[-1]) - live,
    )
    made = [models.made_with[kind] for kind in models.made[list(places)].tolist()]
    record_segment(catalogue, record, list(zip(positions.tolist(), places, made, strict=True)))


def _measure_responses(layout: HubLayout, catalogue: Catalog) -> None:
    """Records what is not known of files of responses, as of a hub of an older version."""
    facts = []
    for digest in read_unmeasured(catalogue):
        path = layout.responses_of(digest)
        facts.append((digest, file_facts(path, len(read_responses(path).seen_probes))))
    if facts:
        record_file_facts(catalogue, facts)


def hub_completion(
    layout: HubLayout, catalogue: Catalog, probe_digest: str
) -> HubCompletion | None:
    """The completion as it should be, kept in the hub; None where every model saw every probe."""
    probes, least = read_hub_manifest(layout.folder).probes, least_seen(catalogue)
    unknown = (read_responses(layout.responses_of(each)) for each in read_unmeasured(catalogue))
    if (least is None or least >= probes) and all(responses.is_full for responses in unknown):
        drop_completion(layout)
        return None
    sources = [(record.digest, record.responses_sha256) for record in catalogue.models("done")]
    return current_completion(layout, sources, probe_digest)


def _drop_outdated(catalogue: Catalog, completion: HubCompletion | None) -> None:
    """Forgets columns that were made with another completion than the hub has now."""
    made = made_with(catalogue)
    outdated = [*made]
    if completion is not None:
        outdated = [
            record.position
            for record in catalogue.models("done")
            if made.get(record.position, "") != made_of(completion, record.digest)
        ]
    if outdated:
        with catalogue.transaction():
            catalogue.run_many(
                "UPDATE models SET segment = NULL, place = NULL, made_with = '' WHERE position = ?",
                [(position,) for position in outdated],
            )


def _write_new(
    layout: HubLayout, catalogue: Catalog, probe_digest: str, completion: HubCompletion | None
) -> None:
    """Writes the models that are in no segment, and lists each segment when it is complete."""
    models = read_unplaced(catalogue)
    if not models:
        return
    with writing(layout.blocks):
        layout.blocks.mkdir(exist_ok=True)
    matrix = projector(read_array(layout.embeddings, HubError))
    sources = new_sources(layout, models, completion)
    begin, number = 0, next_segment(catalogue)
    for count in write_blocks(layout.blocks, sources, probe_digest, matrix, first_number=number):
        positions = np.array([model.position for model in models[begin : begin + count]])
        with catalogue.transaction():
            _list_segment(layout, catalogue, number, positions, range(count))
        begin, number = begin + count, number + 1


def _merge_tiers(layout: HubLayout, catalogue: Catalog, probe_digest: str) -> None:
    """Merges where it pays: many segments of about one size, or one with much that is gone."""
    while group := choose_merge(read_segments(catalogue)):
        _merge(layout, catalogue, probe_digest, group)


def choose_merge(records: Sequence[SegmentRecord]) -> list[SegmentRecord]:
    """The segments that are to be merged next, in the order of their models; none if all is well.

    A segment of which an eighth is gone is written anew; those of one size are merged when there
    are eight of them, the smallest size first.
    """
    for record in records:
        if record.lost_logits * TIER >= record.logits:
            return [record]
    tiers: dict[int, list[SegmentRecord]] = {}
    for record in records:
        if record.live_logits <= LARGEST_SEGMENT // 2:
            tiers.setdefault(_tier(record.live_logits), []).append(record)
    for _, members in sorted(tiers.items()):
        if len(members) >= TIER:
            return next((group for group in _cut(members) if len(group) > 1), [])
    return []


def _tier(logits: int) -> int:
    tier = 0
    while logits > _SMALLEST * TIER**tier:
        tier += 1
    return tier


def _cut(records: Sequence[SegmentRecord]) -> list[list[SegmentRecord]]:
    """The segments in groups, each at most as large as a merged segment may be."""
    groups: list[list[SegmentRecord]] = []
    size = 0
    for record in records:
        if not groups or size + record.live_logits > LARGEST_SEGMENT:
            groups.append([])
            size = 0
        groups[-1].append(record)
        size += record.live_logits
    return groups


def _merge(
    layout: HubLayout, catalogue: Catalog, probe_digest: str, group: Sequence[SegmentRecord]
) -> None:
    """Replaces segments by one that holds their models that are still there."""
    numbers = {record.id for record in group}
    opened = open_segments(layout.blocks, catalogue, probe_digest, checked_bytes=0)
    pieces: list[Piece] = [
        with_places(piece, catalogue) for piece in opened.pieces if piece.segment in numbers
    ]
    number = next_segment(catalogue)
    if pieces:
        join_blocks(block_path(layout.blocks, number), arrange(pieces), probe_digest)
    with catalogue.transaction():
        if pieces:
            positions = all_positions(pieces, catalogue)
            _list_segment(layout, catalogue, number, positions, range(len(positions)))
        drop_segments(catalogue, numbers)
    _remove_unlisted(layout, catalogue)


def _remove_unlisted(layout: HubLayout, catalogue: Catalog) -> None:
    """Removes the files of segments that are in use no more, or that were never listed."""
    listed = {record.id for record in read_segments(catalogue)}
    for number, path in block_paths(layout.blocks).items():
        if number not in listed:
            with writing(path):
                path.unlink(missing_ok=True)

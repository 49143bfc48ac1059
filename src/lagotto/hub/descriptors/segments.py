"""The catalogue's list of segments comes in; blocks of its models, in their order, go out.

A segment is a block file that holds models in the order of the catalogue. Segments may overlap, and
may hold columns of models that are gone: a block is then a part of a segment, over the same memory.
What a hub answers does not depend on how its models lie in segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lagotto.core.errors import HubError
from lagotto.hub.descriptors.blocks import Block, block_path, block_paths, open_block
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.segments import (
    LogitPlaces,
    SegmentRecord,
    check_segment,
    find_positions,
    has_segments,
    read_places,
    read_segments,
)

CHECKED_BYTES = 64 << 20
"""How many bytes are checked when a hub is opened to be read; it takes a few hundredths of a
second."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An open segment with the models that are still there; all of them where `places` is None.

    `first` is the position of the first of them in the catalogue.
    """

    segment: int
    block: Block
    first: int
    places: LogitPlaces | None = None


@dataclass(frozen=True, slots=True)
class OpenSegments:
    """The segments of a hub that can be used, and the numbers of those that cannot."""

    pieces: tuple[Piece, ...]
    unusable: tuple[int, ...]


def open_segments(
    folder: Path, catalogue: Catalog, probe_digest: str, checked_bytes: int = CHECKED_BYTES
) -> OpenSegments:
    """Opens the segments that the catalogue lists, as it is in one snapshot.

    Bytes of segments up to `checked_bytes`, smallest first, are checked against their checksums;
    beyond that a segment is taken for intact if its size and time of change are as recorded.

    For a hub of an older version, whose catalogue lists none, these are the blocks in the folder
    that hold models of the hub.
    """
    if not has_segments(catalogue):
        return OpenSegments(adoptable_blocks(folder, catalogue, probe_digest), ())
    records = read_segments(catalogue)
    blocks, unusable = _open_files(folder, records, probe_digest, checked_bytes)
    usable = [record for record in records if record.id in blocks]
    pieces = []
    for record, overlaps in zip(usable, _overlaps(usable), strict=True):
        if record.lost_models == record.models:
            continue
        places = None
        if record.lost_models or overlaps:
            places = read_places(catalogue, record.id)
        pieces.append(Piece(record.id, blocks[record.id], record.first_position, places))
    return OpenSegments(tuple(pieces), tuple(unusable))


def adoptable_blocks(folder: Path, catalogue: Catalog, probe_digest: str) -> tuple[Piece, ...]:
    """The block files that hold models of the hub as they are, with their places there."""
    pieces, taken = [], set[int]()
    for number, path in block_paths(folder).items():
        try:
            block = open_block(path, probe_digest)
        except HubError:
            continue
        models = [(model.behaviour_digest, model.responses_sha256) for model in block.models]
        present = find_positions(catalogue, models)
        found = sorted(
            (present[digest], place)
            for place, (digest, _) in enumerate(models)
            if digest in present and present[digest] not in taken
        )
        if found:
            taken.update(position for position, _ in found)
            both = np.array(found, np.int64)
            places = LogitPlaces(number, both[:, 0], both[:, 1])
            pieces.append(Piece(number, block, found[0][0], places))
    return tuple(pieces)


def arrange(pieces: Sequence[Piece]) -> list[Block]:
    """The models of segments as blocks in the order of the catalogue."""
    keys, owners, places = [], [], []
    for owner, piece in enumerate(pieces):
        if piece.places is None:
            keys.append(np.array([piece.first]))
            places.append(np.array([-1]))
        else:
            keys.append(piece.places.positions)
            places.append(piece.places.places)
        owners.append(np.full(len(keys[-1]), owner))
    if not keys:
        return []
    order = np.argsort(np.concatenate(keys), kind="stable")
    owner_of, place_of = np.concatenate(owners)[order], np.concatenate(places)[order]
    goes_on = (owner_of[1:] == owner_of[:-1]) & (place_of[1:] == place_of[:-1] + 1)
    starts = np.flatnonzero(np.append(True, ~goes_on))
    ends = np.append(starts[1:], len(order))
    blocks = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        block, first = pieces[int(owner_of[start])].block, int(place_of[start])
        blocks.append(block if first < 0 else block.part(first, first + end - start))
    return blocks


def all_positions(pieces: Sequence[Piece], catalogue: Catalog) -> Int64[np.ndarray, " models"]:
    """The positions in the catalogue of the models of segments, ascending."""
    parts = [(piece.places or read_places(catalogue, piece.segment)).positions for piece in pieces]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))


def with_places(piece: Piece, catalogue: Catalog) -> Piece:
    """A segment with the places of its models, also where all of them are still there."""
    if piece.places is not None:
        return piece
    return replace(piece, places=read_places(catalogue, piece.segment))


def segment_damages(
    catalogue: Catalog, record: SegmentRecord, path: Path, probe_digest: str
) -> list[str]:
    """What is wrong with a segment: its file, or a model that the catalogue places in it."""
    try:
        block = open_block(path, probe_digest, trusted=True)
        check_segment(record, path, block.sha256)
    except HubError as error:
        return [str(error)]
    rows = catalogue.run(
        "SELECT name, place, digest, responses_sha256 FROM models WHERE segment = ?", (record.id,)
    )
    lines = []
    for name, place, digest, sha256 in rows:
        held = block.models[place] if 0 <= place < len(block.models) else None
        if held is None or (held.behaviour_digest, held.responses_sha256) != (digest, sha256):
            lines.append(f"does not hold {name}, which the catalogue places there")
    if len(rows) != record.models - record.lost_models:
        lines.append(f"holds {len(rows)} models of the hub, and the catalogue counts others")
    return lines


def _open_files(
    folder: Path, records: Sequence[SegmentRecord], probe_digest: str, checked_bytes: int
) -> tuple[dict[int, Block], list[int]]:
    """The open segments by number, and the numbers of those that cannot be used."""
    blocks, unusable, checked = {}, [], 0
    for record in sorted(records, key=lambda record: record.bytes):
        path = block_path(folder, record.id)
        checked += record.bytes
        trusted = checked > checked_bytes and record.is_file(path)
        try:
            block = open_block(path, probe_digest, trusted)
            check_segment(record, path, block.sha256)
            blocks[record.id] = block
        except HubError:
            unusable.append(record.id)
    return blocks, unusable


def _overlaps(records: Sequence[SegmentRecord]) -> list[bool]:
    """Which segments, in the order of their first positions, overlap another one."""
    overlaps = [False] * len(records)
    latest = None
    for number, record in enumerate(records):
        if latest is not None and record.first_position <= records[latest].last_position:
            overlaps[number] = overlaps[latest] = True
        if latest is None or record.last_position > records[latest].last_position:
            latest = number
    return overlaps

"""A hub comes in; blocks of exactly its models go out, and nothing is written to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lagotto.core.errors import HubError
from lagotto.core.files import read_array, writing
from lagotto.core.lock import LOCK_NAME
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.hub.completion.stored import HubCompletion, read_completion
from lagotto.hub.descriptors.blocks import SEEN_ONLY, Block, build_blocks, open_blocks
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.segments import Piece, arrange, open_segments, with_places
from lagotto.hub.ingest.segments import hub_completion, made_of, new_sources
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.segments import (
    LogitPlaces,
    Unplaced,
    has_segments,
    models_at,
    read_places,
    read_unplaced,
    ways_made,
)

_TRIES = 3
"""How often the models of a hub may change while its blocks are read, until that is an error."""


@dataclass(frozen=True, slots=True)
class CurrentBlocks:
    """The blocks of all models that were probed, the completion, and notes."""

    blocks: list[Block]
    completion: HubCompletion | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """What a hub has in one snapshot: pieces of its segments, and models that are in none.

    `completed` says whether columns of the pieces were made with a completion.
    """

    pieces: tuple[Piece, ...]
    missing: tuple[Unplaced, ...]
    completed: bool


def current_blocks(layout: HubLayout, probe_digest: str) -> CurrentBlocks:
    """The blocks of the models that are done.

    Where those in the hub are out of date (an `add` was cut off or is running, or the hub is of an
    older version), what they lack is made for this reader alone, in a temporary folder that is gone
    when this returns; the blocks stay mapped. A note says so.

    Raises:
        HubError: Responses cannot be read, or the temporary folder cannot be written.
    """
    for attempt in range(_TRIES):
        state = _read_state(layout, probe_digest)
        stored = read_completion(layout, probe_digest)
        has_lost = stored is None and state.completed
        if not state.missing and not has_lost:
            return CurrentBlocks(arrange(state.pieces), stored)
        try:
            blocks, completion = _made_outside(layout, state, probe_digest)
        except HubError:
            if attempt + 1 == _TRIES:
                raise
            continue  # a model was removed meanwhile, or its responses are damaged
        note = (
            f"the descriptors of {len(state.missing)} models are not kept in the hub and were "
            "made for this search alone; run lagotto hub add again, or wait for it"
        )
        lost = (
            f"{layout.completion} is missing or damaged and was made anew for this search alone; "
            f"run: lagotto audit {layout.folder} --all"
        )
        return CurrentBlocks(blocks, completion, (lost if has_lost else note,))
    raise AssertionError("the last attempt returns or raises")


def _read_state(layout: HubLayout, probe_digest: str) -> _State:
    with Catalog(layout.catalogue) as catalogue, catalogue.snapshot():
        opened = open_segments(layout.blocks, catalogue, probe_digest)
        missing = read_unplaced(catalogue)
        if not has_segments(catalogue):
            present = {
                position
                for piece in opened.pieces
                if piece.places is not None
                for position in piece.places.positions.tolist()
            }
            missing = tuple(model for model in missing if model.position not in present)
        lost = [
            position
            for segment in opened.unusable
            for position in read_places(catalogue, segment).positions.tolist()
        ]
        if lost:
            missing = _in_order([*missing, *models_at(catalogue, lost)])
        pieces = opened.pieces
        if missing:  # they may lie between the models of a segment
            pieces = tuple(with_places(piece, catalogue) for piece in pieces)
        return _State(pieces, missing, bool(ways_made(catalogue) - {SEEN_ONLY}))


def _made_outside(
    layout: HubLayout, state: _State, probe_digest: str
) -> tuple[list[Block], HubCompletion | None]:
    """The blocks, with those of missing models made in a temporary folder; and the completion.

    The folder looks like the hub: everything there is a link to the hub's own file until it is
    replaced by a new one.
    """
    with temporary_folder("blocks") as folder:
        outside = HubLayout(folder)
        with writing(outside.folder):
            for entry in layout.folder.iterdir():
                if entry.name not in (LOCK_NAME, layout.blocks.name):
                    (outside.folder / entry.name).symlink_to(entry.absolute())
            outside.blocks.mkdir()
        with Catalog(layout.catalogue) as catalogue:
            completion = hub_completion(outside, catalogue, probe_digest)
            state = _without_outdated(state, catalogue, completion)
        sources = new_sources(outside, state.missing, completion)
        matrix = projector(read_array(outside.embeddings, HubError))
        build_blocks(outside.blocks, sources, probe_digest, matrix)
        made, begin = [], 0
        for block in open_blocks(outside.blocks, probe_digest):
            models = state.missing[begin : begin + len(block.models)]
            positions = np.array([model.position for model in models])
            places = LogitPlaces(-1, positions, np.arange(len(models)))
            made.append(Piece(-1, block, models[0].position, places))
            begin += len(models)
        return arrange([*state.pieces, *made]), completion


def _without_outdated(
    state: _State, catalogue: Catalog, completion: HubCompletion | None
) -> _State:
    """The same, with models that were made with another completion among those missing."""
    pieces, outdated = [], []
    for piece in state.pieces:
        models, places = piece.block.models, piece.places
        if places is None or (completion is None and not any(m.made_with for m in models)):
            pieces.append(piece)
            continue
        keep = np.array(
            [
                models[place].made_with == made_of(completion, models[place].behaviour_digest)
                for place in places.places.tolist()
            ],
            bool,
        )
        outdated += places.positions[~keep].tolist()
        if keep.any():
            positions = places.positions[keep]
            rest = LogitPlaces(places.segment, positions, places.places[keep])
            pieces.append(replace(piece, first=int(positions[0]), places=rest))
    missing = _in_order([*state.missing, *models_at(catalogue, outdated)])
    return replace(state, pieces=tuple(pieces), missing=missing)


def _in_order(models: Sequence[Unplaced]) -> tuple[Unplaced, ...]:
    return tuple(sorted(models, key=lambda model: model.position))

"""Descriptor blocks come in; HUB/map.safetensors, the place of each logit in the plane, goes out.

The file is derived: it is of exactly the blocks whose digest it holds, and made anew for others.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError, LagottoError
from lagotto.core.progress import Progress
from lagotto.core.types import JsonObject
from lagotto.hub.descriptors.blocks import Block
from lagotto.hub.index.low_rank_file import blocks_digest
from lagotto.hub.index.map_layout import lay_out
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.tensorfile import Array, header_text, open_derived, write_tensors

MAP_FORMAT = "lagotto-map"
MAP_VERSION = 1


def open_map(
    layout: HubLayout, blocks: Sequence[Block], progress: Progress | None = None
) -> Float32[np.ndarray, "logits 2"]:
    """The places of a hub's logits, from its file, or made now and kept if the hub allows it.

    A logit that is not searched is NaN. A hub that cannot be written to, or that another process
    holds, gets no file; the places are the same.

    Args:
        layout: Where the hub's files are.
        blocks: All blocks of the hub, in order.
        progress: Hears of the work.
    """
    digest = blocks_digest(blocks)
    with suppress(HubError):
        stored = _read(layout, digest, sum(block.steps.size for block in blocks))
        if stored is not None:
            return stored
    places = lay_out(blocks, progress)
    with suppress(LagottoError), hub_lock(layout.folder):
        _write(layout, digest, places)
    return places


def _read(layout: HubLayout, digest: str, logits: int) -> Float32[np.ndarray, "logits 2"] | None:
    """What the file holds of exactly these blocks; None without a file or of others."""
    if not layout.map.exists():
        return None
    file = open_derived(layout.map, MAP_FORMAT, MAP_VERSION)
    places = file.arrays.get("places")
    if header_text(file, "blocks") != digest or places is None:
        return None
    if places.shape != (logits, 2) or places.dtype != np.float32:
        return None
    return np.array(places)


def _write(layout: HubLayout, digest: str, places: Float32[np.ndarray, "logits 2"]) -> None:
    def fill(arrays: Mapping[str, Array]) -> None:
        arrays["places"][...] = places

    header: JsonObject = {"format": MAP_FORMAT, "version": MAP_VERSION, "blocks": digest}
    write_tensors(layout.map, header, {"places": ("F32", places.shape)}, fill)

"""A hub comes in; its outputs as points of a map, and what is said of some of them, go out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.text.clean import shown
from lagotto.core.text.names import first_name
from lagotto.core.types import Hits
from lagotto.hub.hub import Hub
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.map_file import open_map
from lagotto.hub.store.layout import HubLayout
from lagotto.web.views.addresses import SearchAddress, like_href, output_href
from lagotto.web.views.strips import ProbeTile, strip_tiles

MOST_PICKED = 200
"""Outputs of a lasso that are listed."""

_STEPS = 65534
_NOWHERE = 65535
_GROUPS = 65535
_STILL_POINTS = 4000
_NAMED = 5


@dataclass(frozen=True, slots=True)
class MapOutput:
    """An output of the map: its column, its names, its page, and its strip where it was read."""

    column: int
    model: str
    logit: int
    label: str | None
    open: str
    like: str
    tiles: tuple[ProbeTile, ...] = ()

    @property
    def name(self) -> str:
        """MODEL:INDEX."""
        return f"{self.model}:{self.logit}"


@dataclass(frozen=True, slots=True)
class MapPage:
    """The map: how much is on it, what a search lights up, what a lasso picked."""

    outputs: int
    models: int
    lit: tuple[MapOutput, ...]
    picked: tuple[MapOutput, ...]
    points: str
    still: str
    list: str

    @property
    def names(self) -> str:
        """What the first outputs that are lit up are called, as JSON: [[column, name], ...]."""
        named = [[each.column, shown(each.label or each.name, 32)] for each in self.lit[:_NAMED]]
        return json.dumps(named)


def hub_places(hub: Hub) -> Float32[np.ndarray, "logits 2"]:
    """The place of each output; made at the first call for a hub's models, and kept."""
    return open_map(HubLayout(hub.folder), hub.reader.logit_index().blocks)


def map_page(
    hub: Hub, hits: Hits | None, address: SearchAddress, picked: Sequence[int], version: str
) -> MapPage:
    """The page of the map.

    Args:
        hub: The hub.
        hits: A search whose hits are lit up; None for none.
        address: That search.
        picked: The columns that a lasso picked.
        version: Another one after each change of the hub's models, for the address of the points.
    """
    index = hub.reader.logit_index()
    columns = [index.column(hit.model, hit.logit) for hit in hits or ()]
    lit = map_outputs(hub, [column for column in columns if column is not None])
    return MapPage(
        outputs=len(index.steps),
        models=len(index.firsts),
        lit=lit,
        picked=map_outputs(hub, picked[:MOST_PICKED]),
        points=f"/map/points.bin?v={version}",
        still=address.href("/map.svg"),
        list=address.href(),
    )


def map_outputs(
    hub: Hub, columns: Sequence[int], *, with_strips: bool = False
) -> tuple[MapOutput, ...]:
    """What is said of outputs, by their columns; a column that there is not is left out."""
    index = hub.reader.logit_index()
    present = [column for column in columns if 0 <= column < len(index.steps)]
    found = np.array(present, dtype=np.int64)
    descriptors = index.descriptors(found).T if with_strips and present else ()
    strips = [strip_tiles(hub.reader, values) for values in descriptors]
    outputs = []
    for place, (column, owner) in enumerate(
        zip(present, index.owners(found).tolist() if present else (), strict=True)
    ):
        digest = index.digests[owner]
        model, logit = index.names[digest], column - int(index.firsts[owner])
        label = index.labels(digest)[logit]
        outputs.append(
            MapOutput(
                column,
                model,
                logit,
                None if label is None else shown(label, 80),
                output_href(model, logit),
                like_href(model, logit),
                strips[place] if strips else (),
            )
        )
    return tuple(outputs)


def map_points(hub: Hub) -> bytes:
    """All points, 8 bytes each, little-endian: x, y, the model, the label's group; 16 bits each.

    x and y are 0 to 65534, 65535 for an output that is not searched. Group 0 has no label.
    """
    index, places = hub.reader.logit_index(), hub_places(hub)
    table = np.full((len(places), 4), _NOWHERE, dtype="<u2")
    there = np.isfinite(places).all(axis=1)
    table[there, :2] = np.round(places[there] * _STEPS).astype(np.uint16)
    if len(places):
        table[:, 2] = (index.owners(np.arange(len(places))) % _GROUPS).astype(np.uint16)
    table[:, 3] = _label_groups(index)
    return table.tobytes()


def map_drawing(hub: Hub, hits: Hits | None) -> str:
    """The map as an SVG for pages without JavaScript; of many points an even share."""
    index, places = hub.reader.logit_index(), hub_places(hub)
    there = np.flatnonzero(np.isfinite(places).all(axis=1))
    drawn = there[:: max(1, len(there) // _STILL_POINTS)]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-20 -20 1040 1040">',
        '<g fill="#9a8f80" fill-opacity=".55">',
        *(_circle(places[column], 4) for column in drawn.tolist()),
        '</g><g fill="#2a9d4f" font-family="sans-serif" font-size="22">',
    ]
    for hit in hits or ():
        column = index.column(hit.model, hit.logit)
        if column is None or not np.isfinite(places[column]).all():
            continue
        x, y = (1000 * places[column]).tolist()
        name = escape(shown(hit.label or f"{hit.model}:{hit.logit}", 40))
        parts.append(_circle(places[column], 9))
        if hit.rank <= 5:
            parts.append(f'<text x="{x + 12:.0f}" y="{y + 7:.0f}">{name}</text>')
    return "".join([*parts, "</g></svg>"])


def _circle(place: Float32[np.ndarray, " 2"], radius: int) -> str:
    return f'<circle cx="{1000 * place[0]:.0f}" cy="{1000 * place[1]:.0f}" r="{radius}"/>'


def _label_groups(index: LogitIndex) -> Int64[np.ndarray, " logits"]:
    """A number for each output, the same for labels of the same first name; 0 without a label."""
    groups: dict[str, int] = {}
    numbers = [
        0
        if label is None
        else 1 + groups.setdefault(first_name(label).casefold(), len(groups)) % (_GROUPS - 1)
        for digest in index.digests
        for label in index.labels(digest)
    ]
    return np.array(numbers, dtype=np.int64)

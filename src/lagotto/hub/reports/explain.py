"""A search and its hits in; the probes that decided out, as numbers and as a contact sheet."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image

from lagotto.core.files import write_atomically
from lagotto.core.images import decode_picture
from lagotto.core.types import Hit, Hits
from lagotto.hub.query.types import QueryVector
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.reports.contact_sheet import (
    SheetRow,
    Tile,
    draw_contact_sheet,
    draw_digest,
)


@dataclass(frozen=True, slots=True)
class DecidingProbe:
    """A probe of the search, with the standardized responses of the query and of the first hits.

    Attributes:
        index: its position in the probe set.
        source: where its picture is from.
        digest: the SHA-256 of its picture.
        query: the query's value on it.
        hits: the values of the first hits; NaN for one that did not see the probe and is searched
            on what it saw.
    """

    index: int
    source: str
    digest: str
    query: float
    hits: tuple[float, ...]


def deciding_probes(
    hub: HubReader, vector: QueryVector, results: Hits, *, probes: int, hits: int
) -> list[DecidingProbe]:
    """The probes on which the query is highest, with its value and that of the first hits."""
    columns = [hub.descriptor(hit.model, hit.logit) for hit in results.hits[:hits]]
    return [
        DecidingProbe(
            index=index,
            source=hub.probes[index].source,
            digest=hub.probes[index].digest,
            query=float(vector.values[index]),
            hits=tuple(float(column[index]) for column in columns),
        )
        for index in results.deciding_probes[:probes]
    ]


def write_contact_sheet(
    hub: HubReader, vector: QueryVector, results: Hits, file: Path, *, hits: int = 5, tiles: int = 9
) -> None:
    """Writes a PNG: the query's highest probes, then the highest probes of each of the first hits.

    A green frame marks a probe that is among the query's top k, so agreement is seen at a glance.
    Below a hit that was found through a labelled output of another model are that output's highest
    probes.
    """
    top = frozenset(results.deciding_probes)
    value = results.query.value
    text = value if isinstance(value, str) else ", ".join(value)
    rows = [_row(hub, f"query ({results.query.kind}): {text}", vector.values, top, tiles)]
    for hit in results.hits[:hits]:
        rows.append(_row(hub, _title(hit), hub.descriptor(hit.model, hit.logit), top, tiles))
        if hit.through is not None:
            way = hit.through
            rows.append(_row(hub, str(way), hub.descriptor(way.model, way.logit), top, tiles))
    buffer = io.BytesIO()
    draw_contact_sheet(rows).save(buffer, format="PNG")
    write_atomically(file, buffer.getvalue())


def _title(hit: Hit) -> str:
    label = f" ({hit.label})" if hit.label else ""
    return f"{hit.rank}. {hit.model}:{hit.logit}{label}  distance {hit.distance:.2f}"


def _row(
    hub: HubReader,
    title: str,
    values: Float32[np.ndarray, " probes"],
    top: frozenset[int],
    tiles: int,
) -> SheetRow:
    known = int(np.isfinite(values).sum())  # NaN, if a model did not see a probe, sorts last
    highest = [int(index) for index in np.argsort(-values, kind="stable")[: min(tiles, known)]]
    return SheetRow(
        title, tuple(Tile(_picture(hub, i), float(values[i]), i in top) for i in highest)
    )


def _picture(hub: HubReader, index: int) -> Image.Image:
    """The picture of a probe; its digest, where the hub was published without pictures."""
    if not hub.has_pictures:
        return draw_digest(hub.probes[index].digest)
    return decode_picture(hub.probe_picture(index))

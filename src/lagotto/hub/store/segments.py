"""Segments of descriptors come in; rows of the catalogue that say which model is where go out.

A segment is a block file. The table of segments is the list of those in use: it changes in one
transaction with the places of the models, so that a kill leaves the old list or the new one. A
model that is removed, probed again or sees more probes leaves its columns behind in its segment
until that is merged; the catalogue counts them. A catalogue before version 3 has no such table.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lagotto.core.errors import HubError
from lagotto.core.files import canonical_json
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.database import WITH_SEGMENTS, json_list
from lagotto.hub.store.records import FileFacts

_COLUMNS = (
    "id, sha256, bytes, changed_ns, models, logits, first_position, last_position, lost_models, "
    "lost_logits"
)


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment in use: its number, its file, and what it holds.

    Its models were at the positions `first_position` to `last_position` of the catalogue, in this
    order. `lost_models` of them, with `lost_logits`, are not there any more.
    """

    id: int
    sha256: str
    bytes: int
    changed_ns: int
    models: int
    logits: int
    first_position: int
    last_position: int
    lost_models: int = 0
    lost_logits: int = 0

    @property
    def live_logits(self) -> int:
        """The logits of the models that are still there."""
        return self.logits - self.lost_logits

    def is_file(self, path: Path) -> bool:
        """Whether a file has the size and the time of change that were recorded."""
        try:
            state = path.stat()
        except OSError:
            return False
        return (state.st_size, state.st_mtime_ns) == (self.bytes, self.changed_ns)


@dataclass(frozen=True, slots=True)
class LogitPlaces:
    """Models of one segment: their positions in the catalogue, ascending, and their places."""

    segment: int
    positions: Int64[np.ndarray, " models"]
    places: Int64[np.ndarray, " models"]


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A probed model whose columns are in no segment."""

    position: int
    digest: str


def has_segments(catalogue: Catalog) -> bool:
    """Whether any segment is in use."""
    return catalogue.format_version() >= WITH_SEGMENTS and bool(
        catalogue.run("SELECT 1 FROM segments LIMIT 1")
    )


def read_segments(catalogue: Catalog) -> tuple[SegmentRecord, ...]:
    """The segments in use, in the order of their first model."""
    if catalogue.format_version() < WITH_SEGMENTS:
        return ()
    rows = catalogue.run(f"SELECT {_COLUMNS} FROM segments ORDER BY first_position, id")
    return tuple(SegmentRecord(*row) for row in rows)


def read_places(catalogue: Catalog, segment: int) -> LogitPlaces:
    """Where the models of a segment are that are still there."""
    rows = catalogue.run(
        "SELECT position, place FROM models WHERE segment = ? ORDER BY position", (segment,)
    )
    both = np.array(rows, np.int64).reshape(-1, 2)
    return LogitPlaces(segment, both[:, 0], both[:, 1])


def read_unplaced(catalogue: Catalog) -> tuple[Unplaced, ...]:
    """The probed models whose columns are in no segment, in the order of the catalogue."""
    index = where = ""
    if catalogue.format_version() >= WITH_SEGMENTS:  # by itself SQLite would read every model
        index, where = "INDEXED BY models_without_segment", "AND segment IS NULL"
    rows = catalogue.run(
        f"SELECT position, digest FROM models {index} WHERE status = 'done' {where} "
        "ORDER BY position"
    )
    return tuple(Unplaced(*row) for row in rows)


def models_at(catalogue: Catalog, positions: Collection[int]) -> tuple[Unplaced, ...]:
    """The probed models at some positions, in their order."""
    rows = catalogue.run(
        "SELECT position, digest FROM models WHERE status = 'done' "
        "AND position IN (SELECT value FROM json_each(?)) ORDER BY position",
        (canonical_json([*positions]).decode(),),
    )
    return tuple(Unplaced(*row) for row in rows)


def find_positions(catalogue: Catalog, models: Collection[tuple[str, str]]) -> dict[str, int]:
    """By digest, the positions of those of some models that are done with the same responses.

    A model is its behaviour digest and the checksum of its responses.
    """
    rows = catalogue.run(
        "SELECT digest, responses_sha256, position FROM models WHERE status = 'done' "
        "AND digest IN (SELECT value FROM json_each(?))",
        (json_list([digest for digest, _ in models]),),
    )
    wanted = set(models)
    return {digest: position for digest, sha256, position in rows if (digest, sha256) in wanted}


def record_segment(
    catalogue: Catalog, segment: SegmentRecord, placed: Sequence[tuple[int, int, str]]
) -> None:
    """Takes a segment into use, inside a transaction of the caller.

    `placed` are its models: position in the catalogue, place in the segment, and what it was made
    with. Models in other segments are now in this one.
    """
    values = [getattr(segment, name) for name in _COLUMNS.split(", ")]
    catalogue.run(f"INSERT OR REPLACE INTO segments VALUES ({', '.join('?' * 10)})", values)
    catalogue.run_many(
        "UPDATE models SET segment = ?, place = ?, made_with = ? WHERE position = ?",
        [(segment.id, place, made_with, position) for position, place, made_with in placed],
    )


def drop_segments(catalogue: Catalog, segments: Collection[int]) -> None:
    """Takes segments out of use, inside a transaction; models that are there are in none."""
    for segment in segments:
        catalogue.run(
            "UPDATE models SET segment = NULL, place = NULL, made_with = '' WHERE segment = ?",
            (segment,),
        )
        catalogue.run("DELETE FROM segments WHERE id = ?", (segment,))


def next_segment(catalogue: Catalog) -> int:
    """A number that no segment has had since the last that is in use."""
    return int(catalogue.run("SELECT coalesce(max(id), -1) + 1 FROM segments")[0][0])


def made_with(catalogue: Catalog) -> dict[int, str]:
    """By position, what the columns of models were made with, for those made with anything."""
    rows = catalogue.run("SELECT position, made_with FROM models WHERE made_with != ''")
    return {int(position): str(made) for position, made in rows}


def ways_made(catalogue: Catalog) -> set[str]:
    """All that columns in use were made with beside the responses of their model."""
    if catalogue.format_version() < WITH_SEGMENTS:
        return set()
    rows = catalogue.run("SELECT DISTINCT made_with FROM models WHERE made_with != ''")
    return {str(made) for (made,) in rows}


def read_fact(catalogue: Catalog, name: str) -> str:
    """A fact about the hub as a whole; "" where it is not known."""
    if catalogue.format_version() < WITH_SEGMENTS:
        return ""
    rows = catalogue.run("SELECT value FROM facts WHERE name = ?", (name,))
    return str(rows[0][0]) if rows else ""


def record_fact(catalogue: Catalog, name: str, value: str) -> None:
    """Keeps a fact about the hub as a whole."""
    catalogue.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def read_file_facts(catalogue: Catalog) -> dict[str, tuple[int | None, int | None]]:
    """By digest, the size and the time of change of the responses of each probed model."""
    rows = catalogue.run(
        "SELECT digest, responses_bytes, responses_changed_ns FROM models WHERE status = 'done'"
    )
    return {str(digest): (size, changed) for digest, size, changed in rows}


def record_file_facts(catalogue: Catalog, facts: Sequence[tuple[str, FileFacts]]) -> None:
    """Keeps what is known of the files of responses of some models, by digest."""
    with catalogue.transaction():
        catalogue.run_many(
            "UPDATE models SET responses_bytes = ?, responses_changed_ns = ?, probes_seen = ? "
            "WHERE digest = ?",
            [(file.bytes, file.changed_ns, file.probes_seen, digest) for digest, file in facts],
        )


def read_unmeasured(catalogue: Catalog) -> list[str]:
    """The digests of the probed models of which is not known how many probes they saw."""
    known = " AND probes_seen IS NULL" if catalogue.format_version() >= WITH_SEGMENTS else ""
    query = f"SELECT digest FROM models WHERE status = 'done'{known}"
    return [str(digest) for (digest,) in catalogue.run(f"{query} ORDER BY position")]


def least_seen(catalogue: Catalog) -> int | None:
    """The fewest probes that a probed model saw; None where it is known of none."""
    if catalogue.format_version() < WITH_SEGMENTS:
        return None
    rows = catalogue.run("SELECT min(probes_seen) FROM models WHERE status = 'done'")
    return None if rows[0][0] is None else int(rows[0][0])


def check_segment(record: SegmentRecord, path: Path, sha256: str) -> None:
    """Raises HubError unless a file has the checksum that the catalogue has."""
    if record.sha256 != sha256:
        raise HubError(f"{path} is another file than the one that the catalogue recorded")


def read_probes_seen(catalogue: Catalog) -> dict[int, int | None]:
    """By position, how many probes each probed model saw; None where that is not known."""
    if catalogue.format_version() < WITH_SEGMENTS:
        return {}
    return dict(catalogue.run("SELECT position, probes_seen FROM models WHERE status = 'done'"))

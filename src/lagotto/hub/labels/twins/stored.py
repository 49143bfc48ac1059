"""A hub's models and believed labels come in; the twins of labelled outputs go out, in one file.

The file is HUB/twins.safetensors. It is written when models are added or removed or audited; a
search reads it, or finds the twins in memory where the file is missing or of other models. A hub
without a believed label has no such file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.progress import Progress, Silent
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.agreement import agreed_labels
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.probability import TWINS
from lagotto.hub.labels.twins.sources import KEY_BYTES, TWINS_VERSION, TwinSources
from lagotto.hub.labels.twins.table import NO_TWINS, Twins, choose_teachers, join_twins
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.tensorfile import Array, header_text, open_derived, write_tensors

_FORMAT = "lagotto-twins"
_FIELDS = ("teachers", "columns", "probability")
_TABLES = ("references", "audited")


@dataclass(frozen=True, slots=True)
class HubTwins:
    """The twins of a hub's labelled outputs.

    Attributes:
        references: twins of the outputs of reference models.
        audited: twins of other outputs whose label is believed by the audit of its list.
        left_out: labelled outputs that were not compared, being too many.
        contradictions: a line for each two references whose labels contradict each other.
        is_stored: whether they were read from the hub's file.
    """

    references: Twins = NO_TWINS
    audited: Twins = NO_TWINS
    left_out: int = 0
    contradictions: tuple[str, ...] = ()
    is_stored: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user has to know of a search that reads them."""
        notes = list(self.contradictions)
        if self.left_out:
            most = f"at most {TWINS.most_teachers:,} are compared with others"
            notes.append(f"{self.left_out:,} labelled outputs tell nothing of others: {most}")
        if not self.is_stored:
            made = "what labelled outputs tell of others was found anew for this search"
            notes.append(f"{made}; to keep it, run: lagotto audit HUB --all")
        return tuple(notes)


NO_HUB_TWINS = HubTwins()


def open_twins(path: Path, hub: HubReader, trust: LabelTrust) -> HubTwins:
    """The twins of a hub; nothing is written.

    Args:
        path: the file that may hold them.
        hub: the hub.
        trust: how far its labels are believed.

    Returns:
        What the file holds, as far as it is of this hub; the twins in other models are found now,
        which takes seconds for ten thousand outputs.
    """
    sources = TwinSources(hub, trust)
    if not sources.models:
        return NO_HUB_TWINS
    stored = _read(path, sources)
    if stored is not None and stored.is_complete:
        return stored.twins
    return _find(sources, stored, Silent())


def keep_twins(path: Path, hub: HubReader, trust: LabelTrust, progress: Progress) -> HubTwins:
    """Finds the twins and writes them, unless the file holds those of this very hub.

    Models that the file knows are not compared again while the believed labels stay the same.
    Without a believed label the file is removed. Raises HubError if `path` cannot be written.
    """
    sources = TwinSources(hub, trust)
    if not sources.models:
        with writing(path):
            path.unlink(missing_ok=True)
        return NO_HUB_TWINS
    stored = _read(path, sources)
    if stored is not None and stored.is_complete:
        return stored.twins
    found = _find(sources, stored, progress)
    _write(path, sources, found)
    return found


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a file holds of the models that are there; `known` says which of them it knows."""

    twins: HubTwins
    known: tuple[bool, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the file knows every model."""
        return all(self.known)


def _find(sources: TwinSources, stored: _Stored | None, progress: Progress) -> HubTwins:
    """The twins in all models: those stored, and those in the other models found now."""
    index = sources.index
    known = (False,) * len(index.firsts) if stored is None else stored.known
    unknown = [owner for owner, is_known in enumerate(known) if not is_known]
    finders, pupils, left_out = {}, {}, 0
    contradictions: tuple[str, ...] = ()
    for name in _TABLES:
        labelled = sources.labelled(name == "references")
        if name == "references":
            labelled, contradictions = agreed_labels(sources, labelled)
        teachers = choose_teachers(labelled)
        left_out += teachers.left_out
        if len(teachers.columns):
            finders[name] = TwinFinder(index, teachers)
            wanted = {owner: sources.pupils(owner, name == "references") for owner in unknown}
            pupils[name] = {owner: part for owner, part in wanted.items() if len(part)}
    total = sum(map(len, pupils.values()))
    if total:
        progress.start("finding twins", total, "models")
    tables: list[Twins] = []
    for name in _TABLES:
        parts = [] if stored is None else [getattr(stored.twins, name)]
        for owner, part in pupils.get(name, {}).items():
            parts.append(finders[name].of_model(owner, part))
            progress.advance(1)
        tables.append(join_twins(parts))
    if total:
        progress.finish()
    references, audited = tables
    return HubTwins(references, audited, left_out, contradictions, is_stored=False)


def _read(path: Path, sources: TwinSources) -> _Stored | None:
    """What a file holds; None if it is missing, damaged, or of other believed labels."""
    try:
        file = open_derived(path, _FORMAT, TWINS_VERSION)
        if header_text(file, "made_of") != sources.digest():
            return None
    except HubError:
        return None
    arrays = {name: np.array(array) for name, array in file.arrays.items()}
    names = {f"{table}.{field}" for table in _TABLES for field in (*_FIELDS, "owners")}
    if set(arrays) != names | {"models", "firsts"}:
        return None
    rows = {row.tobytes(): number for number, row in enumerate(arrays["models"])}
    keys = sources.keys()
    positions = np.full(len(rows) + 1, -1, np.int64)
    for position, key in enumerate(keys):
        positions[rows.get(key, -1)] = position
    positions[-1] = -1
    firsts = sources.index.firsts
    references, audited = (_moved(arrays, table, positions, firsts) for table in _TABLES)
    said = file.header.get("contradictions")
    contradictions = tuple(map(str, said)) if isinstance(said, list) else ()
    left_out = file.header.get("left_out")
    left_out = left_out if isinstance(left_out, int) else 0
    twins = HubTwins(references, audited, left_out, contradictions)
    return _Stored(twins, tuple(key in rows for key in keys))


def _moved(
    arrays: Mapping[str, Array],
    table: str,
    positions: Int64[np.ndarray, " models"],
    firsts: Int64[np.ndarray, " present"],
) -> Twins:
    """A table of a file, its columns moved to where their models are now; models that are gone
    are left out."""
    teachers, columns, probability = (arrays[f"{table}.{field}"] for field in _FIELDS)
    owners = arrays[f"{table}.owners"]
    moved = []
    keep = np.ones(len(columns), bool)
    for side, values in enumerate((teachers, columns)):
        then = arrays["firsts"][owners[side]]
        now = positions[owners[side]]
        keep &= now >= 0
        moved.append(values - then + firsts[now])
    return join_twins([Twins(moved[0][keep], moved[1][keep], probability[keep])])


def _write(path: Path, sources: TwinSources, found: HubTwins) -> None:
    index, keys = sources.index, sources.keys()
    arrays: dict[str, Array] = {
        "models": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES),
        "firsts": index.firsts,
    }
    for table in _TABLES:
        twins: Twins = getattr(found, table)
        arrays |= {f"{table}.{field}": getattr(twins, field) for field in _FIELDS}
        sides = [index.owners(twins.teachers), index.owners(twins.columns)]
        arrays[f"{table}.owners"] = np.stack(sides).astype(np.int64)

    def fill(written: Mapping[str, Array]) -> None:
        for name, value in arrays.items():
            written[name][...] = value

    types = {np.dtype(np.uint8): "U8", np.dtype(np.int64): "I64", np.dtype(np.float32): "F32"}
    write_tensors(
        path,
        {
            "format": _FORMAT,
            "version": TWINS_VERSION,
            "made_of": sources.digest(),
            "left_out": found.left_out,
            "contradictions": list(found.contradictions),
        },
        {name: (types[value.dtype], value.shape) for name, value in arrays.items()},
        fill,
    )

"""A store whose log was damaged or lost comes in; the same store with every whole row goes out.

The data files say themselves which rows are whole. Each caption has a key, which is a hash of its
text and of its picture. So a row whose key is that of its bytes was written completely.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float16, Int64

from lagotto.core.errors import CaptionError
from lagotto.core.files import write_atomically, writing
from lagotto.core.lock import folder_lock
from lagotto.core.types import JsonObject
from lagotto.zeroshot.captions import files as files
from lagotto.zeroshot.captions.dedup import pair_key
from lagotto.zeroshot.captions.manifest import read_store_manifest

BACKUP_NAME = "shards.jsonl.damaged"
"""The log as it was before a repair."""

_UNIT_TOLERANCE = 0.02
"""How far the length of a stored embedding may be from 1; rounding to float16 takes 0.001."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair found behind the whole lines of the log.

    `kept_shards` are those of which the log still told, `pictures` and `captions` the rows that
    were found again. `removed_bytes` were of rows that were not whole. `changed` says whether
    anything was written.
    """

    kept_shards: int
    pictures: int
    captions: int
    removed_bytes: int
    changed: bool

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return asdict(self)


def repair_store(folder: Path | str) -> RepairReport:
    """Makes the log of a store tell of every whole row in its data files again.

    The whole leading lines of the log stay. The rows behind them become one shard. The old log is
    kept as BACKUP_NAME. Rows that the log tells of are not touched, so bytes that were altered
    inside them are a matter of `CaptionStore.verify`.

    Args:
        folder: The folder of the store.

    Raises:
        CaptionError: The folder is no store, another process writes to it, a data file is shorter
            than the whole lines of the log say, or a row was altered that whole rows follow.

    Example:
        >>> repair_store("my-captions").captions  # doctest: +SKIP
        3000
    """
    folder = Path(folder)
    dim = read_store_manifest(folder).dim
    with folder_lock(folder, "caption store", CaptionError):
        states, damaged_line = files.leading_states(folder)
        before = states[-1] if states else files.Committed()
        for name, length in before.lengths.items():
            if (size := files.data_size(folder, name)) < length:
                raise CaptionError(
                    f"{folder / name} holds {size:,} bytes of {length:,}: it was cut, which no "
                    "repair undoes; restore it from a copy, or make the store anew"
                )
        sizes = {name: files.data_size(folder, name) for name in files.DATA_NAMES}
        if damaged_line is None and sizes == dict(before.lengths):
            return RepairReport(before.shards, 0, 0, 0, changed=False)
        rows = _whole_rows(folder, before, sizes, dim)
        lines = b"".join(_log_lines(folder)[: before.shards])
        if any(rows.counts):
            sha256 = files.digest_between(folder, before.lengths, rows.lengths)
            lines += files.log_line(before, rows.counts, rows.lengths, sha256)
        _replace_log(folder, lines)
        for name in files.DATA_NAMES:
            files.cut(folder, name, rows.lengths[name])
        with writing(folder / files.NOTE_NAME):
            (folder / files.NOTE_NAME).unlink(missing_ok=True)
    removed = sum(sizes.values()) - sum(rows.lengths.values())
    return RepairReport(before.shards, rows.counts[0], rows.counts[1], removed, changed=True)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Whole rows behind a state: counts as in the log, and the length of each data file."""

    counts: tuple[int, int, int, int]
    lengths: dict[str, int]


def _whole_rows(folder: Path, before: files.Committed, sizes: dict[str, int], dim: int) -> _Rows:
    """The longest run of rows behind a state that are whole in every data file."""
    widths = {
        files.IMAGE_EMBEDDINGS: 2 * dim,
        files.SPANS: 16,
        files.DIGESTS: 32,
        files.TEXT_EMBEDDINGS: 2 * dim,
        files.TEXT_ENDS: 8,
        files.SOURCE_ENDS: 8,
        files.PAIRS: 8,
    }
    rows = {name: sizes[name] // width for name, width in widths.items()}
    pictures = min(rows[name] for name in (files.IMAGE_EMBEDDINGS, files.SPANS, files.DIGESTS))
    captions = min(
        rows[name]
        for name in (files.TEXT_EMBEDDINGS, files.TEXT_ENDS, files.SOURCE_ENDS, files.PAIRS)
    )
    spans = files.mapped(folder, files.SPANS, "<i8", (pictures, 2))[before.pictures :]
    captions = _whole_captions(folder, before, captions, pictures, spans, dim)
    pictures = before.pictures + _whole_pictures(folder, before, spans, captions, dim)
    if pictures - before.pictures < len(spans):  # the captions of a picture stay with it
        first_cut = int(spans[pictures - before.pictures, 0])
        captions = max(before.captions, min(captions, first_cut))
    pictured = int(np.sum(np.diff(spans[: pictures - before.pictures], axis=1)))
    skipped, skipped_bytes = _whole_skipped(folder, before)
    lengths = {
        name: (captions if rows_of_captions else pictures) * widths[name]
        for name, rows_of_captions in (
            *((name, False) for name in (files.IMAGE_EMBEDDINGS, files.SPANS, files.DIGESTS)),
            *((name, True) for name in (files.TEXT_EMBEDDINGS, files.TEXT_ENDS)),
            *((name, True) for name in (files.SOURCE_ENDS, files.PAIRS)),
        )
    }
    for name, ends in ((files.TEXTS, files.TEXT_ENDS), (files.SOURCES, files.SOURCE_ENDS)):
        last = files.mapped(folder, ends, "<i8", (captions,))[-1:]
        lengths[name] = int(last[0]) if len(last) else 0
    lengths[files.SKIPPED] = skipped_bytes
    added = captions - before.captions
    counts = (pictures - before.pictures, added, added - pictured, skipped)
    return _Rows(counts, lengths)


def _whole_captions(
    folder: Path,
    before: files.Committed,
    captions: int,
    pictures: int,
    spans: Int64[np.ndarray, "pictures 2"],
    dim: int,
) -> int:
    """How many captions are whole: their ends follow each other and their keys are right.

    Raises CaptionError if whole captions follow one that is not: a run that was cut off leaves
    unfinished rows at the end, so that one was altered.
    """
    first = before.captions
    embeddings = files.mapped(folder, files.TEXT_EMBEDDINGS, "<f2", (captions, dim))[first:]
    whole = _are_unit(embeddings)
    for name, data in ((files.TEXT_ENDS, files.TEXTS), (files.SOURCE_ENDS, files.SOURCES)):
        ends = files.mapped(folder, name, "<i8", (captions,))[first:]
        in_order = np.diff(ends, prepend=before.lengths[data]) >= 0
        whole &= in_order & (ends >= 0) & (ends <= files.data_size(folder, data))
    digests = files.mapped(folder, files.DIGESTS, "u1", (pictures, 32))[before.pictures :]
    owner: dict[int, bytes] = {}
    for (start, end), digest in zip(spans.tolist(), digests, strict=True):
        if first <= start < end <= captions:
            owner |= dict.fromkeys(range(start, end), digest.tobytes())
    keys = files.mapped(folder, files.PAIRS, "<u8", (captions,))
    for index, text in _texts(folder, before, captions, whole):
        whole[index - first] = pair_key(owner.get(index, b""), text) == int(keys[index])
    leading = _leading(whole)
    if whole[leading:].any():
        raise CaptionError(
            f"{folder}: caption {first + leading} was altered, and whole ones follow it, so "
            "nothing is removed; restore the store from a copy, or make it anew"
        )
    return first + leading


def _whole_pictures(
    folder: Path,
    before: files.Committed,
    spans: Int64[np.ndarray, "pictures 2"],
    captions: int,
    dim: int,
) -> int:
    """How many pictures behind a state have all their captions among the whole ones."""
    shape = (before.pictures + len(spans), dim)
    embeddings = files.mapped(folder, files.IMAGE_EMBEDDINGS, "<f2", shape)[before.pictures :]
    previous_ends = (
        np.concatenate([[before.captions], spans[:-1, 1]]) if len(spans) else spans[:, 1]
    )
    in_order = (spans[:, 0] >= previous_ends) & (spans[:, 1] > spans[:, 0])
    return _leading(in_order & (spans[:, 1] <= captions) & _are_unit(embeddings))


def _whole_skipped(folder: Path, before: files.Committed) -> tuple[int, int]:
    """How many lines of items set aside are whole behind a state, and where they end."""
    end, count = before.lengths[files.SKIPPED], 0
    path = folder / files.SKIPPED
    if not path.is_file():
        return 0, end
    with path.open("rb") as lines:
        lines.seek(end)
        for line in lines:
            try:
                row = json.loads(line)
                whole = line.endswith(b"\n") and {"source", "reason"} <= set(row)
            except (ValueError, TypeError, RecursionError):
                whole = False
            if not whole:
                break
            end, count = end + len(line), count + 1
    return count, end


def _texts(
    folder: Path, before: files.Committed, captions: int, readable: Bool[np.ndarray, " rows"]
) -> Iterator[tuple[int, str]]:
    """(row, text) of the captions behind a state, up to `captions`, whose ends can be read."""
    ends = files.mapped(folder, files.TEXT_ENDS, "<i8", (captions,))[before.captions :]
    data = files.mapped(folder, files.TEXTS, "u1", (files.data_size(folder, files.TEXTS),))
    starts = np.concatenate([[before.lengths[files.TEXTS]], ends])
    for row in np.flatnonzero(readable).tolist():
        text = data[int(starts[row]) : int(ends[row])].tobytes()
        yield before.captions + row, text.decode("utf-8", "surrogateescape")


def _are_unit(rows: Float16[np.ndarray, "rows dim"]) -> Bool[np.ndarray, " rows"]:
    """Which embeddings have the length 1; others were not written whole."""
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
    whole: Bool[np.ndarray, " rows"] = np.abs(lengths - 1) < _UNIT_TOLERANCE
    return whole


def _leading(whole: Bool[np.ndarray, " rows"]) -> int:
    """How many are true before the first false one."""
    return len(whole) if whole.all() else int(np.argmin(whole))


def _log_lines(folder: Path) -> list[bytes]:
    path = folder / files.LOG_NAME
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _replace_log(folder: Path, content: bytes) -> None:
    """Writes the log anew; what stood there is kept beside it."""
    path = folder / files.LOG_NAME
    old = path.read_bytes() if path.exists() else b""
    if old and not content.startswith(old):
        write_atomically(folder / BACKUP_NAME, old)
    write_atomically(path, content)

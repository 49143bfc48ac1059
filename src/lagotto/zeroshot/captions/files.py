"""Shards come in; the files of a caption store, and memory maps of them, go out.

Data files only grow, and a log says how many of their bytes are valid. A shard is added in three
steps. A note in appending.json says which state is added to. The bytes of the shard are appended to
each data file and synced to disk. One line is appended to shards.jsonl and synced, and the note is
removed. Bytes beyond the lengths in the last line are those of a run that was cut off if the note
names that very state; the next run removes them. Without the note they are data whose line in the
log was lost: nothing removes them, and repair.py finds them again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lagotto.core.errors import CaptionError, unreadable
from lagotto.core.files import canonical_json, sync, write_atomically, writing
from lagotto.core.types import JsonObject, JsonValue
from lagotto.zeroshot.captions.manifest import RESTORE

LOG_NAME = "shards.jsonl"
NOTE_NAME = "appending.json"
INDEX_FOLDER = "index"
IMAGE_EMBEDDINGS = "image_embeddings.f16"
TEXT_EMBEDDINGS = "text_embeddings.f16"
SPANS = "spans.i64"
DIGESTS = "pictures.sha256"
TEXTS, TEXT_ENDS = "texts.utf8", "text_ends.i64"
SOURCES, SOURCE_ENDS = "sources.utf8", "source_ends.i64"
PAIRS = "pairs.u64"
SKIPPED = "set_aside.jsonl"

DATA_NAMES = (
    *(IMAGE_EMBEDDINGS, SPANS, DIGESTS),
    *(TEXT_EMBEDDINGS, TEXTS, TEXT_ENDS, SOURCES, SOURCE_ENDS, PAIRS),
    SKIPPED,
)
"""The data files, in the order in which the digest of a shard covers them."""

_READ_BYTES = 1 << 20
_COUNTS = ("pictures", "captions", "text_only", "set_aside")


@dataclass(frozen=True, slots=True)
class Committed:
    """The valid content of a store after some number of shards: totals, file lengths, digests.

    `sha256` is the digest of the last shard, `chain` that of all shards in order.
    """

    shards: int = 0
    pictures: int = 0
    captions: int = 0
    text_only: int = 0
    skipped: int = 0
    lengths: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(DATA_NAMES, 0))
    sha256: str = ""
    chain: str = ""
    log_bytes: int = 0


def read_log(folder: Path) -> list[Committed]:
    """The state of the store after each shard, in order; a last line without its end is ignored.

    Raises:
        CaptionError: A line is damaged, the log is lost, or a data file is too short.
    """
    states, damaged_line = leading_states(folder)
    if damaged_line is not None:
        raise CaptionError(f"{folder / LOG_NAME} line {damaged_line} is damaged; {_repair(folder)}")
    if not states and unlogged_bytes(folder, Committed()):
        raise CaptionError(
            f"{folder / LOG_NAME} is lost or empty, and the store holds data; {_repair(folder)}"
        )
    for name, length in states[-1].lengths.items() if states else ():
        size = data_size(folder, name)
        if size < length:
            raise CaptionError(
                f"{folder / name} holds {size:,} bytes of {length:,}: it was cut; {RESTORE}"
            )
    return states


def leading_states(folder: Path) -> tuple[list[Committed], int | None]:
    """The states that the whole leading lines of the log tell, and the first damaged line or None.

    Raises CaptionError if the log cannot be read.
    """
    path = folder / LOG_NAME
    if not path.exists():
        return [], None
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise unreadable(path, error, CaptionError) from error
    states = states_of(lines)
    number = len(states) + 1
    was_cut_off = number == len(lines) and not lines[-1].endswith(b"\n")
    return states, None if len(states) == len(lines) or was_cut_off else number


def states_of(lines: Sequence[bytes]) -> list[Committed]:
    """The states that the leading lines of a log tell, up to the first that is not whole."""
    states: list[Committed] = []
    for line in lines:
        state = state_after(line, states[-1] if states else Committed())
        if state is None:
            break
        states.append(state)
    return states


def unlogged_bytes(folder: Path, state: Committed) -> int:
    """Bytes behind those of a state that no run which was cut off explains."""
    try:
        note = json.loads((folder / NOTE_NAME).read_bytes())
        explained = note == {"chain": state.chain}
    except (OSError, ValueError, RecursionError):
        explained = False
    if explained:
        return 0
    return sum(max(0, data_size(folder, name) - state.lengths[name]) for name in DATA_NAMES)


def data_size(folder: Path, name: str) -> int:
    """The bytes of a data file; 0 without one."""
    return (folder / name).stat().st_size if (folder / name).is_file() else 0


def _repair(folder: Path) -> str:
    return f"run: lagotto captions repair {folder}"


def state_after(line: bytes, previous: Committed) -> Committed | None:
    """The state after a line of the log; None unless it is whole and follows `previous`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match row:
        case {"lengths": dict(lengths), "sha256": str(digest), "chain": str(chain)}:
            rest = {key: value for key, value in row.items() if key != "chain"}
        case _:
            return None
    counts = [row.get(name) for name in _COUNTS]
    is_complete = (
        line.endswith(b"\n")
        and chain == _chain(previous.chain, rest)
        and set(lengths) == set(DATA_NAMES)
        and all(isinstance(n, int) and n >= 0 for n in [*counts, *lengths.values()])
    )
    if not is_complete:
        return None
    pictures, captions, text_only, skipped = counts
    return Committed(
        shards=previous.shards + 1,
        pictures=pictures,
        captions=captions,
        text_only=text_only,
        skipped=skipped,
        lengths=lengths,
        sha256=digest,
        chain=chain,
        log_bytes=previous.log_bytes + len(line),
    )


def _chain(previous: str, row: JsonObject) -> str:
    return hashlib.sha256(previous.encode() + canonical_json(row)).hexdigest()


def append_shard(
    folder: Path, previous: Committed, counts: tuple[int, int, int, int], parts: Mapping[str, bytes]
) -> Committed:
    """Appends a shard, waits until it is on the disk, and returns the new state.

    Args:
        folder: The store's folder.
        previous: The state before.
        counts: Pictures, captions, captions without a picture, and items set aside, of the shard.
        parts: The bytes to append to each data file.

    Raises:
        HubError: A file cannot be written; the store is then as it was before.
        CaptionError: There are data behind the log.
    """
    if unlogged := unlogged_bytes(folder, previous):
        raise CaptionError(
            f"{folder} holds {unlogged:,} bytes of which its log does not tell; {_repair(folder)}"
        )
    line = shard_line(previous, counts, parts)
    write_atomically(folder / NOTE_NAME, canonical_json({"chain": previous.chain}) + b"\n")
    for name in DATA_NAMES:
        _append(folder / name, previous.lengths[name], parts[name])
    if previous.shards == 0:
        with writing(folder):
            sync(folder)
    _append(folder / LOG_NAME, previous.log_bytes, line)
    after = state_after(line, previous)
    if after is None:
        raise CaptionError(f"{folder / LOG_NAME} was changed by another program; {RESTORE}")
    with writing(folder / NOTE_NAME):
        (folder / NOTE_NAME).unlink(missing_ok=True)
    return after


def drop_unfinished(folder: Path, state: Committed) -> None:
    """Cuts off the rows that a run appended behind a state and did not enter in the log.

    Only a note of that very state explains such rows; without it they stay. The caller holds the
    lock. Raises HubError if a file cannot be written.
    """
    if unlogged_bytes(folder, state) or not (folder / NOTE_NAME).exists():
        return
    for name in DATA_NAMES:
        cut(folder, name, state.lengths[name])
    with writing(folder / NOTE_NAME):
        (folder / NOTE_NAME).unlink(missing_ok=True)


def shard_line(
    previous: Committed, counts: tuple[int, int, int, int], parts: Mapping[str, bytes]
) -> bytes:
    """The line of the log for a shard of these bytes; arguments as for `append_shard`."""
    lengths = {name: previous.lengths[name] + len(parts[name]) for name in DATA_NAMES}
    digest = hashlib.sha256()
    for name in DATA_NAMES:
        digest.update(parts[name])
    return log_line(previous, counts, lengths, digest.hexdigest())


def log_line(
    previous: Committed,
    counts: tuple[int, int, int, int],
    lengths: Mapping[str, int],
    sha256: str,
) -> bytes:
    """The line of the log for a shard that follows a state; `counts` as for `append_shard`."""
    totals = (previous.pictures, previous.captions, previous.text_only, previous.skipped)
    row: JsonObject = {
        name: total + count for name, total, count in zip(_COUNTS, totals, counts, strict=True)
    }
    sizes: dict[str, JsonValue] = dict(lengths)
    row |= {"lengths": sizes, "sha256": sha256}
    return canonical_json(row | {"chain": _chain(previous.chain, row)}) + b"\n"


def _append(path: Path, length: int, data: bytes) -> None:
    """Truncates the file to `length` bytes, appends `data`, and syncs it to disk."""
    with writing(path), path.open("ab") as file:
        os.truncate(file.fileno(), length)
        if data:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def cut(folder: Path, name: str, length: int) -> None:
    """Cuts a data file to a length that it has or exceeds; a missing file of length 0 stays."""
    if data_size(folder, name) > length:
        _append(folder / name, length, b"")


def mapped(
    folder: Path, name: str, dtype: str, shape: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[Any]]:
    """A read-only memory map of the valid rows of a data file."""
    if 0 in shape:
        return np.empty(shape, dtype)
    try:
        return np.memmap(folder / name, dtype, "r", shape=shape)
    except (FileNotFoundError, ValueError) as error:
        raise CaptionError(f"cannot read {folder / name}: {error}; {RESTORE}") from error
    except OSError as error:
        raise unreadable(folder / name, error, CaptionError) from error


def digest_between(folder: Path, start: Mapping[str, int], end: Mapping[str, int]) -> str:
    """The digest of the bytes of all data files between two lengths of each."""
    digest = hashlib.sha256()
    for name in DATA_NAMES:
        for part in _span(folder / name, start[name], end[name]):
            digest.update(part)
    return digest.hexdigest()


def damaged_shards(folder: Path) -> Iterator[str]:
    """One line for each shard whose digest differs from the log's, or one on the log itself.

    All files are read.
    """
    previous = Committed()
    try:
        states = read_log(folder)
    except CaptionError as error:
        yield str(error)
        return
    for state in states:
        if digest_between(folder, previous.lengths, state.lengths) != state.sha256:
            yield (
                f"shard {state.shards} (pictures {previous.pictures} to {state.pictures}, captions "
                f"{previous.captions} to {state.captions}) was altered; {RESTORE}"
            )
        previous = state
    if unlogged := unlogged_bytes(folder, previous):
        yield f"{unlogged:,} bytes of which the log does not tell; {_repair(folder)}"


def _span(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from start to end, in chunks."""
    if start == end:
        return
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (part := file.read(min(_READ_BYTES, end - start))):
            start += len(part)
            yield part

"""Shards come in; the files of a caption store, and memory maps of them, go out.

Data files only grow, and a log says how many of their bytes are valid. A shard is added in two
steps. First its bytes are appended to each data file and synced to disk. Then one line is appended
to shards.jsonl and synced. Bytes beyond the lengths in the last complete line are those of a run
that was cut off; the next run removes them.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lagotto.core.errors import CaptionError
from lagotto.core.files import canonical_json, sync, writing
from lagotto.core.lock import LOCK_NAME
from lagotto.core.types import JsonObject, JsonValue
from lagotto.zeroshot.captions.manifest import RESTORE, STORE_MANIFEST

LOG_NAME = "shards.jsonl"
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
    """The state of the store after each shard, in order; an incomplete last line is ignored.

    Raises:
        CaptionError: An earlier line is damaged, or a data file is too short.
    """
    path = folder / LOG_NAME
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise CaptionError(f"cannot read {path}: {error.strerror}; {RESTORE}") from error
    states: list[Committed] = []
    for number, line in enumerate(lines, start=1):
        state = _parsed(line, states[-1] if states else Committed())
        if state is None and number == len(lines):
            break
        if state is None:
            raise CaptionError(f"{path} line {number} is damaged; {RESTORE}")
        states.append(state)
    for name, length in states[-1].lengths.items() if states else ():
        size = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if size < length:
            raise CaptionError(
                f"{folder / name} holds {size:,} bytes of {length:,}: it was cut; {RESTORE}"
            )
    return states


def _parsed(line: bytes, previous: Committed) -> Committed | None:
    """The state after a line of the log; None unless it is complete and follows `previous`."""
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
    """
    lengths = {name: previous.lengths[name] + len(parts[name]) for name in DATA_NAMES}
    digest = hashlib.sha256()
    for name in DATA_NAMES:
        digest.update(parts[name])
        _append(folder / name, previous.lengths[name], parts[name])
    totals = (previous.pictures, previous.captions, previous.text_only, previous.skipped)
    row: JsonObject = {
        name: total + count for name, total, count in zip(_COUNTS, totals, counts, strict=True)
    }
    sizes: dict[str, JsonValue] = dict(lengths)
    row |= {"lengths": sizes, "sha256": digest.hexdigest()}
    line = canonical_json(row | {"chain": _chain(previous.chain, row)}) + b"\n"
    if previous.shards == 0:
        with writing(folder):
            sync(folder)
    _append(folder / LOG_NAME, previous.log_bytes, line)
    after = _parsed(line, previous)
    if after is None:
        raise CaptionError(f"{folder / LOG_NAME} was changed by another program; {RESTORE}")
    return after


def _append(path: Path, length: int, data: bytes) -> None:
    """Truncates the file to `length` bytes, appends `data`, and syncs it to disk."""
    with writing(path), path.open("ab") as file:
        os.truncate(file.fileno(), length)
        if data:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def mapped(
    folder: Path, name: str, dtype: str, shape: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[Any]]:
    """A read-only memory map of the valid rows of a data file."""
    if 0 in shape:
        return np.empty(shape, dtype)
    try:
        return np.memmap(folder / name, dtype, "r", shape=shape)
    except (OSError, ValueError) as error:
        raise CaptionError(f"cannot read {folder / name}: {error}; {RESTORE}") from error


def damaged_shards(folder: Path) -> Iterator[str]:
    """One line for each shard whose digest differs from the log's; reads all files."""
    previous = Committed()
    for state in read_log(folder):
        digest = hashlib.sha256()
        for name in DATA_NAMES:
            for part in _span(folder / name, previous.lengths[name], state.lengths[name]):
                digest.update(part)
        if digest.hexdigest() != state.sha256:
            yield (
                f"shard {state.shards} (pictures {previous.pictures} to {state.pictures}, captions "
                f"{previous.captions} to {state.captions}) was altered; {RESTORE}"
            )
        previous = state


def _span(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from start to end, in chunks."""
    if start == end:
        return
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (part := file.read(min(_READ_BYTES, end - start))):
            start += len(part)
            yield part


def is_empty_store(folder: Path) -> bool:
    """True for a folder that holds at most what a killed `begin` leaves."""
    return folder.is_dir() and all(
        path.name == LOCK_NAME or path.name.startswith(f".{STORE_MANIFEST}.")
        for path in folder.iterdir()
    )


def remove_empty_store(folder: Path) -> None:
    """Removes a store that holds nothing."""
    for name in (*DATA_NAMES, LOG_NAME, STORE_MANIFEST, LOCK_NAME):
        (folder / name).unlink(missing_ok=True)
    if is_empty_store(folder):
        folder.rmdir()

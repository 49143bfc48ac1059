"""A safetensors file, or the index of several shards, comes in; its tensors go out, checked."""

import json
import math
import re
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import Shaped

from lagotto.core.errors import ModelError
from lagotto.core.files import read_at_most
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.checkpoints.pickles.inert import UnreadableError
from lagotto.models.checkpoints.tensor_values import MAX_AXES, MAX_ELEMENTS, NUMPY_TYPES, in_memory
from lagotto.models.files.weights import inside

MAX_HEADER_BYTES = 16 << 20
MAX_SHARDS = 1_000
INDEX_ENDING = ".index.json"
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.(safetensors|bin)\Z")
_START = 8
_METADATA = "__metadata__"
_AGAIN = "download or save it again"
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def is_safetensors(data: mmap) -> bool:
    """Whether bytes begin as a safetensors file does: the length of a JSON object, then that."""
    size = int.from_bytes(data[:_START], "little")
    return len(data) > _START and data[_START : _START + 1] == b"{" and 2 <= size < 1 << 40


def read_safetensors(data: mmap) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors of a file in the order of their bytes, and its metadata.

    Raises:
        UnreadableError: Its header is damaged, or does not fit the bytes that are there.
    """
    size = int.from_bytes(data[:_START], "little")
    if size > MAX_HEADER_BYTES:
        raise UnreadableError(
            f"its header says it has {size:,} bytes; at most {MAX_HEADER_BYTES:,} are read"
        )
    start = _START + size
    if start > len(data):
        raise UnreadableError(f"it is cut short; {_AGAIN}")
    header = _json(data[_START:start])
    metadata = header.pop(_METADATA, {})
    spans = [_span(name, entry) for name, entry in header.items()]
    spans.sort(key=lambda span: span[2])
    place = 0
    tensors = {}
    for name, dtype, first, last, shape in spans:
        if first != place:
            raise UnreadableError(f"its tensors overlap or leave gaps at {name[:80]!a}; {_AGAIN}")
        if start + last > len(data):
            raise UnreadableError(
                f"it is cut short: its {name[:80]!a} ends at byte {start + last:,} of "
                f"{len(data):,}; {_AGAIN}"
            )
        tensors[name] = StoredTensor(dtype, shape, _reader(data, start + first, dtype, shape))
        place = last
    texts = metadata if isinstance(metadata, dict) else {}
    return tensors, {key: text for key, text in texts.items() if isinstance(text, str)}


def _json(data: bytes) -> JsonObject:
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"its header is no JSON; {_AGAIN}") from error
    if not isinstance(value, dict):
        raise UnreadableError(f"its header is no JSON object; {_AGAIN}")
    return value


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    """The dict of a JSON object; ValueError for a key that stands twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _span(name: str, entry: JsonValue) -> tuple[str, str, int, int, tuple[int, ...]]:
    """The name, the type, the first and the last byte, and the shape of a tensor."""
    damaged = UnreadableError(f"its header is damaged at {name[:80]!a}; {_AGAIN}")
    if not isinstance(entry, dict):
        raise damaged
    written, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(written, str) or not isinstance(shape, list) or len(shape) > MAX_AXES:
        raise damaged
    if written not in _DTYPES:
        raise UnreadableError(
            f"its {name[:80]!a} has the type {written[:20]!a}, which is not read; save it as F32 "
            "or F16"
        )
    dtype = _DTYPES[written]
    sizes = tuple(size for size in shape if _is_whole(size))
    ends = [end for end in offsets if _is_whole(end)] if isinstance(offsets, list) else []
    if len(sizes) != len(shape) or len(ends) != 2 or math.prod(sizes) > MAX_ELEMENTS:
        raise damaged
    if ends[1] - ends[0] != math.prod(sizes) * np.dtype(NUMPY_TYPES[dtype]).itemsize:
        raise damaged
    return name, dtype, ends[0], ends[1], sizes


def _is_whole(value: JsonValue) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _reader(
    data: mmap, start: int, dtype: str, shape: tuple[int, ...]
) -> Callable[[], Shaped[np.ndarray, "..."]]:
    def read() -> Shaped[np.ndarray, "..."]:
        numpy_type = np.dtype(NUMPY_TYPES[dtype]).newbyteorder("<")
        flat: np.ndarray[Any, Any] = np.frombuffer(data, numpy_type, math.prod(shape), start)
        return in_memory(flat.reshape(shape), dtype)

    return read


# ------------------------------------------------------------------------------------- shards


def index_shards(file: Path) -> tuple[Path, ...]:
    """The files that an index of shards names, each once, in the order of the index.

    Args:
        file: The index, such as "model.safetensors.index.json".

    Raises:
        ModelError: It is no such index, or a shard is not beside it.
    """
    try:
        data = read_at_most(file, MAX_HEADER_BYTES)
    except OSError as error:
        raise ModelError(f"{file.name} cannot be read: {error.strerror}") from error
    try:
        index = _json(data or b"")
    except UnreadableError as error:
        raise ModelError(f"{file.name} is not read: it is no index of shards") from error
    placed = index.get("weight_map")
    names = list(dict.fromkeys(placed.values())) if _is_text_map(placed) else []
    if not 0 < len(names) <= MAX_SHARDS:
        raise ModelError(f"{file.name} is not read: it is no index of shards (no weight_map)")
    advice = f"a shard of {file.name}"
    return tuple(
        inside(file.parent, name, advice, lambda: "download all shards beside the index")
        for name in names
    )


def _is_text_map(value: JsonValue) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def check_not_shard(file: Path) -> None:
    """Refuses one of several shards, which holds only a part of a network."""
    found = _SHARD.search(file.name)
    if found is not None and int(found[2]) > 1:
        stem = file.name[: found.start()]
        raise UnreadableError(
            f"it is one of {int(found[2])} shards; give {stem}.{found[3]}{INDEX_ENDING}, with all "
            "of them beside it"
        )

"""The first and last bytes of a file come in; the form of model that they begin goes out.

No more than a few kilobytes are read, of a zip archive at most the last megabyte, where the names
of its files are. Nothing is unpacked.
"""

import re
import struct
from collections.abc import Callable
from pathlib import Path

from lagotto.core.parsing.not_downloaded import HEAD_BYTES

_PICKLE_BYTES = 64 << 10
_ZIP_TAIL_BYTES = 1 << 20
_ENTRY = b"PK\x01\x02"
_ENTRY_BYTES = 46
_MOST_NAMES = 20_000

_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = re.compile(rb"\x80[\x02-\x05]|\(?c[a-zA-Z_][\w.]*\n[a-zA-Z_]\w*\n|ccopy_reg\n", re.DOTALL)
_TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_MXNET = struct.pack("<Q", 0x112)
_OPENVINO = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)?<net\s[^>]*version=", re.DOTALL
)
_NCNN_BINARY = struct.pack("<I", 7767517)
_ONNX = re.compile(rb"\x08[\x01-\x20](?:\x12[\x00-\x40][\x20-\x7e]{2}|[\x3a\x42])", re.DOTALL)
_SAVED_MODEL = re.compile(rb"\x08\x01\x12[\x00-\xff]{1,5}?\x0a", re.DOTALL)
_GRAPH = re.compile(
    rb"\x0a[\x00-\xff]{1,5}?\x0a.[\x20-\x7e]{1,200}?\x12[\x01-\x40][A-Z]", re.DOTALL
)
_MARKS: tuple[tuple[bytes, int, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", 0, "hdf5"),
    (b"TFL3", 4, "tflite"),
    (b"ORTM", 4, "ort"),
    (b"ET1", 4, "executorch"),
    (b"GGUF", 0, "gguf"),
    (b"ptrt", 0, "tensorrt"),
    (b"ftrt", 0, "tensorrt"),
    (b"RKNN", 0, "rknn"),
    (b"IMOD", 0, "device"),
    (b"KMDL", 0, "device"),
    (_MXNET, 0, "mxnet"),
    (b"7767517\n", 0, "ncnn"),
    (b"7767517\r\n", 0, "ncnn"),
    (_NCNN_BINARY, 0, "ncnn"),
    (_TORCH_LEGACY, 0, "torch"),
)
"""Bytes, where they are, and the form that they mark."""

_IN_PICKLE: tuple[tuple[bytes, str], ...] = (
    (b"fastai", "fastai"),
    (b"sklearn", "sklearn"),
    (b"joblib", "sklearn"),
    (b"torch._utils", "torch"),
    (b"torch\n", "torch"),
)
"""Modules that a pickle names, the telling first, and the form that they mean."""


def content_of(file: Path) -> str | None:
    """The form of a file by its content; None if it is not known, or cannot be read.

    Returns:
        A key of UNREAD_FORMATS; or a form that is read, under its own ending at least: "torch",
        "torchscript", "hdf5", "keras", "onnx", "tflite", "safetensors".
    """
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            size = stream.seek(0, 2)

            def piece(start: int, length: int) -> bytes:
                stream.seek(max(start, 0))
                return stream.read(length)

            return _form(head, size, piece)
    except OSError:
        return None


def _form(head: bytes, size: int, piece: Callable[[int, int], bytes]) -> str | None:
    for mark, start, form in _MARKS:
        if head.startswith(mark, start):
            return form
    if head.startswith(b"PK\x03\x04"):
        return _zipped(head, size, piece)
    if _is_safetensors(head, size):
        return "safetensors"
    if _PICKLE.match(head):
        pickled = piece(0, _PICKLE_BYTES)
        return next((form for mark, form in _IN_PICKLE if mark in pickled), "pickle")
    if _OPENVINO.match(head):
        return "openvino"
    if size > len(_TABLE_END) and piece(size - len(_TABLE_END), len(_TABLE_END)) == _TABLE_END:
        return "tensorflow checkpoint"
    return _protobuf(head)


def _protobuf(head: bytes) -> str | None:
    if _ONNX.match(head):
        return "onnx"
    if _SAVED_MODEL.match(head):
        return "saved model"
    return "frozen graph" if _GRAPH.match(head) else None


def _is_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 10 or head[8:9] != b"{":
        return False
    length = int.from_bytes(head[:8], "little")
    return 2 <= length <= min(size - 8, 100 << 20)


def _zipped(head: bytes, size: int, piece: Callable[[int, int], bytes]) -> str | None:
    """The form of a zip archive, by the names of the files in it."""
    names = _names(head, piece(size - _ZIP_TAIL_BYTES, _ZIP_TAIL_BYTES))
    bare = {name.rpartition("/")[2] for name in names}
    if "serialized_exported_program.json" in bare or (
        "archive_format" in bare and any("/models/" in f"/{name}" for name in names)
    ):
        return "torch export"
    if "data.pkl" in bare:
        if "constants.pkl" in bare:
            return "torchscript"
        return "fastai" if b"fastai" in piece(0, _PICKLE_BYTES) else "torch"
    if "config.json" in bare and "model.weights.h5" in bare:
        return "keras"
    if "com.apple.CoreML" in "/".join(names):
        return "coreml"
    return "npz" if names and all(name.endswith(".npy") for name in names) else None


def _names(head: bytes, tail: bytes) -> tuple[str, ...]:
    """The names in the directory at the end of a zip archive, and that of its first file."""
    (length,) = struct.unpack("<H", head[26:28]) if len(head) >= 30 else (0,)
    names = [head[30 : 30 + length]]
    at = tail.find(_ENTRY)
    while at >= 0 and len(names) < _MOST_NAMES:
        start = at + _ENTRY_BYTES
        if start > len(tail):
            break
        (length,) = struct.unpack("<H", tail[at + 28 : at + 30])
        names.append(tail[start : start + length])
        at = tail.find(_ENTRY, start + length)
    return tuple(name.decode("utf-8", "replace") for name in dict.fromkeys(names))

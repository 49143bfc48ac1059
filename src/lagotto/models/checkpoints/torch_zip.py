"""A zip of torch.save or torch.jit.save comes in; its values and its storages go out."""

import zlib
from collections.abc import Mapping
from mmap import mmap

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.pickles.inert import UnreadableError
from lagotto.models.checkpoints.pickles.torch_objects import TorchBuilder
from lagotto.models.checkpoints.pickles.unpickling import unpickle
from lagotto.models.checkpoints.tensor_values import PickledFile
from lagotto.models.checkpoints.zip_archive import ZipEntry, read_zip, unpack

MAX_PICKLE_BYTES = 128 << 20
NEWEST_VERSION = 10
"""The version of the format of zips that torch 2 writes at most."""

_PICKLE = "data.pkl"


class ZipStorages:
    """The storages of a zip, read from the mapped file; only packed ones are copied."""

    def __init__(self, data: mmap, entries: Mapping[str, ZipEntry], root: str, swapped: bool):
        self.swapped = swapped
        self._data = data
        self._entries = entries
        self._root = root
        self._read: dict[str, UInt8[np.ndarray, " bytes"]] = {}

    def size_of(self, key: str) -> int:
        """How many bytes a storage has."""
        return self._entry(key).size

    def read(self, key: str) -> UInt8[np.ndarray, " bytes"]:
        """Its bytes; those of the file itself where they are not packed."""
        if key not in self._read:
            entry = self._entry(key)
            try:
                packed = unpack(self._data, entry) if entry.is_packed else None
            except UnreadableError as error:
                raise ModelError(str(error)) from error
            source, start = (self._data, entry.start) if packed is None else (packed, 0)
            values = np.frombuffer(source, np.uint8, entry.size, start)
            if zlib.crc32(values.data) != entry.checksum:
                raise ModelError(
                    f"the bytes of {entry.name!a} are damaged (their checksum is another); "
                    "download or save the checkpoint again"
                )
            self._read[key] = values
        return self._read[key]

    def _entry(self, key: str) -> ZipEntry:
        entry = self._entries.get(f"{self._root}data/{key}")
        if entry is None:
            raise UnreadableError(
                f"its storage {key[:40]!a} is not in the file; download or save it again"
            )
        return entry


def read_torch_zip(data: mmap) -> PickledFile:
    """The pickle of a zip of torch, as inert values, and its storages.

    Raises:
        UnreadableError: It is no zip of torch, damaged, or of another version.
    """
    entries = read_zip(data)
    root = _root(entries)
    is_script = f"{root}constants.pkl" in entries
    _check_version(data, entries, root)
    builder = TorchBuilder()
    value, _ = unpickle(_small(data, entries[f"{root}{_PICKLE}"]), builder)
    order = entries.get(f"{root}byteorder")
    swapped = order is not None and _small(data, order) == b"big"
    storages = ZipStorages(data, entries, root, swapped)
    return PickledFile("TorchScript" if is_script else "torch zip", value, storages)


def _small(data: mmap, entry: ZipEntry) -> bytes:
    if entry.size > MAX_PICKLE_BYTES:
        raise UnreadableError(
            f"its {entry.name[-40:]!a} has {entry.size:,} bytes; at most {MAX_PICKLE_BYTES:,} are "
            "read: save the state dict alone"
        )
    content = unpack(data, entry)
    if zlib.crc32(content) != entry.checksum:
        raise UnreadableError("its pickle is damaged; download or save it again")
    return content


def _root(entries: Mapping[str, ZipEntry]) -> str:
    """The folder in the zip that holds the pickle, with its slash."""
    found = [name for name in entries if name == _PICKLE or name.endswith(f"/{_PICKLE}")]
    found = [name for name in found if not name.startswith("__MACOSX/")]
    if not found:
        raise UnreadableError(_other_zip(entries))
    shortest = min(name.count("/") for name in found)
    outer = [name for name in found if name.count("/") == shortest]
    if len(outer) > 1:
        raise UnreadableError(
            f"its zip has {len(outer)} checkpoints; unpack it and give one file at a time"
        )
    return outer[0].removesuffix(_PICKLE)


def _check_version(data: mmap, entries: Mapping[str, ZipEntry], root: str) -> None:
    entry = entries.get(f"{root}version") or entries.get(f"{root}.data/version")
    if entry is None:
        return
    text = _small(data, entry)[:20].strip()
    if not text.isdigit() or int(text) > NEWEST_VERSION:
        raise UnreadableError(
            f"its format has version {text.decode(errors='replace')!a}; at most {NEWEST_VERSION} "
            "is read: save it with torch.save of torch 2"
        )


def _other_zip(entries: Mapping[str, ZipEntry]) -> str:
    """What a zip is that is no checkpoint of torch."""
    names = {name.rpartition("/")[2] for name in entries}
    if {"model.weights.h5", "config.json"} <= names:
        return "it is a Keras model; call it .keras"
    if {"archive_format", "serialized_exported_program.json"} & names or any(
        "/models/" in f"/{name}" and name.endswith(".json") for name in entries
    ):
        return (
            "it is a program of torch.export (.pt2), which is run, not read; export it with "
            "torch.onnx.export, or save model.state_dict()"
        )
    if any("/.data/extern_modules" in f"/{name}" for name in entries):
        return "it is a torch.package, which holds code; save model.state_dict() with torch.save"
    inside = [name for name in entries if name.lower().endswith((".pth", ".pt", ".ckpt", ".bin"))]
    if inside:
        return f"it is a zip that holds {inside[0][-60:]!a}; unpack it first (unzip)"
    return "it is a zip, but not one of torch.save; save model.state_dict() with torch.save"

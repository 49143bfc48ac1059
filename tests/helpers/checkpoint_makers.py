"""Checkpoints of torch written without torch, in its forms: for hostile ones, and where it is not.

A value may hold arrays (tensors), and `Named`, `Call` and `Kept` where it names, calls or keeps
things as torch's own pickles do.
"""

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lagotto.models.checkpoints.torch_legacy import MAGIC, VERSION

STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
}


@dataclass(frozen=True, eq=False)
class Named:
    """A class or function by its name: "torch._utils._rebuild_tensor_v2"."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """The result of calling something, with a state set on it after that."""

    function: Any
    arguments: tuple[Any, ...] = ()
    state: Any = None
    pairs: tuple[tuple[Any, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Kept:
    """Something outside the pickle, by its persistent id."""

    identity: Any


@dataclass
class Written:
    """A pickle, and the bytes of the storages that it names."""

    data: bytes = b""
    storages: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, file: Any, protocol: int, written: Written) -> None:
        super().__init__(file, protocol)
        self.written = written

    def persistent_id(self, value: Any) -> Any:
        return value.identity if isinstance(value, Kept) else None

    def save_named(self, value: Named) -> None:
        module, _, name = value.name.rpartition(".")
        self.write(b"c" + f"{module}\n{name}\n".encode())

    def save_call(self, value: Call) -> None:
        self.save(value.function)
        self.save(value.arguments)
        self.write(b"R")
        if value.pairs:
            self.write(b"(")
            for key, item in value.pairs:
                self.save(key)
                self.save(item)
            self.write(b"u")
        if value.state is not None:
            self.save(value.state)
            self.write(b"b")

    def save_array(self, value: np.ndarray) -> None:
        key = str(len(self.written.storages))
        self.written.storages[key] = value.tobytes()
        self.written.counts[key] = value.size
        kind = STORAGES[value.dtype.name]
        strides = tuple(stride // value.itemsize for stride in np.array(value, order="C").strides)
        self.save(tensor(storage(kind, key, value.size), 0, value.shape, strides))

    dispatch[Named] = save_named
    dispatch[Call] = save_call
    dispatch[np.ndarray] = save_array


def storage(kind: str, key: Any, count: Any, location: Any = "cpu") -> Kept:
    """A storage as torch's pickles name it."""
    return Kept(("storage", Named(f"torch.{kind}"), key, location, count))


def tensor(kept: Any, offset: Any, shape: Any, strides: Any) -> Call:
    """A tensor as torch's pickles rebuild it."""
    rebuild = Named("torch._utils._rebuild_tensor_v2")
    hooks = Call(Named("collections.OrderedDict"))
    return Call(rebuild, (kept, offset, shape, strides, False, hooks))


def module(name: str, parameters: Any = None, modules: Any = None, **attributes: Any) -> Call:
    """A whole module as torch pickles it."""
    state = {
        "training": False,
        "_parameters": parameters or {},
        "_buffers": {},
        "_modules": modules or {},
        **attributes,
    }
    new = Named("copyreg.__newobj__")
    return Call(new, (Named(name),), state)


def pickled(value: Any, protocol: int = 2) -> Written:
    """The pickle of a value with the storages of its arrays."""
    written = Written()
    file = io.BytesIO()
    _Pickler(file, protocol, written).dump(value)
    written.data = file.getvalue()
    return written


def torch_zip(value: Any, protocol: int = 2, root: str = "archive/", packed: bool = False) -> bytes:
    """A file as torch.save writes it today."""
    written = pickled(value, protocol)
    return zip_of(
        [
            (f"{root}data.pkl", written.data),
            (f"{root}byteorder", b"little"),
            *((f"{root}data/{key}", data) for key, data in written.storages.items()),
            (f"{root}version", b"3\n"),
        ],
        packed,
    )


def pickle_zip(data: bytes, storages: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """A zip of torch with this pickle in it."""
    entries = [(f"archive/data/{key}", content) for key, content in storages]
    return zip_of([("archive/data.pkl", data), *entries, ("archive/version", b"3\n")])


def zip_of(entries: Iterable[tuple[str, bytes]], packed: bool = False) -> bytes:
    """A zip with these entries in this order."""
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def torch_legacy(value: Any, protocol: int = 2, swapped: bool = False) -> bytes:
    """A file as torch.save wrote it before 1.6."""
    written = pickled(value, protocol)
    system = {"protocol_version": VERSION, "little_endian": not swapped, "type_sizes": {"int": 4}}
    keys = sorted(written.storages)
    parts = [pickle.dumps(item, protocol) for item in (MAGIC, VERSION, system)]
    parts += [written.data, pickle.dumps(keys, protocol)]
    for key in keys:
        parts += [struct.pack("<q", written.counts[key]), written.storages[key]]
    return b"".join(parts)


def patched_zip(data: bytes, name: str, change: Callable[[bytearray, int, int], None]) -> bytes:
    """A zip in which `change` altered the two headers of an entry: (data, local, central)."""
    patched = bytearray(data)
    local = patched.find(b"PK\x03\x04")
    while patched[local + 30 : local + 30 + len(name)] != name.encode():
        local = patched.find(b"PK\x03\x04", local + 1)
    central = patched.find(b"PK\x01\x02")
    while patched[central + 46 : central + 46 + len(name)] != name.encode():
        central = patched.find(b"PK\x01\x02", central + 1)
    change(patched, local, central)
    return bytes(patched)


def raw_entry(name: str, data: bytes, method: int = 0) -> bytes:
    """The header and the bytes of one stored entry of a zip."""
    head = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04", 20, 0, method, 0, 0, zlib.crc32(data), len(data), len(data), len(name), 0,
    )  # fmt: skip
    return head + name.encode() + data

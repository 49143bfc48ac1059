"""Hostile checkpoints, each made here: what each tries, and the word its refusal must hold."""

import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from attack_models import TERABYTE, Attack, Payload, Place
from checkpoint_makers import (
    Call,
    Kept,
    Named,
    module,
    patched_zip,
    pickle_zip,
    pickled,
    storage,
    tensor,
    torch_legacy,
    torch_zip,
    zip_of,
)

WEIGHTS = {"fc.weight": np.ones((3, 4), np.float32), "fc.bias": np.zeros(3, np.float32)}
"""A network that is fine, for attacks that are elsewhere in the file."""


READ = "a network that is not known"
"""Its weights are read, and nothing else happens; a hub then looks for their network in vain."""


def _file(data: Callable[[Place], bytes], name: str = "model.pt") -> Callable[[Path, Place], None]:
    return lambda folder, place: (folder / name).write_bytes(data(place)) and None


def _pickle(data: bytes) -> Callable[[Path, Place], None]:
    return _file(lambda place: pickle_zip(data))


def _call(name: str, *arguments: object) -> Callable[[Place], Call]:
    """A call of something by name, on the marker that only executed code makes."""
    return lambda place: Call(Named(name), arguments or (f"touch '{place.marker}'",))


# --------------------------------------------------------------------------------------- code


def _reduce_alone(place: Place) -> bytes:
    return pickle_zip(pickle.dumps(Payload(place.marker), 2))


def _beside(made: Callable[[Place], Call]) -> Callable[[Path, Place], None]:
    """A call beside weights that are fine: the file is read, and nothing is called."""
    return _file(lambda place: torch_zip({"state_dict": WEIGHTS, "epoch": made(place)}))


def _weights_by_eval(place: Place) -> bytes:
    code = f"__import__('os').system('touch {place.marker}')"
    return torch_zip({"fc.weight": Call(Named("builtins.eval"), (code,))})


def _build_on_function(place: Place) -> bytes:
    return pickle_zip(b"\x80\x02cos\nsystem\n}X\x01\x00\x00\x00aK\x01sb.")


def _instance(place: Place) -> bytes:
    command = f"touch '{place.marker}'".encode()
    return pickle_zip(b"(S'" + command.replace(b"'", b"\\'") + b"'\nios\nsystem\n.")


def _legacy_code(place: Place) -> bytes:
    return torch_legacy({"fc.weight": _call("posix.system")(place)})


def _magic_code(place: Place) -> bytes:
    return pickle.dumps(Payload(place.marker), 2)


def _nested_load(place: Place) -> bytes:
    inner = pickle.dumps(Payload(place.marker), 2)
    return torch_zip({"fc.weight": Call(Named("torch.storage._load_from_bytes"), (inner,))})


def _script_code(place: Place) -> bytes:
    """TorchScript with code that starts a program; its weights alone are read."""
    net = Call(Named("copyreg.__newobj__"), (Named("__torch__.Net"),), WEIGHTS)
    written = pickled(net)
    code = f"def forward(self): import os; os.system(\"touch '{place.marker}'\")"
    entries = [("m/data.pkl", written.data), ("m/constants.pkl", b"\x80\x02).")]
    entries += [(f"m/data/{key}", data) for key, data in written.storages.items()]
    return zip_of([*entries, ("m/code/__torch__.py", code.encode()), ("m/version", b"3")])


# ------------------------------------------------------------------------------ tensors that lie


def _tensor(kept: object, offset: object, shape: object, strides: object) -> bytes:
    written = pickled({"fc.weight": tensor(kept, offset, shape, strides)})
    return pickle_zip(written.data, [("0", bytes(48))])


def _lie(offset: object, shape: object, strides: object, count: object = 12) -> Callable[..., None]:
    return _file(lambda place: _tensor(storage("FloatStorage", "0", count), offset, shape, strides))


def _not_a_storage(place: Place) -> bytes:
    return _tensor(Kept(("module", Named("os.system"))), 0, (3,), (1,))


def _path_storage(place: Place) -> bytes:
    kept = storage("FloatStorage", f"../../{place.secret.name}", 12)
    return _tensor(kept, 0, (3,), (1,))


def _legacy_count(place: Place) -> bytes:
    data = torch_legacy(WEIGHTS)
    return data.replace(struct.pack("<q", 12), struct.pack("<q", 1 << 61))


# ------------------------------------------------------------------------------ pickles that grow


def _doubling(place: Place) -> bytes:
    """A tuple of the last tuple twice, 60 times: 2^60 items from 200 bytes."""
    return pickle_zip(b"\x80\x02)" + b"2\x86" * 60 + b".")


def _doubling_labels(place: Place) -> bytes:
    """The same under the key of the labels, beside weights that are fine."""
    inner = b"]X\x03\x00\x00\x00cata" + b"2\x86" * 60
    data = pickled({"state_dict": WEIGHTS}).data[:-1]
    data += b"X\x07\x00\x00\x00classes" + inner + b"s."
    storages = [("0", WEIGHTS["fc.weight"].tobytes()), ("1", WEIGHTS["fc.bias"].tobytes())]
    return pickle_zip(data, storages)


def _doubling_modules(place: Place) -> bytes:
    net = module("a.Net", {"weight": np.ones(3, np.float32)})
    for _ in range(60):
        net = module("a.Net", modules={"a": net, "b": net})
    return torch_zip(net)


def _module_in_itself(place: Place) -> bytes:
    """A module whose only child is itself."""
    state = b"}(X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00s"
    state += b"X\x0b\x00\x00\x00_parameters}X\x01\x00\x00\x00wNsu"
    return pickle_zip(b"\x80\x02ca\nNet\n)\x81q\x00" + state + b"b.")


def _dict_in_itself(place: Place) -> bytes:
    return pickle_zip(b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.")


# ------------------------------------------------------------------------------------------ zips


def _bomb(place: Place) -> bytes:
    """Weights of 256 MiB from 260 kB."""
    value = {"fc.weight": tensor(storage("FloatStorage", "0", 1 << 26), 0, (1 << 26,), (1,))}
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    data = zip_of([("archive/data.pkl", pickled(value).data), ("archive/data/0", packed)])

    def change(patched: bytearray, local: int, central: int) -> None:
        for place_of, method, size in ((local, 8, 22), (central, 10, 24)):
            patched[place_of + method : place_of + method + 2] = b"\x08\0"
            patched[place_of + size : place_of + size + 4] = struct.pack("<L", 1 << 28)

    return patched_zip(data, "archive/data/0", change)


def _pickle_bomb(place: Place) -> bytes:
    """A pickle of 100 MB of one text, from 100 kB."""
    text = b"\x80\x02X" + struct.pack("<L", 100 << 20) + bytes(100 << 20)
    return zip_of([("archive/data.pkl", text)], packed=True)


def _named_entry(name: str, mode: int = 0, data: bytes = b"x") -> Callable[[Place], bytes]:
    def make(place: Place) -> bytes:
        file = BytesIO(torch_zip(WEIGHTS))
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(entry, str(place.secret).encode() if mode else data)
        return file.getvalue()

    return make


def _twice(place: Place) -> bytes:
    good, bad = pickled(WEIGHTS).data, pickle.dumps(Payload(place.marker), 2)
    entries = [("archive/data.pkl", good), ("archive/DATA.pkl", bad)]
    return zip_of(entries).replace(b"archive/DATA.pkl", b"archive/data.pkl")


def _sizes_lie(place: Place) -> bytes:
    def change(patched: bytearray, local: int, central: int) -> None:
        patched[local + 18 : local + 26] = struct.pack("<2L", 4, 4)

    return patched_zip(torch_zip(WEIGHTS), "archive/data/0", change)


def _names_lie(place: Place) -> bytes:
    def change(patched: bytearray, local: int, central: int) -> None:
        patched[local + 30 : local + 37] = b"ARCHIVE"

    return patched_zip(torch_zip(WEIGHTS), "archive/data.pkl", change)


def _wide_lie(place: Place) -> bytes:
    """A zip64 record that tells of another list of entries."""
    data = torch_zip(WEIGHTS)
    end = data.rfind(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 60, 9)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return data[:end] + record + locator + data[end:]


def _wide_terabyte(place: Place) -> bytes:
    """An entry that says, in its zip64 field, that it has a terabyte."""
    data = bytearray(torch_zip(WEIGHTS))
    central = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 1)
    data[central + 24 : central + 28] = b"\xff" * 4
    data[central + 30 : central + 32] = struct.pack("<H", 12)
    name = struct.unpack_from("<H", data, central + 28)[0]
    data[central + 46 + name : central + 46 + name] = struct.pack("<2HQ", 1, 8, TERABYTE)
    end = data.rfind(b"PK\x05\x06")
    size = struct.unpack_from("<L", data, end + 12)[0]
    data[end + 12 : end + 16] = struct.pack("<L", size + 12)
    return bytes(data)


def _overlap(place: Place) -> bytes:
    """Two entries of the same bytes, as zip bombs have thousands of."""
    data = bytearray(torch_zip({"a": np.ones(4, np.float32), "b": np.ones(4, np.float32)}))
    local = data.find(b"PK\x03\x04", data.find(b"archive/data/0") + 1)
    first = data.find(b"PK\x03\x04", data.find(b"byteorder"))
    central = data.find(b"PK\x01\x02", data.rfind(b"archive/data/0"))
    data[local + 30 + 13] = ord("0")
    data[central + 46 + 13] = ord("0")
    data[central + 42 : central + 46] = struct.pack("<L", first)
    return bytes(data)


def _encrypted(place: Place) -> bytes:
    def change(patched: bytearray, local: int, central: int) -> None:
        patched[local + 6] |= 1
        patched[central + 8] |= 1

    return patched_zip(torch_zip(WEIGHTS), "archive/data.pkl", change)


def _many_entries(place: Place) -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 0, 30)
    return b"PK\x03\x04" + bytes(26) + record + struct.pack("<4sLQL", b"PK\x06\x07", 0, 30, 1) + end


def _hole(folder: Path, place: Place) -> None:
    with (folder / "model.pt").open("wb") as file:
        file.write(torch_zip(WEIGHTS))
        file.truncate(TERABYTE)


def _safetensors(header: str, size: int | None = None) -> Callable[[Path, Place], None]:
    data = header.encode()
    length = (len(data) if size is None else size).to_bytes(8, "little")
    return _file(lambda place: length + data + bytes(48), "model.safetensors")


_ENTRY = '{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [%s]}}'

CHECKPOINT_ATTACKS: dict[str, Attack] = {
    "ck_reduce": Attack("code", "os.system as a checkpoint", _file(_reduce_alone), "no weights"),
    "ck_beside": Attack(
        "code", "os.system beside good weights", _beside(_call("posix.system")), READ
    ),
    "ck_import": Attack(
        "code", "importlib beside good weights",
        _beside(_call("importlib.import_module", "antigravity")), READ,
    ),
    "ck_eval": Attack("code", "weights that eval makes", _file(_weights_by_eval), "no weights"),
    "ck_build": Attack("code", "sets parts of os.system", _file(_build_on_function), "damaged"),
    "ck_instance": Attack("code", "os.system by INST, protocol 0", _file(_instance), "no"),
    "ck_legacy": Attack("code", "os.system in an old file", _file(_legacy_code), "no weights"),
    "ck_magic": Attack("code", "os.system as magic number", _file(_magic_code), "no weights"),
    "ck_nested_load": Attack(
        "code", "a pickle in a pickle (_load_from_bytes)", _file(_nested_load), "no"
    ),
    "ck_script": Attack("code", "TorchScript whose code starts a program", _file(_script_code),
                        READ),
    "ck_offset": Attack("tensor", "starts beyond its storage", _lie(12, (3,), (1,)), "beyond"),
    "ck_negative": Attack("tensor", "a negative stride", _lie(4, (3,), (-1,)), "sizes or strides"),
    "ck_overflow": Attack(
        "tensor", "2^62 rows of stride 2^62", _lie(0, (2**62, 2), (2**62, 1)), "sizes or strides"
    ),
    "ck_expanded": Attack("tensor", "2^31 times one value", _lie(0, (2**31,), (0,)), "repeats"),
    "ck_declared": Attack(
        "tensor", "2^40 values of 12", _lie(0, (2**20, 2**20), (2**20, 1), 2**40), "beyond"
    ),
    "ck_axes": Attack("tensor", "9,000 axes", _lie(0, (1,) * 9_000, (1,) * 9_000), "sizes"),
    "ck_no_storage": Attack("tensor", "os.system as storage", _file(_not_a_storage), "in a form"),
    "ck_path": Attack("tensor", "a storage called ../../secret", _file(_path_storage), "not in"),
    "ck_legacy_count": Attack("tensor", "2^61 values, old file", _file(_legacy_count), "lacks"),
    "ck_deep_marks": Attack("size", "10,000,000 open lists", _pickle(b"(" * 10_000_000), "nested"),
    "ck_deep_tuples": Attack(
        "size", "a tuple 8,000,000 deep", _pickle(b"\x80\x02)" + b"\x85" * 8_000_000 + b"."),
        "operations",
    ),
    "ck_long_run": Attack(
        "size", "20,000,000 operations", _pickle(b"N0" * 10_000_000 + b"N."), "operations"
    ),
    "ck_doubling": Attack("size", "2^60 items in 200 bytes", _file(_doubling), "no weights"),
    "ck_doubling_labels": Attack(
        "size", "2^60 labels beside good weights", _file(_doubling_labels), READ
    ),
    "ck_doubling_modules": Attack("size", "2^60 modules", _file(_doubling_modules), "too many"),
    "ck_module_loop": Attack(
        "size", "a module that holds itself", _file(_module_in_itself), "contain each other"
    ),
    "ck_dict_loop": Attack("size", "a dict in itself", _file(_dict_in_itself), "no weights"),
    "ck_huge_number": Attack(
        "size", "a number of 2^31 bytes", _pickle(b"\x80\x02\x8b\xff\xff\xff\x7f."), "a number of"
    ),
    "ck_huge_text": Attack(
        "size", "a text of 2^60 bytes", _pickle(b"\x80\x04\x8d" + bytes(7) + b"\x10x."), "cut short"
    ),
    "ck_digits": Attack(
        "size", "a number of 10,000,000 digits", _pickle(b"L" + b"9" * 10_000_000 + b"L\n."),
        "damaged",
    ),
    "ck_extension": Attack("code", "the registry of copyreg", _pickle(b"\x80\x02\x82\x01."), "ext"),
    "ck_zip_bomb": Attack("archive", "256 MiB of weights in 260 kB", _file(_bomb), "unpacks to"),
    "ck_pickle_bomb": Attack("archive", "100 MB from 100 kB", _file(_pickle_bomb), "unpacks to"),
    "ck_link": Attack(
        "archive", "a link to the secret", _file(_named_entry("archive/data/9", stat.S_IFLNK)),
        "a link",
    ),
    "ck_up": Attack("archive", "../ in a name", _file(_named_entry("archive/../../x")), "no name"),
    "ck_absolute": Attack("archive", "an absolute name", _file(_named_entry("/tmp/x")), "no name"),
    "ck_twice": Attack("archive", "two pickles of one name", _file(_twice), "two entries"),
    "ck_sizes": Attack("archive", "sizes that disagree", _file(_sizes_lie), "lies about"),
    "ck_names": Attack("archive", "names that disagree", _file(_names_lie), "disagree"),
    "ck_wide": Attack("archive", "a zip64 list of its own", _file(_wide_lie), "disagree"),
    "ck_wide_size": Attack("archive", "an entry of a TB", _file(_wide_terabyte), "lies about"),
    "ck_overlap": Attack("archive", "two entries of the same bytes", _file(_overlap), "overlap"),
    "ck_encrypted": Attack("archive", "an encrypted entry", _file(_encrypted), "encrypted"),
    "ck_entries": Attack("archive", "2^40 entries", _file(_many_entries), "disagree"),
    "ck_terabyte": Attack("size", "a checkpoint of a terabyte", _hole, "at most"),
}  # fmt: skip
"""By the name of their folder."""

SAFETENSORS_ATTACKS: dict[str, Attack] = {
    "st_header": Attack(
        "size", "a safetensors header of 2^39 bytes", _safetensors("{}", 1 << 39), "at most"
    ),
    "st_header_deep": Attack(
        "size", "a safetensors header 1,000,000 deep", _safetensors('{"a":' * 1_000_000), "JSON"
    ),
    "st_span": Attack(
        "tensor", "safetensors beyond the file", _safetensors(_ENTRY % ("99, 99", "0, 39204")),
        "cut short",
    ),
    "st_size": Attack(
        "tensor", "safetensors of 2^62 values", _safetensors(_ENTRY % (str(1 << 62), "0,4")),
        "damaged",
    ),
}  # fmt: skip
"""By the name of their folder."""

"""Checkpoints damaged in every way, from a seed: bytes, pickles inside whole zips, free pickles.

Readers of other forms (HDF5, Keras archives) are in keras_mutation.py.
"""

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from checkpoint_makers import (
    Call,
    Named,
    module,
    pickle_zip,
    pickled,
    torch_legacy,
    torch_zip,
)
from lagotto.models.checkpoints.opening import open_checkpoint

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, -1)
ARGUMENTS: dict[bytes, Callable[[random.Random], bytes]] = {
    **dict.fromkeys((b"K", b"q", b"h", b"\x80", b"\x82"), lambda r: bytes([r.randrange(256)])),
    **dict.fromkeys((b"M", b"\x83"), lambda r: r.randbytes(2)),
    **dict.fromkeys((b"J", b"r", b"j", b"\x84"), lambda r: bytes([r.randrange(9), 0, 0, 0])),
    **dict.fromkeys((b"I", b"L", b"F", b"p", b"g"), lambda r: b"%d\n" % r.choice(NUMBERS)),
    **dict.fromkeys((b"S", b"V", b"P"), lambda r: b"'%d'\n" % r.randrange(9)),
    **dict.fromkeys((b"U", b"C", b"\x8c", b"\x8a"), lambda r: b"\x03cat"),
    **dict.fromkeys((b"T", b"B", b"X", b"\x8b"), lambda r: struct.pack("<L", 3) + b"dog"),
    **dict.fromkeys((b"\x8d", b"\x8e", b"\x96"), lambda r: struct.pack("<Q", 3) + b"owl"),
    **dict.fromkeys((b"c", b"i"), lambda r: r.choice(NAMES)),
    b"G": lambda r: r.randbytes(8),
    b"\x95": lambda r: struct.pack("<Q", r.choice(NUMBERS) & (1 << 63)),
}
"""What follows an opcode, where something does."""

NAMES = (
    *(b"os\nsystem\n", b"builtins\neval\n", b"builtins\ngetattr\n", b"collections\nOrderedDict\n"),
    *(b"torch._utils\n_rebuild_tensor_v2\n", b"torch._utils\n_rebuild_parameter\n"),
    *(b"torch\nFloatStorage\n", b"copyreg\n_reconstructor\n", b"_codecs\nencode\n"),
    *(b"torch._tensor\n_rebuild_from_type_v2\n", b"pathlib\nPosixPath\n", b"torch\nSize\n"),
    *(b"numpy.core.multiarray\n_reconstruct\n", b"torch.nn.modules.conv\nConv2d\n"),
)
_OPCODES = b"(012FGIJKMLNSTUVXBC]})aeldtspqrghjcRioPQb.\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89"
OPCODES = _OPCODES + b"\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"


@dataclass(frozen=True)
class Reader:
    """A reader of strangers' files: whole files to damage, and how one is opened and read.

    `deeper` damages a part of a whole file, so that the damage gets past the container; None where
    there is no such part. `beside` are the files that a seed needs beside it, by their names.
    """

    ending: str
    seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[Path], None]
    deeper: Callable[[bytes, random.Random], tuple[str, bytes]] | None = None
    beside: Mapping[str, bytes] = field(default_factory=dict)


def damaged(reader: Reader, seed: str) -> tuple[str, bytes]:
    """The kind of a damage, and the damaged file; the same for the same seed."""
    source = random.Random(seed)
    whole = source.choice(reader.seeds())
    if reader.deeper is not None and source.random() < 0.6:
        return reader.deeper(whole, source)
    return "bytes", damaged_bytes(whole, source)


def _damaged_pickle(whole: bytes, source: random.Random) -> tuple[str, bytes]:
    if source.random() < 0.3:
        return "invented pickle", pickle_zip(_program(source))
    pickle, storages = source.choice(_pickles())
    return "pickle in a whole zip", pickle_zip(damaged_bytes(pickle, source), storages)


def damaged_bytes(data: bytes, source: random.Random) -> bytes:
    """One to four damages, each of one kind."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 4)):
        if not changed:
            break
        place = source.randrange(len(changed))
        size = min(source.choice((1, 2, 4, 8, 40, 400)), len(changed) - place)
        match source.randrange(7):
            case 0:
                changed[place] ^= 1 << source.randrange(8)
            case 1:
                changed[place : place + size] = source.randbytes(size)
            case 2:
                del changed[place:]
            case 3:
                del changed[place : place + size]
            case 4:
                other = source.randrange(len(changed))
                changed[other:other] = changed[place : place + size]
            case 5:
                number = source.choice(NUMBERS) & ((1 << 64) - 1)
                width = source.choice((1, 2, 4, 8))
                changed[place : place + width] = struct.pack("<Q", number)[:width]
            case _:
                changed[place:place] = _operation(source)
    return bytes(changed)


def _operation(source: random.Random) -> bytes:
    code = bytes([source.choice(OPCODES)])
    return code + ARGUMENTS.get(code, lambda r: b"")(source)


def _program(source: random.Random) -> bytes:
    """A pickle of operations at random, among them enough values to work on."""
    body = b"".join(
        source.choice((b"N", b")", b"}", b"]", b"K\x01", b"X\x01\0\0\0a", b"(", b"\x94"))
        if source.random() < 0.5
        else _operation(source)
        for _ in range(source.randint(1, 60))
    )
    return b"\x80\x02" + body + b"."


@cache
def _values() -> tuple[object, ...]:
    numbers = np.random.default_rng(0)
    weights = {
        "module.conv.weight": numbers.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "module.fc.weight": numbers.normal(size=(5, 4)).astype(np.float16),
        "module.fc.count": np.array([7]),
    }
    net = module(
        "torch.nn.modules.conv.Conv2d",
        {"weight": weights["module.fc.weight"], "bias": None},
        {"inner": module("a.B", {"w": weights["module.fc.count"]})},
        class_names=["cat", "dog", "owl", "bee", "ant"],
    )
    settings = Call(Named("argparse.Namespace"), (), {"arch": "resnet18", "img_size": 96})
    ordered = Call(Named("collections.OrderedDict"), (), None, tuple(weights.items()))
    return (
        weights,
        ordered,
        net,
        {"state_dict": ordered, "epoch": 3, "args": settings, "classes": {"cat": 0, "dog": 1}},
        {"ema": net, "model": net, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    )


@cache
def _pickles() -> tuple[tuple[bytes, tuple[tuple[str, bytes], ...]], ...]:
    written = [pickled(value, protocol) for value in _values() for protocol in (2, 4)]
    return tuple((item.data, tuple(item.storages.items())) for item in written)


@cache
def torch_seeds() -> tuple[bytes, ...]:
    """Whole checkpoints of torch in all forms."""
    made = [torch_zip(value, protocol) for value in _values() for protocol in (2, 4)]
    made += [torch_zip(value, packed=True) for value in _values()]
    made += [torch_legacy(value, protocol) for value in _values() for protocol in (2, 3)]
    return tuple(made)


@cache
def safetensors_seeds() -> tuple[bytes, ...]:
    """Whole files of safetensors."""
    from safetensors.numpy import save

    weights = {"fc.weight": np.ones((3, 4), np.float32), "fc.bias": np.zeros(3, np.float16)}
    return save(weights), save(weights, {"labels": '["cat", "dog"]'})


def read_checkpoint(file: Path) -> None:
    """Opens a checkpoint and reads all its tensors."""
    for tensor in open_checkpoint(file).tensors.values():
        values = tensor.read()
        if values.shape != tensor.shape:
            raise AssertionError(f"{values.shape} is not {tensor.shape}")


READERS = {
    "torch": Reader(".pt", torch_seeds, read_checkpoint, _damaged_pickle),
    "safetensors": Reader(".safetensors", safetensors_seeds, read_checkpoint),
}

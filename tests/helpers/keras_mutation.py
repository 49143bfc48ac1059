"""A good file of the Keras family comes in damaged at random; what Lagotto says of it goes out."""

import random
from collections.abc import Callable
from pathlib import Path

from attack_keras import write_h5, write_keras, write_tfjs
from lagotto.core.errors import LagottoError
from lagotto.core.types import ModelSource
from lagotto.models.keras.translate import translate_file, translate_tfjs

FORMS: dict[str, Callable[[Path], None]] = {
    "model.h5": write_h5,
    "model.keras": write_keras,
    "model.json": write_tfjs,
}
"""A file of each form, by the name that it has."""

_NUMBERS = (b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\0\0\0\0\0\0\0\x80", b"\xff" * 8, b"\0" * 8)


def seeds(folder: Path) -> dict[str, bytes]:
    """The bytes of a good file of each form; `folder` then holds the shard of one of them."""
    for name, write in FORMS.items():
        write(folder / name)
    return {name: (folder / name).read_bytes() for name in FORMS}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four damages: bits, numbers at their limits, pieces moved, cut off."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(result))
        kind = rng.randrange(6)
        if kind == 0:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            result[at] = rng.randrange(256)
        elif kind == 2:
            number = rng.choice(_NUMBERS)[: rng.choice((1, 2, 4, 8))]
            result[at : at + len(number)] = number
        elif kind == 3:
            start, length = rng.randrange(len(result)), rng.randrange(1, 64)
            result[at : at + length] = result[start : start + length]
        elif kind == 4:
            del result[at : at + rng.randrange(1, 32)]
        else:
            del result[max(at, 8) :]
        if not result:
            break
    return bytes(result)


def opened(folder: Path, name: str, data: bytes) -> str:
    """What becomes of a damaged file: "translated", or the reason of its refusal.

    Any error that is none of Lagotto's passes through: it is a fault.
    """
    file = folder / name
    file.write_bytes(data)
    translate = translate_tfjs if name.endswith(".json") else translate_file
    try:
        translate(ModelSource(name, file, {}))
    except LagottoError as error:
        return str(error)
    return "translated"

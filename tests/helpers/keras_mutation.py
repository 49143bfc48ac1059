"""Files of the Keras family, damaged from a seed: bytes, and parts of whole files.

A damaged configuration is a whole text of JSON again, and a damaged part of an archive has the
right checksum, so that the damage reaches what reads it.
"""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py

from attack_keras import write_h5, write_keras, write_tfjs
from checkpoint_damage import NUMBERS, Reader, damaged_bytes
from lagotto.core.types import ModelSource
from lagotto.models.keras.translate import translate_file, translate_tfjs

_REFERENCES = Path(__file__).parents[1] / "models" / "keras" / "golden" / "references.zip"
_NETWORKS = (
    *("net-augmented", "net-frozen-base", "net-nested-twice", "net-operations", "net-plain"),
    *("net-preprocessed-torch", "net-separable", "net-shared", "net-statistics", "net-two-outputs"),
    *("attention-key", "join-concatenate3", "net-decoder", "net-half", "net-grey"),
)
"""The references that are damaged: small ones, with most kinds of layers and calls among them."""

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_VALUES = (
    *(None, True, False, "", "same", "softmax", "Conv2D", "Lambda", "__lambda__", "__tensor__"),
    *([], {}, [[]], [None], [[[0]]], [1, 1], [1, 1, 1, 1], 0.5, -1.5, 1e308, float("nan"), 1e-45),
    *(float("inf"), {"class_name": "Sequential", "config": {}}, "x" * 300, "\x1b[31m", *NUMBERS),
)


@cache
def _references(ending: str) -> tuple[bytes, ...]:
    with zipfile.ZipFile(_REFERENCES) as archive:
        return tuple(
            archive.read(name)
            for name in sorted(archive.namelist())
            if name.endswith(ending) and name.startswith(_NETWORKS)
        )


def _h5_seeds() -> tuple[bytes, ...]:
    return (_first_files()["model.h5"], *_references(".h5"))


def _keras_seeds() -> tuple[bytes, ...]:
    return (_first_files()["model.keras"], *_references(".keras"))


def _tfjs_seeds() -> tuple[bytes, ...]:
    return (_first_files()["model.json"],)


@cache
def _first_files() -> dict[str, bytes]:
    """A small model of each form, and the shard of one of them."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_h5(folder / "model.h5")
        write_keras(folder / "model.keras")
        write_tfjs(folder / "model.json")
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def _damaged_h5(whole: bytes, source: random.Random) -> tuple[str, bytes]:
    stream = io.BytesIO(whole)
    with h5py.File(stream, "r+") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = _damaged_text(text, source)
    return "configuration in a whole file", stream.getvalue()


def _damaged_archive(whole: bytes, source: random.Random) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if source.random() < 0.5:
        kind = "configuration in a whole archive"
        parts[_CONFIG] = _damaged_text(parts[_CONFIG], source).encode()
    else:
        kind = "weights in a whole archive"
        parts[_WEIGHTS] = damaged_bytes(parts[_WEIGHTS], source)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return kind, stream.getvalue()


def _damaged_json(whole: bytes, source: random.Random) -> tuple[str, bytes]:
    return "values of a whole model.json", _damaged_text(whole, source).encode()


def _damaged_text(text: str | bytes, source: random.Random) -> str:
    """The JSON with one to three of its values replaced, removed, or put in another place."""
    document: Any = [json.loads(text)]
    for _ in range(source.randint(1, 3)):
        places = list(_places(document))
        holder, key = source.choice(places)
        match source.randrange(4):
            case 0:
                other, there = source.choice(places)
                holder[key] = json.loads(json.dumps(other[there]))
            case 1 if holder is not document:
                del holder[key]
            case 2 if isinstance(holder[key], dict):
                holder[key][source.choice(("name", "extra", "dtype", "activation"))] = (
                    source.choice(_VALUES)
                )
            case _:
                holder[key] = json.loads(json.dumps(source.choice(_VALUES)))
    return json.dumps(document[0])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value of JSON: what holds it, and its key or number there."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


def _translate(file: Path) -> None:
    translate_file(ModelSource("damaged", file, {}))


def _translate_tfjs(file: Path) -> None:
    translate_tfjs(ModelSource("damaged", file, {}))


KERAS_READERS = {
    "hdf5": Reader(".h5", _h5_seeds, _translate, _damaged_h5),
    "keras": Reader(".keras", _keras_seeds, _translate, _damaged_archive),
    "tfjs": Reader(
        ".json",
        _tfjs_seeds,
        _translate_tfjs,
        _damaged_json,
        {"shard.bin": _first_files()["shard.bin"]},
    ),
}

"""The name of an architecture comes in; its graph without weights, ready to be filled, goes out.

skeletons.zip holds one entry an architecture, made by scripts/make_skeletons.py. An entry is the
graph in three parts, in the order in which they are computed: the body; the neck, which is what the
classifier's module has before its last layer; and the last layer. A user's own classifier takes the
place of the last part, or of the last two.
"""

import json
import struct
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lagotto.core.errors import ModelError

SKELETONS_FILE = Path(__file__).with_name("skeletons.zip")
SKELETON_FORMAT = 1
PICTURE, SCORES = "input", "logits"
"""Names of the input and the output of every skeleton."""

_LENGTHS = struct.Struct("<4I")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a classifier can be put in: after the tensor `tensor`, of shape [pictures, features].

    `tensor` is "" if there is no such place.
    """

    tensor: str = ""
    features: int = 0


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A graph without weights.

    Args:
        parts: The body, the neck and the last layer, as bytes of an ONNX model.
        weights: The names of the weights of each part; they are those of the state dict.
        before_neck: Where a classifier takes the place of neck and last layer.
        before_last: Where a classifier takes the place of the last layer.
        size: The (height, width) that the graph was made for.
        is_open: Whether it takes pictures of other sizes too.
        batch: The number of pictures of one run; None if it is open.
        channels: The number of channels that it was made for; others fit too.
        error: The largest difference of its logits from those of torch that was measured when it
            was made, relative to the largest logit.
    """

    parts: tuple[bytes, bytes, bytes]
    weights: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    before_neck: Cut
    before_last: Cut
    size: tuple[int, int]
    is_open: bool
    batch: int | None
    channels: int = 3
    error: float = 0.0


def pack_skeleton(skeleton: Skeleton) -> bytes:
    """The entry of a skeleton in skeletons.zip."""
    head = {
        "format": SKELETON_FORMAT,
        "weights": skeleton.weights,
        "neck": [skeleton.before_neck.tensor, skeleton.before_neck.features],
        "last": [skeleton.before_last.tensor, skeleton.before_last.features],
        "size": skeleton.size,
        "open": skeleton.is_open,
        "batch": skeleton.batch,
        "channels": skeleton.channels,
        "error": skeleton.error,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(text), *map(len, skeleton.parts)) + text + b"".join(skeleton.parts)


def unpack_skeleton(data: bytes) -> Skeleton:
    """The skeleton of an entry of skeletons.zip."""
    *lengths, _ = _LENGTHS.unpack_from(data)
    bounds, at = [], _LENGTHS.size
    for length in lengths:
        bounds.append((at, at + length))
        at += length
    head: dict[str, Any] = json.loads(data[slice(*bounds[0])])
    if head["format"] != SKELETON_FORMAT:
        raise ModelError(f"a skeleton has format {head['format']}; allowed: {SKELETON_FORMAT}")
    body, neck, last = (tuple(names) for names in head["weights"])
    return Skeleton(
        parts=(data[slice(*bounds[1])], data[slice(*bounds[2])], data[at:]),
        weights=(body, neck, last),
        before_neck=Cut(*head["neck"]),
        before_last=Cut(*head["last"]),
        size=(head["size"][0], head["size"][1]),
        is_open=head["open"],
        batch=head["batch"],
        channels=head["channels"],
        error=head["error"],
    )


@cache
def skeleton_keys() -> frozenset[str]:
    """The architectures that can be run without torch, for example "torchvision/resnet50"."""
    if not SKELETONS_FILE.is_file():
        return frozenset()
    with zipfile.ZipFile(SKELETONS_FILE) as archive:
        return frozenset(archive.namelist())


def read_skeleton(key: str) -> Skeleton:
    """The skeleton of one of `skeleton_keys`."""
    with zipfile.ZipFile(SKELETONS_FILE) as archive:
        return unpack_skeleton(archive.read(key))

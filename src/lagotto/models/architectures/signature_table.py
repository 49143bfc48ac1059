"""The table of signatures comes in; architectures by fingerprint, or by name, go out.

signatures.bin is made by scripts/make_signatures.py. Its first section has what a checkpoint is
recognized by: the fingerprints of each architecture without its classifier. The second section has
the names and shapes of all tensors; it is read only to say what an unknown network is nearest to.
"""

import json
import lzma
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt64

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject
from lagotto.models.architectures.fingerprint import (
    Shape,
    is_counted,
    tensors_fingerprint,
    under,
    without_common_prefix,
)

TABLE_FILE = Path(__file__).with_name("signatures.bin")
View = Literal["last", "module", "features", "children"]
"""What of an architecture a fingerprint covers: all but the last layer; all but the module that
holds the last layer; that without the name of its only child (`features.`); or that with children
by number, as `nn.Sequential(*children)` has it."""

_MAGIC = b"LSIG\x01"
_HEAD = struct.Struct("<5s3I")
_VIEWS: tuple[View, ...] = ("last", "module", "features", "children")
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
# Networks whose `forward` runs their children one after another, up to the classifier.
_SEQUENTIAL = {
    "torchvision": (
        *("resnet", "resnext", "wide_resnet", "efficientnet", "regnet", "vgg", "alexnet"),
        "mobilenet",
    ),
    "timm": ("resnet", "resnext", "seresnet", "wide_resnet"),
}
_NOT_SEQUENTIAL = ("resnetv2", "resnetrs")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that is known by the names and shapes of its tensors.

    Args:
        library: "torchvision" or "timm"; "cifar" or "yolo" for networks that people copy.
        name: Its name there.
        classifier: The names of its last layers, which have one output a class.
        first: The names of its first layers, which have one input a channel.
        features: The number of inputs of its last layer.
        feed: How its library feeds it: mean, std, size, crop_fraction, resample.
        prefix: What all its tensors begin with, "" for most; other names here are without it.
        body: What all tensors before the classifier begin with, for the view "features".
        children: Its children in order, for the view "children".
    """

    library: str
    name: str
    classifier: tuple[str, ...]
    first: tuple[str, ...]
    features: int
    feed: JsonObject = field(default_factory=dict)
    prefix: str = ""
    body: str = ""
    children: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Library and name: torchvision/resnet50."""
        return f"{self.library}/{self.name}"

    def full_name(self, name: str, view: View) -> str:
        """The name in the architecture's own state dict of a tensor, as a view has it."""
        if view == "features":
            return self.prefix + self.body + name
        number, dot, below = name.partition(".")
        if view == "children" and number.isdecimal() and int(number) < len(self.children):
            return f"{self.prefix}{self.children[int(number)]}{dot}{below}"
        return self.prefix + name


@dataclass(frozen=True, slots=True)
class Signature:
    """An architecture with the names and shapes of all its tensors."""

    architecture: Architecture
    tensors: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class SignatureTable:
    """Architectures, and the fingerprints that each is known by."""

    architectures: tuple[Architecture, ...]
    sums: UInt64[np.ndarray, " fingerprints"]
    entries: tuple[tuple[int, View], ...]

    def find(self, number: int) -> list[tuple[Architecture, View]]:
        """The architectures of a fingerprint."""
        start, end = (
            int(np.searchsorted(self.sums, np.uint64(number), side)) for side in ("left", "right")
        )
        return [(self.architectures[at], view) for at, view in self.entries[start:end]]


def pack_signatures(signatures: Sequence[Signature]) -> bytes:
    """The bytes of signatures.bin."""
    index = sorted(
        (number, at, _VIEWS.index(view))
        for at, signature in enumerate(signatures)
        for number, view in _fingerprints(signature)
    )
    feeds = sorted({json.dumps(item.architecture.feed, sort_keys=True) for item in signatures})
    rows = []
    for item in signatures:
        row = asdict(item.architecture)
        rows.append([*row.values()])
        rows[-1][5] = feeds.index(json.dumps(row["feed"], sort_keys=True))
    head = _compress(json.dumps({"feeds": feeds, "rows": rows}, separators=(",", ":")).encode())
    columns = list(zip(*index, strict=True))
    numbers = b"".join(
        np.array(column, kind).tobytes()
        for column, kind in zip(columns, ("<u8", "<u2", "u1"), strict=True)
    )
    tensors = _compress(_pack_tensors(signatures))
    return _HEAD.pack(_MAGIC, len(head), len(index), len(tensors)) + head + numbers + tensors


@cache
def read_table() -> SignatureTable:
    """The table that Lagotto ships; empty if it has none."""
    if not TABLE_FILE.is_file():
        return SignatureTable((), np.empty(0, np.uint64), ())
    data = TABLE_FILE.read_bytes()
    magic, size, count, _ = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise ModelError(f"{TABLE_FILE.name} is of another version; install Lagotto again")
    at = _HEAD.size
    head: dict[str, Any] = json.loads(lzma.decompress(data[at : at + size]))
    feeds = [json.loads(feed) for feed in head["feeds"]]
    architectures = tuple(_architecture(row, feeds) for row in head["rows"])
    at += size
    sums = np.frombuffer(data, "<u8", count, at)
    owners = np.frombuffer(data, "<u2", count, at + 8 * count).tolist()
    views = np.frombuffer(data, "u1", count, at + 10 * count).tolist()
    entries = tuple((owner, _VIEWS[view]) for owner, view in zip(owners, views, strict=True))
    return SignatureTable(architectures, sums, entries)


def _architecture(row: list[Any], feeds: list[JsonObject]) -> Architecture:
    library, name, classifier, first, features, feed, prefix, body, children = row
    return Architecture(
        library,
        name,
        tuple(classifier),
        tuple(first),
        features,
        feeds[feed],
        prefix,
        body,
        tuple(children),
    )


def read_tensors() -> Iterator[dict[str, Shape]]:
    """The names and shapes of all tensors of each architecture of `read_table`, in its order."""
    data = TABLE_FILE.read_bytes()
    _, size, count, length = _HEAD.unpack_from(data)
    at = _HEAD.size + size + 11 * count
    return _unpack_tensors(lzma.decompress(data[at : at + length]))


def sign_architecture(
    architecture: Architecture, tensors: Mapping[str, Shape], children: tuple[str, ...]
) -> Signature:
    """A signature whose architecture has the names that the views need.

    Args:
        architecture: The architecture, with the full names of its layers.
        tensors: The names and shapes of its tensors.
        children: The names of its children in order.
    """
    inner, prefix = without_common_prefix(tensors)
    last = tuple(name.removeprefix(prefix) for name in architecture.classifier)
    first = tuple(name.removeprefix(prefix) for name in architecture.first)
    named = replace(architecture, classifier=last, first=first, prefix=prefix)
    if _is_sequential(architecture):
        module = (last[0].partition(".")[0],)
        before = {name: shape for name, shape in inner.items() if not under(name, module)}
        named = replace(named, body=without_common_prefix(before)[1], children=children)
    return Signature(named, tensors)


def _fingerprints(signature: Signature) -> Iterator[tuple[int, View]]:
    """The fingerprints of an architecture, each once."""
    architecture = signature.architecture
    tensors, _ = without_common_prefix(signature.tensors)
    last = architecture.classifier
    module = (last[0].partition(".")[0],)
    rest = {name: shape for name, shape in tensors.items() if not under(name, last)}
    before = {name: shape for name, shape in tensors.items() if not under(name, module)}
    yield tensors_fingerprint(rest), "last"
    if before.keys() != rest.keys():
        yield tensors_fingerprint(before), "module"
    if architecture.children:
        numbers = {name: str(at) for at, name in enumerate(architecture.children)}
        numbered = {}
        for name, shape in before.items():
            child, dot, below = name.partition(".")
            numbered[numbers[child] + dot + below] = shape
        yield tensors_fingerprint(numbered), "children"
    if architecture.body:
        inner = {name.removeprefix(architecture.body): shape for name, shape in before.items()}
        yield tensors_fingerprint(inner), "features"


def _is_sequential(architecture: Architecture) -> bool:
    families = _SEQUENTIAL.get(architecture.library, ())
    return architecture.name.startswith(families) and not architecture.name.startswith(
        _NOT_SEQUENTIAL
    )


def _pack_tensors(signatures: Sequence[Signature]) -> bytes:
    names: dict[str, int] = {}
    shapes: dict[Shape, int] = {}
    rows: list[tuple[int, int]] = []
    counts = []
    for signature in signatures:
        counted = [(name, size) for name, size in signature.tensors.items() if is_counted(name)]
        counts.append(len(counted))
        rows += [
            (names.setdefault(name, len(names)), shapes.setdefault(size, len(shapes)))
            for name, size in counted
        ]
    columns = np.array(rows, np.int64)
    steps = np.diff(columns[:, 0], prepend=0).astype("<i4")
    head = json.dumps([counts, list(shapes), list(names)], separators=(",", ":")).encode()
    return (
        struct.pack("<I", len(head))
        + head
        + steps.tobytes()
        + columns[:, 1].astype("<u2").tobytes()
    )


def _unpack_tensors(data: bytes) -> Iterator[dict[str, Shape]]:
    (size,) = struct.unpack_from("<I", data)
    counts, shapes, names = json.loads(data[4 : 4 + size])
    total = sum(counts)
    steps = np.frombuffer(data, "<i4", total, 4 + size).astype(np.int64)
    of_names = np.cumsum(steps).tolist()
    of_shapes = np.frombuffer(data, "<u2", total, 4 + size + 4 * total).tolist()
    tuples = [tuple(shape) for shape in shapes]
    at = 0
    for count in counts:
        rows = zip(of_names[at : at + count], of_shapes[at : at + count], strict=True)
        yield {names[name]: tuples[shape] for name, shape in rows}
        at += count


def _compress(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_XZ, filters=_FILTERS)

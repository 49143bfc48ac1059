"""The names and shapes of tensors come in; the network that they belong to goes out.

The fingerprint of all tensors but a group of them is looked up (fingerprint.py). The group is every
layer in turn, so a classifier is found whatever its name and its number of classes. The rest may
lie under one more name (`backbone.`), with the classifier beside it. An architecture is recognized
only if every tensor that counts belongs to it or to its classifier.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject
from lagotto.models.architectures.fingerprint import (
    MASK,
    Shape,
    is_counted,
    tensor_hash,
    under,
)
from lagotto.models.architectures.heads import Head, read_head
from lagotto.models.architectures.preference import FittingNetwork, prefer
from lagotto.models.architectures.signature_table import (
    Architecture,
    View,
    read_table,
)
from lagotto.models.architectures.unknown import unknown_network
from lagotto.models.checkpoints.checkpoint import PlainLayer

_MOST_TENSORS = 20_000
_DEEPEST = 4
_OWN_LAYERS = 24
"""Modules of a classifier of the user's own at most; more are another network."""

_OWN_CHILDREN = 6
"""Modules at the end of a network that are its classifier together, at most: fc1, bn, fc2."""

_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Recognition:
    """A network that was recognized.

    Args:
        architecture: The network.
        view: What of it the checkpoint has; see signature_table.
        root: What the names of its tensors begin with in the checkpoint, for example "backbone.".
        head: The classifier in place of its own; None if the last layer stands where it was.
        channels: The number of channels of its pictures.
        names: The names of its tensors in the checkpoint by their names in the architecture.
        notes: What was chosen or assumed, one line each.
        others: The networks with the same tensors that compute something else, in the order in
            which they are preferred.
    """

    architecture: Architecture
    view: View
    root: str
    head: Head | None
    channels: int
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()
    others: "tuple[Recognition, ...]" = ()


@dataclass(slots=True)
class _Inside:
    """The tensors under one prefix, with their hashes, and the sums of the groups among them."""

    root: str
    names: list[str]
    outside: list[str]
    hashes: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)


def recognize(
    shapes: Mapping[str, Shape],
    settings: JsonObject | None = None,
    module_class: str = "",
    layers: Mapping[str, PlainLayer] | None = None,
) -> Recognition:
    """The architecture of a checkpoint.

    Args:
        shapes: The shapes of its tensors by name, in the order of the file.
        settings: Hyper-parameters in the file; a name of an architecture decides between networks
            with the same tensors.
        module_class: The class of a whole pickled module.
        layers: Its layers without tensors, by path; they tell activations.

    Raises:
        ModelError: It is no network that is known. The message names the nearest one, or says what
            the file holds instead.
    """
    if not 0 < len(shapes) <= _MOST_TENSORS:
        raise ModelError(f"{len(shapes):,} tensors; allowed: 1 to {_MOST_TENSORS:,}")
    problems: list[str] = []
    for inside in _roots(shapes):
        found = list(_candidates(inside, shapes))
        heads: list[tuple[FittingNetwork, Head | None]] = []
        for candidate in found:
            try:
                heads.append((candidate, _head(candidate, inside, shapes, layers)))
            except ModelError as error:
                problems.append(f"{candidate.architecture.name}: {error}")
        if heads:
            candidates = [candidate for candidate, _ in heads]
            chosen, others = prefer(candidates, settings or {}, module_class)
            first, *rest = (
                _recognition(candidate, head, inside, shapes)
                for wanted in (chosen, *others)
                for candidate, head in heads
                if candidate is wanted
            )
            return replace(first, others=tuple(rest))
    raise unknown_network(shapes, problems)


def _roots(shapes: Mapping[str, Shape]) -> Iterator[_Inside]:
    """Where the network may lie: at the top, or under a prefix of most of the tensors."""
    counted = [name for name in shapes if is_counted(name)]
    for root in ("", *_prefixes_of_most(counted)):
        names = [name for name in counted if name.startswith(root)]
        outside = [name for name in counted if not name.startswith(root)]
        inside = _Inside(root, names, outside)
        for name in names:
            short = name[len(root) :]
            value = tensor_hash(short, shapes[name])
            inside.hashes[short] = value
            for prefix in _prefixes(short):
                inside.groups[prefix] = inside.groups.get(prefix, 0) + value & MASK
        yield inside


def _prefixes_of_most(names: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        for prefix in _prefixes(name):
            counts[prefix] = counts.get(prefix, 0) + 1
    return [f"{prefix}." for prefix, count in counts.items() if 2 * count >= len(names)]


def _prefixes(name: str) -> Iterator[str]:
    """The modules that a tensor lies in, outermost first: features, features.0, ..."""
    at = -1
    for _ in range(_DEEPEST):
        at = name.find(".", at + 1)
        if at < 0:
            return
        yield name[:at]


def _candidates(inside: _Inside, shapes: Mapping[str, Shape]) -> Iterator[FittingNetwork]:
    """The architectures whose tensors are those inside, without one group of them or with all."""
    table = read_table()
    whole = sum(inside.hashes.values()) & MASK
    for channels, change in _channel_changes(inside, shapes):
        total = whole + change
        for removed, value in (*_removed(inside), ((), 0)):
            for architecture, view in table.find(total - value & MASK):
                yield FittingNetwork(architecture, view, removed, channels)


def _removed(inside: _Inside) -> Iterator[tuple[tuple[str, ...], int]]:
    """Groups of tensors that may be the classifier, and the sums of their hashes."""
    for several in _classifiers_of_many():
        if all(name in inside.groups for name in several):
            yield several, sum(inside.groups[name] for name in several)
    for name in reversed(inside.groups):
        yield (name,), inside.groups[name]
    children = [name for name in inside.groups if "." not in name]
    for count in range(2, min(_OWN_CHILDREN, len(children)) + 1):
        last = tuple(children[-count:])
        yield last, sum(inside.groups[name] for name in last)


@cache
def _classifiers_of_many() -> tuple[tuple[str, ...], ...]:
    """The classifiers of known networks that are more than one layer."""
    several = (item.classifier for item in read_table().architectures)
    return tuple(sorted({names for names in several if len(names) > 1}))


def _channel_changes(inside: _Inside, shapes: Mapping[str, Shape]) -> Iterator[tuple[int, int]]:
    """Numbers of channels, each with the change that makes the first layer one of 3 channels."""
    changes = [(_CHANNELS, 0)]
    for layer in _first_layers():
        name = f"{layer}.weight"
        shape = shapes.get(inside.root + name, ())
        if name in inside.hashes and len(shape) == 4 and shape[1] in (1, 2, 4, 5, 6):
            usual = tensor_hash(name, (shape[0], _CHANNELS, *shape[2:]))
            changes.append((shape[1], usual - inside.hashes[name]))
    yield from changes


@cache
def _first_layers() -> frozenset[str]:
    return frozenset(name for item in read_table().architectures for name in item.first)


def _head(
    candidate: FittingNetwork,
    inside: _Inside,
    shapes: Mapping[str, Shape],
    layers: Mapping[str, PlainLayer] | None,
) -> Head | None:
    """The classifier of a candidate; None if it is the architecture's own.

    Raises ModelError if the tensors that are left are no classifier for it.
    """
    architecture = candidate.architecture
    names = [name for name in inside.names if under(name[len(inside.root) :], candidate.removed)]
    own = architecture.classifier
    if candidate.view == "last" and candidate.removed and not inside.outside:
        plain = {f"{inside.root}{layer}.{part}" for layer in own for part in ("weight", "bias")}
        is_own = {*names} == plain
        if is_own and _is_linear(shapes[f"{inside.root}{own[0]}.weight"], architecture.features):
            return None
    parts = [*names, *inside.outside]
    if not parts:
        raise ModelError(
            "it has no classifier: these are the weights of its body alone; give the file that has "
            "the classifier, too, if there is one"
        )
    if len({name.rpartition(".")[0] for name in parts}) > _OWN_LAYERS:
        raise ModelError(f"beside it are {len(parts):,} tensors of other layers")
    return read_head({name: shapes[name] for name in shapes if name in set(parts)}, layers)


def _is_linear(shape: Shape, features: int) -> bool:
    return len(shape) in (2, 4) and shape[1] == features


def _recognition(
    candidate: FittingNetwork,
    head: Head | None,
    inside: _Inside,
    shapes: Mapping[str, Shape],
) -> Recognition:
    names = {
        candidate.architecture.full_name(name[len(inside.root) :], candidate.view): name
        for name in shapes
        if name.startswith(inside.root)
    }
    channels = candidate.channels
    if candidate.architecture.first and channels == _CHANNELS:
        first = shapes.get(f"{inside.root}{candidate.architecture.first[0]}.weight", ())
        channels = first[1] if len(first) == 4 else channels
    return Recognition(
        candidate.architecture,
        candidate.view,
        inside.root,
        head,
        channels,
        names,
        head.notes if head else (),
    )

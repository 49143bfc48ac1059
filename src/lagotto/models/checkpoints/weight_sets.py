"""The value of a checkpoint comes in; the set of weights in it that is to be read goes out.

Checkpoints nest: `{"epoch": 9, "state_dict": {...}, "ema": {...}, "optimizer": {...}}`. The rule:

1. A set is a pickled module, or a dict with tensors as values, at most 6 deep. States of
   optimizers, schedulers, losses and metrics are none, and sets of less than half the tensors of
   the largest one are left out.
2. The set in training is the first by the order of _LIVE, then by the order of the file.
3. An average of it over training (ema, swa, teacher) is preferred if it has the same names and
   shapes. A note says so.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lagotto.models.checkpoints.modules import MAX_TENSORS, QUANTISED, is_module, module_tensors
from lagotto.models.checkpoints.pickles.inert import (
    AnyTensor,
    InertTensor,
    Record,
    UnreadableError,
    UnreadTensor,
    Value,
)
from lagotto.models.checkpoints.refusals import library_object, what_is_there

_MAX_DEPTH = 6
MAX_VISITS = 200_000

_LIVE = (
    *("state_dict", "model_state_dict", "model_state", "model", "model_dict", "net", "network"),
    *("net_state_dict", "net_dict", "module", "student", "weights", "params", "state"),
)
_AVERAGED = re.compile(r"(^|_)(ema|swa|teacher|averaged?|avg|shadow|averaged_model)(_|$)")
_NO_WEIGHTS = re.compile(
    r"(^|_)(optim\w*|opt|opts|sched\w*|scaler|amp|loss\w*|criterion|metrics?|history|rng|grads?"
    r"|callbacks?|loops|random|logger|train_results|updates|hparams|hyper_parameters|args|cfg|config"
    r"|meta|metadata)(_|$)"
)
_BODY = frozenset(
    {"backbone", "encoder", "features", "feature_extractor", "body", "trunk", "base", "base_model"}
)
_HEAD = frozenset({"head", "classifier", "fc", "linear", "cls_head", "classification_head"})
_GAN = (("generator", "discriminator"), ("netg", "netd"), ("g", "d"), ("g_ema", "d"))
_STATE = re.compile(r"(_state_dict|_state|_weights|_dict|_sd)$")


@dataclass(frozen=True, slots=True)
class WeightSet:
    """Tensors of one network, by their names as saved.

    Args:
        tensors: The tensors, unchecked.
        path: The keys that lead to them.
        module_class: The class of the module, where one is pickled whole.
        owner: The module or dict that holds them.
        notes: How they were chosen.
    """

    tensors: dict[str, AnyTensor]
    path: tuple[str, ...]
    owner: Record
    module_class: str = ""
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where in the file they lie, as users write it: "ema.state_dict"; "" for the top."""
        return ".".join(self.path)

    @property
    def is_averaged(self) -> bool:
        """Whether its name says that it is an average over training."""
        return any(says_average(key) for key in self.path)


def says_average(key: str) -> bool:
    """Whether a key names an average of weights over training: "model_ema", "teacher"."""
    return _AVERAGED.search(_normal(key)) is not None


def choose_weights(value: Value) -> WeightSet:
    """The set of weights that is read, by the rule of this file.

    Raises:
        UnreadableError: There is none; the clause says what there is instead.
    """
    library = library_object(value)
    if library is not None:
        raise UnreadableError(f"it holds {library}")
    found, optimizers = _find(value)
    if not found:
        raise UnreadableError(what_is_there(value, optimizers))
    most = max(len(item.tensors) for item in found)
    large = [item for item in found if len(item.tensors) * 2 >= most]
    _check_gan(found)
    live = sorted((item for item in large if not item.is_averaged), key=_rank)
    averaged = [item for item in large if item.is_averaged]
    joined = _joined(found, most)
    if joined is not None:
        return joined
    chosen = _of_several(live, averaged)
    small = [item.place for item in found if item.path and len(item.tensors) * 2 < most]
    note = (f"too small to be the network, not read: {_listed(small)}",) if small else ()
    return replace(chosen, notes=(*chosen.notes, *note))


def _of_several(live: list[WeightSet], averaged: list[WeightSet]) -> WeightSet:
    """The set that is read, of those in training and of averages."""
    if not live:
        return _noted(averaged[0], averaged[1:])
    chosen = live[0]
    same = [item for item in averaged if _form(item) == _form(chosen)]
    if same:
        note = (
            f"{same[0].place or 'the file'} is read, an average of the weights over training, not "
            f"{chosen.place or 'the rest'}"
        )
        return replace(same[0], notes=(note,))
    return _noted(chosen, [*live[1:], *averaged])


def _noted(chosen: WeightSet, others: list[WeightSet]) -> WeightSet:
    if not others:
        return chosen
    places = [item.place or "the file" for item in (chosen, *others)]
    note = f"{len(places)} sets of weights ({_listed(places)}); {places[0]} is read"
    return replace(chosen, notes=(note,))


def _listed(places: list[str]) -> str:
    return ", ".join(places[:_SHOWN]) + (", ..." if len(places) > _SHOWN else "")


_SHOWN = 5


def _find(value: Value) -> tuple[list[WeightSet], int]:
    """All sets of weights, from the top down, and how many states of optimizers there are."""
    found: list[WeightSet] = []
    optimizers = 0
    visited: set[int] = set()
    waiting: deque[tuple[tuple[str, ...], Value]] = deque([((), value)])
    visits = 0
    while waiting:
        path, current = waiting.popleft()
        if id(current) in visited:
            continue
        visited.add(id(current))
        if isinstance(current, Record) and is_module(current):
            tensors = module_tensors(current)
            if tensors:
                found.append(WeightSet(tensors, path, current, current.name))
            continue
        entries = dict(_children(current))
        if _is_optimizer(current, entries):
            optimizers += 1
            continue
        direct = {key: item for key, item in entries.items() if _is_tensor(item)}
        if any("_packed_params" in key for key in entries):
            raise UnreadableError(QUANTISED)
        if direct and isinstance(current, Record):
            found.append(WeightSet(_bounded(direct), path, current))
        visits += 1 + len(entries)
        if visits > MAX_VISITS:
            raise UnreadableError("it holds too many objects; save the state dict alone")
        for key, item in entries.items():
            is_holder = isinstance(item, Record | list | tuple)
            if is_holder and len(path) < _MAX_DEPTH and not _NO_WEIGHTS.search(_normal(key)):
                waiting.append(((*path, key), item))
            elif is_holder:
                optimizers += "optim" in key.lower()
    return found, optimizers


def _children(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Record):
        yield from value.entries().items()
    if isinstance(value, list | tuple):
        for index, item in enumerate(value[:_ITEMS]):
            yield f"[{index}]", item


_ITEMS = 1_000


def _is_tensor(value: Value) -> bool:
    return isinstance(value, InertTensor | UnreadTensor)


def _bounded(tensors: dict[str, Value]) -> dict[str, AnyTensor]:
    """The tensors of a state dict, if they are not too many."""
    if len(tensors) > MAX_TENSORS:
        raise UnreadableError(f"it holds more than {MAX_TENSORS:,} tensors")
    return {
        key: item for key, item in tensors.items() if isinstance(item, InertTensor | UnreadTensor)
    }


def _is_optimizer(value: Value, entries: dict[str, Value]) -> bool:
    if isinstance(value, Record) and value.name.startswith("torch.optim."):
        return True
    return "param_groups" in entries


def _normal(key: str) -> str:
    return key.lower().replace("-", "_").replace(" ", "_")


def _rank(item: WeightSet) -> tuple[int, int]:
    """The place of the outermost key that is a usual name; unusual ones come after."""
    ranks = [_LIVE.index(name) for key in item.path if (name := _normal(key)) in _LIVE]
    return (min(ranks) if ranks else len(_LIVE), len(item.path) if not ranks else 0)


def _form(item: WeightSet) -> set[tuple[str, str]]:
    """Names without their prefix, with shapes: equal for a set and its average."""
    names = {name for name in item.tensors if name != "n_averaged"}
    prefix = common_prefix(names)
    return {(name[len(prefix) :], _shape_text(item.tensors[name])) for name in names}


def _shape_text(tensor: AnyTensor) -> str:
    shape = tensor.shape if isinstance(tensor, InertTensor) else ()
    sizes = shape[:_SIZES] if isinstance(shape, tuple | list) else ()
    return ",".join(str(size) if isinstance(size, int) else "?" for size in sizes)


_SIZES = 8


def common_prefix(names: set[str]) -> str:
    """The longest prefix that ends in "." and that all names have; "" for one name.

    Example:
        >>> common_prefix({"module.fc.weight", "module.fc.bias", "module.conv.weight"})
        'module.'
    """
    if len(names) < 2:
        return ""
    low, high = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[: low.rfind(".", 0, same) + 1]


def _joined(found: list[WeightSet], most: int) -> WeightSet | None:
    """A body and a head that are saved as two sets, as one network; None if there are none such."""
    by_part: dict[str, list[WeightSet]] = {"body": [], "head": []}
    for item in found:
        key = _STATE.sub("", _normal(item.path[-1])) if item.path else ""
        for part, names in (("body", _BODY), ("head", _HEAD)):
            if key in names:
                by_part[part].append(item)
    bodies, heads = by_part["body"], by_part["head"]
    if len(bodies) != 1 or len(heads) != 1 or bodies[0].path[:-1] != heads[0].path[:-1]:
        return None
    body, head = bodies[0], heads[0]
    if len(body.tensors) < most:
        return None
    tensors: dict[str, AnyTensor] = {}
    for item in (body, head):
        key = _STATE.sub("", _normal(item.path[-1]))
        tensors |= {f"{key}.{name}": tensor for name, tensor in item.tensors.items()}
    note = f"{body.place} and {head.place} are read as one network"
    return replace(body, tensors=tensors, path=body.path[:-1], notes=(note,))


def _check_gan(sets: list[WeightSet]) -> None:
    keys = {_STATE.sub("", _normal(item.path[-1])) for item in sets if item.path}
    for pair in _GAN:
        if keys.issuperset(pair):
            raise UnreadableError(
                "it holds a generator and a discriminator (a GAN), which is no image classifier; "
                "give the checkpoint of a classifier"
            )

"""The names of tensors as saved come in; names as the network alone has them go out.

The rule, in this order:

1. What is no part of the network is left out, with a note: the count of an average (`n_averaged`),
   weights of a loss, states of metrics.
2. `_orig_mod` of torch.compile and such are taken out of names wherever they stand, and `module` of
   DataParallel where it is the first or the second part, as long as no two names become one.
3. Where a state dict has a network and an average of it (`model.` and `model_ema.`) with the same
   names and shapes, the average alone is taken, with a note.
4. The longest prefix that ends in "." and that all names have is taken off: `model.`, `net.`, ...
5. Weights that are pruned, or saved in parts by weight norm or spectral norm, are one tensor each;
   see reparametrized.py.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import combinations

from lagotto.models.checkpoints.checkpoint import StoredTensor
from lagotto.models.checkpoints.pickles.inert import UnreadableError
from lagotto.models.checkpoints.reparametrized import plain_weights
from lagotto.models.checkpoints.weight_sets import common_prefix, says_average

_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_OUTER_WRAPPER = "module"  # networks have parts of this name, too, but deeper
_OUTER_PARTS = 2
_BESIDE = re.compile(
    r"(criterion|crit|loss\w*|\w+_loss|losses|\w*metrics?"
    r"|(train|val|valid|validation|test)_\w+"
    r"|(\w+_)?(acc|accuracy|f1|f1_score|auroc|auc|precision|recall|confmat|confusion_matrix))"
)
_COUNTS = frozenset({"n_averaged"})
_SHARDED = re.compile(r"(^|\.)_?flat_param")
_SHOWN = 3
_MOST_GROUPS = 8


def network_names(
    tensors: Mapping[str, StoredTensor],
) -> tuple[dict[str, StoredTensor], tuple[str, ...]]:
    """The tensors of the network by their names in it, and notes on what was left out.

    Raises:
        UnreadableError: They are pieces of a network that was split over several devices.
    """
    if any(_SHARDED.search(name) for name in tensors):
        raise UnreadableError(
            "its weights are flattened pieces of FSDP; save the full state dict "
            "(StateDictType.FULL_STATE_DICT)"
        )
    network, left_out = _without_rest(tensors)
    network = _without_wrappers(network)
    network, averaged = _without_twin(network)
    prefix = common_prefix(set(network))
    short = {name[len(prefix) :]: tensor for name, tensor in network.items()}
    return plain_weights(short), (*left_out, *averaged)


def _without_rest(
    tensors: Mapping[str, StoredTensor],
) -> tuple[dict[str, StoredTensor], tuple[str, ...]]:
    network = {name: item for name, item in tensors.items() if name not in _COUNTS}
    beside = [name for name in network if _is_beside(name)]
    if not beside or len(beside) == len(network):
        return network, ()
    for name in beside:
        del network[name]
    return network, (f"left out, no part of the network: {_listed(beside)}",)


def _is_beside(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return bool(dot) and _BESIDE.fullmatch(first) is not None


def _without_wrappers(tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    plain = {_unwrapped(name): item for name, item in tensors.items()}
    return plain if len(plain) == len(tensors) and "" not in plain else tensors


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    outer = [part for part in parts[:_OUTER_PARTS] if part != _OUTER_WRAPPER]
    return ".".join([*outer, *parts[_OUTER_PARTS:]])


def _without_twin(
    tensors: dict[str, StoredTensor],
) -> tuple[dict[str, StoredTensor], tuple[str, ...]]:
    """The average alone, where a network and its average lie in one state dict."""
    groups: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        groups.setdefault(first, {})[rest] = tensor
    if not 1 < len(groups) <= _MOST_GROUPS:
        return tensors, ()
    for one, other in combinations(groups, 2):
        average, live = (one, other) if says_average(one) else (other, one)
        if not says_average(average) or says_average(live):
            continue
        if len(groups[average]) > 1 and _shapes(groups[average]) == _shapes(groups[live]):
            network = {
                name: tensor for name, tensor in tensors.items() if name.partition(".")[0] != live
            }
            note = f"{average}. is read, an average of the weights over training, not {live}."
            return network, (note,)
    return tensors, ()


def _shapes(tensors: Mapping[str, StoredTensor]) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in tensors.items() if name not in _COUNTS}


def _listed(names: Iterable[str]) -> str:
    listed = [name[:60] for name in names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more

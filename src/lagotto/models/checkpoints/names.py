"""The names of tensors as saved come in; names as the network alone has them go out.

The rule, in this order:

1. What is no part of the network is left out, with a note: the count of an average (`n_averaged`),
   weights of a loss, states of metrics.
2. The parts `module` and `_orig_mod`, which DataParallel and torch.compile put before or between
   names, are taken out, as long as no two names become one.
3. The longest prefix that ends in "." and that all names have is taken off: `model.`, `net.`, ...
"""

import re
from collections.abc import Iterable
from typing import TypeVar

from lagotto.models.checkpoints.pickles.inert import UnreadableError
from lagotto.models.checkpoints.weight_sets import common_prefix

_T = TypeVar("_T")
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_BESIDE = re.compile(
    r"(criterion|crit|loss\w*|\w+_loss|losses|\w*metrics?"
    r"|(train|val|valid|validation|test)_\w+"
    r"|(\w+_)?(acc|accuracy|f1|f1_score|auroc|auc|precision|recall|confmat|confusion_matrix))"
)
_COUNTS = frozenset({"n_averaged"})
_SHARDED = re.compile(r"(^|\.)_?flat_param")
_SHOWN = 3


def network_names(
    tensors: dict[str, _T],
) -> tuple[dict[str, _T], tuple[str, ...]]:
    """The tensors of the network by their names in it, and notes on what was left out.

    Raises:
        UnreadableError: They are pieces of a network that was split over several devices.
    """
    if any(_SHARDED.search(name) for name in tensors):
        raise UnreadableError(
            "its weights are flattened pieces of FSDP; save the full state dict "
            "(StateDictType.FULL_STATE_DICT)"
        )
    kept, notes = _without_rest(tensors)
    kept = _without_wrappers(kept)
    prefix = common_prefix(set(kept))
    return {name[len(prefix) :]: tensor for name, tensor in kept.items()}, notes


def _without_rest(
    tensors: dict[str, _T],
) -> tuple[dict[str, _T], tuple[str, ...]]:
    kept = {name: item for name, item in tensors.items() if name not in _COUNTS}
    beside = [name for name in kept if _is_beside(name)]
    if not beside or len(beside) == len(kept):
        return kept, ()
    for name in beside:
        del kept[name]
    return kept, (f"left out, no part of the network: {_listed(beside)}",)


def _is_beside(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return bool(dot) and _BESIDE.fullmatch(first) is not None


def _without_wrappers(tensors: dict[str, _T]) -> dict[str, _T]:
    plain = {
        ".".join(part for part in name.split(".") if part not in _WRAPPERS): item
        for name, item in tensors.items()
    }
    return plain if len(plain) == len(tensors) and "" not in plain else tensors


def _listed(names: Iterable[str]) -> str:
    listed = [name[:60] for name in names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more

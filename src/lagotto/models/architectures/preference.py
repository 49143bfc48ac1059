"""Networks with the same tensors come in; the one to run goes out, and those that it may be.

What tensors do not show (padding, activation, blur) is decided by what the file says of itself: the
name of an architecture in its settings, or the class of its module. Else the plain network of
torchvision is preferred, then networks that people copy, then those of timm; among these the ones
trained in PyTorch come before those ported from TensorFlow (`tf_`). The others are tried on probes
where there are some (models/preprocessing/variants.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.architectures.signature_table import Architecture, View
from lagotto.models.architectures.skeletons import skeleton_keys

_LIBRARIES = ("torchvision", "cifar", "yolo", "timm")
_SETTINGS_DEEP = 3
_SPECIAL = re.compile(
    r"^tf_|blur|aa\d|_aa|pruned|quickgelu|flexivit|siglip|_jx|lingbot|par_gap|clip"
)
_SMOOTHED = re.compile(r"blur|aa\d")
"""Variants of timm with smoothed strides: too rare to be named with every ResNet."""

_SIZE = re.compile(r"_(\d{3})$")


@dataclass(frozen=True, slots=True)
class FittingNetwork:
    """An architecture that fits.

    `removed` are the layers of the checkpoint that are its classifier, and `channels` those of its
    pictures.
    """

    architecture: Architecture
    view: View
    removed: tuple[str, ...]
    channels: int


def prefer(
    candidates: Sequence[FittingNetwork],
    settings: JsonObject,
    module_class: str,
) -> tuple[FittingNetwork, list[FittingNetwork]]:
    """The candidate to run, and those that compute something else, in the order of preference.

    There are none of these if the file names its architecture.

    Args:
        candidates: At least one.
        settings: The hyper-parameters of the file.
        module_class: The class of a whole pickled module, "" if there is none.
    """
    said = set(_texts(settings, _SETTINGS_DEEP))
    library = module_class.partition(".")[0]
    ordered = sorted(
        candidates,
        key=lambda item: (
            item.architecture.name.lower() not in said,
            item.architecture.library != library,
            *_rank(item),
        ),
    )
    chosen = ordered[0]
    if chosen.architecture.name.lower() in said:
        return chosen, []
    return chosen, _different(chosen, ordered)


def _rank(item: FittingNetwork) -> tuple[int, ...]:
    architecture = item.architecture
    views = ("last", "module", "features", "children")
    return (
        views.index(item.view),
        _LIBRARIES.index(architecture.library),
        bool(_SPECIAL.search(architecture.name)),
        architecture.key not in skeleton_keys(),
        len(architecture.name),
    )


def _different(
    chosen: FittingNetwork, candidates: Sequence[FittingNetwork]
) -> list[FittingNetwork]:
    """The candidates that do not compute the same as the chosen one, each name once."""
    is_usual = any(item.architecture.library == "torchvision" for item in candidates)
    others: dict[str, FittingNetwork] = {}
    for item in candidates:
        name = item.architecture.name
        is_rare = is_usual and _SMOOTHED.search(name)
        if (
            item.view == chosen.view
            and not is_rare
            and _without_size(name) != _without_size(chosen.architecture.name)
        ):
            others.setdefault(name, item)
    return list(others.values())


def _without_size(name: str) -> str:
    return _SIZE.sub("", name)


def _texts(value: JsonValue, deep: int) -> Iterator[str]:
    """The texts in settings, in lower case, as names of architectures are written."""
    if isinstance(value, str):
        text = value.strip().lower()
        yield from (text, text.replace("-", "_"), text.rpartition("/")[2].partition(".")[0])
    elif deep and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, deep - 1)

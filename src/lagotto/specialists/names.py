"""Published names of a model's outputs → the labels that they name. Names are claims, not facts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lagotto.zeroshot.naming import names, tokens


def named_outputs(
    labels: Sequence[str], published: Sequence[str | None]
) -> Int64[np.ndarray, " labels"]:
    """The one output that is published under each label's name, -1 where there is none or several.

    A name that is the label (case and plural aside; of a name with commas each part) goes before
    one that has it among its words. No output is given twice.

    >>> named_outputs(["cat", "car"], ["tabby cat", "cars, automobiles", None]).tolist()
    [0, 1]
    """
    found = np.full(len(labels), -1, np.int64)
    for row, label in enumerate(labels):
        exact = [i for i, name in enumerate(published) if name and _is(name, label)]
        within = [i for i, name in enumerate(published) if name and names(_words(name), label)]
        candidates = exact or within
        if len(candidates) == 1:
            found[row] = candidates[0]
    given, counts = np.unique(found[found >= 0], return_counts=True)
    found[np.isin(found, given[counts > 1])] = -1
    return found


def _is(name: str, label: str) -> bool:
    wanted = " ".join(tokens(_words(label)))
    parts = {" ".join(tokens(part)) for part in _words(name).split(",")}
    forms = {wanted, f"{wanted}s", f"{wanted}es", wanted.removesuffix("s")}
    return bool(wanted) and not parts.isdisjoint(forms)


def _words(name: str) -> str:
    return name.replace("_", " ")

"""Published names of a model's outputs → the labels that they name. Names are claims, not facts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lagotto.zeroshot.prompts.adaptation import tokens


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
    parts: dict[str, set[int]] = {}
    for output, name in enumerate(published):
        for part in _words(name or "").split(","):
            parts.setdefault(" ".join(tokens(part)), set()).add(output)
    texts = [f" {' '.join(tokens(_words(name or '')))} " for name in published]
    for row, label in enumerate(labels):
        wanted = " ".join(tokens(_words(label)))
        if not wanted:
            continue
        forms = (wanted, f"{wanted}s", f"{wanted}es", wanted.removesuffix("s"))
        candidates = set[int]().union(*(parts.get(form, ()) for form in forms))
        if not candidates:
            within = tuple(f" {form} " for form in forms[:3])
            candidates = {i for i, text in enumerate(texts) if any(w in text for w in within)}
        if len(candidates) == 1:
            found[row] = candidates.pop()
    given, counts = np.unique(found[found >= 0], return_counts=True)
    found[np.isin(found, given[counts > 1])] = -1
    return found


def _words(name: str) -> str:
    return name.replace("_", " ")

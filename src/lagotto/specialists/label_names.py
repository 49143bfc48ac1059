"""Labels and the published names of a model's outputs come in; the output that each label's name
matches goes out. Names are claims, not facts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lagotto.zeroshot.prompts.adaptation import tokens


def named_outputs(
    labels: Sequence[str], published: Sequence[str | None]
) -> Int64[np.ndarray, " labels"]:
    """The output that is published under each label's name; -1 if there is none, or several.

    A name that equals the label (ignoring case and plural; a name with commas is a list of names)
    takes precedence over one that contains it among its words. An output that matches several
    labels matches none.

    >>> named_outputs(["cat", "car"], ["tabby cat", "cars, automobiles", None]).tolist()
    [0, 1]
    """
    outputs = np.full(len(labels), -1, np.int64)
    parts: dict[str, set[int]] = {}
    for output, name in enumerate(published):
        for part in _words(name or "").split(","):
            parts.setdefault(" ".join(tokens(part)), set()).add(output)
    texts = [f" {' '.join(tokens(_words(name or '')))} " for name in published]
    for row, label in enumerate(labels):
        words = " ".join(tokens(_words(label)))
        if not words:
            continue
        variants = (words, f"{words}s", f"{words}es", words.removesuffix("s"))
        candidates = set[int]().union(*(parts.get(variant, ()) for variant in variants))
        if not candidates:
            padded = tuple(f" {variant} " for variant in variants[:3])
            candidates = {i for i, text in enumerate(texts) if any(p in text for p in padded)}
        if len(candidates) == 1:
            outputs[row] = candidates.pop()
    assigned, counts = np.unique(outputs[outputs >= 0], return_counts=True)
    outputs[np.isin(outputs, assigned[counts > 1])] = -1
    return outputs


def _words(name: str) -> str:
    return name.replace("_", " ")

"""A model's published names and the user's labels in, the output published under each label out.

Names are claims, not facts: the caller checks them against behaviour.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lagotto.core.text.names import listed_names, name_key, name_phrase


def named_outputs(
    labels: Sequence[str], published: Sequence[str | None]
) -> Int64[np.ndarray, " labels"]:
    """The one output that is published under each label's name, -1 where there is none or several.

    A name that is the label (case aside; of a name with commas each part) goes before one that is
    its plural or singular, since ImageNet has "sunglass" and "sunglasses", and this before one that
    has it among its words. No output is given twice.

    >>> named_outputs(["cat", "car"], ["tabby cat", "cars, automobiles", None]).tolist()
    [0, 1]
    >>> named_outputs(["sunglasses"], ["sunglass", "sunglasses, shades"]).tolist()
    [1]
    """
    result = np.full(len(labels), -1, np.int64)
    spelled: dict[str, set[int]] = {}
    outputs: dict[tuple[str, ...], set[int]] = {}
    phrases = [name_phrase(name or "") for name in published]
    for output, name in enumerate(published):
        for part in listed_names(name or ""):
            spelled.setdefault(name_key(part), set()).add(output)
            outputs.setdefault(name_phrase(part), set()).add(output)
    for row, label in enumerate(labels):
        phrase = name_phrase(label)
        if not phrase:
            continue
        candidates = (
            spelled.get(name_key(label))
            or outputs.get(phrase)
            or {output for output, words in enumerate(phrases) if _contains(words, phrase)}
        )
        if len(candidates) == 1:
            result[row] = next(iter(candidates))
    given, counts = np.unique(result[result >= 0], return_counts=True)
    result[np.isin(result, given[counts > 1])] = -1
    return result


def _contains(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of a phrase follow each other somewhere among the words."""
    starts = range(len(words) - len(phrase) + 1)
    return any(words[start : start + len(phrase)] == phrase for start in starts)

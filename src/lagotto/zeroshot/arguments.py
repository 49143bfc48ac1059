"""Mode, k and labels as callers write them come in; checked ones go out."""

from collections.abc import Iterable
from pathlib import Path

from lagotto.core.arguments.one_or_many import OneNameOrMany, collect
from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.zeroshot.prompts.labels import (
    Label,
    LabelList,
    check_labels,
    fold_labels,
    make_labels,
    read_labels,
)
from lagotto.zeroshot.types import Mode

MODES: tuple[Mode, ...] = ("guarded", "paper", "paper-code", "image-only", "captions-only")
_LABELS_ALLOWED = "give one or more, as a list of names, a comma list, or a file, one a line"


def check_mode(mode: str | None, has_captions: bool) -> Mode:
    """The mode that was given; without one guarded, or image-only if there are no captions.

    Raises:
        UsageError: The mode is not known, or it needs captions and there are none.
    """
    if mode is None:
        return "guarded" if has_captions else "image-only"
    if mode not in MODES:
        raise UsageError(
            f"unknown mode {mode!r}; known: {', '.join(MODES)}.{suggest(mode, list(MODES))}"
        )
    if not has_captions and mode != "image-only":
        raise UsageError(f"mode {mode} needs captions; give a store, or take the mode image-only")
    return mode


def check_k(k: int) -> int:
    """The number of captions that vote, at least 1; UsageError otherwise."""
    if k < 1:
        raise UsageError(f"k is {k}; give 1 or more captions")
    return k


def as_labels(labels: OneNameOrMany | Iterable[Label]) -> LabelList:
    """The labels of a comma list or a file in one string or Path, or of an iterable, and notes.

    Repeated names are folded; `Label` objects are classes of their own, whatever their names.
    """
    if isinstance(labels, str | Path):
        listed = read_labels(labels)
        folded = fold_labels(listed.labels)
        return LabelList(folded.labels, listed.notes + folded.notes)
    given = collect(labels, str | Label, "labels", _LABELS_ALLOWED)
    if all(isinstance(item, Label) for item in given):
        return LabelList(check_labels(given))
    items = [item if isinstance(item, Label) else Label(item, item) for item in given]
    return fold_labels(
        make_labels([item.name for item in items], [item.descriptions for item in items])
    )

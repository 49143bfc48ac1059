"""Paths of labelled pictures in, one data set out, streamed.

A folder of class sub-folders, a jsonl or a webdataset; see labelled_sources for their forms.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.core.text.names import name_key
from lagotto.evaluation.classification.sources import (
    LabelledPart,
    LabelledSample,
    find_labelled_parts,
)
from lagotto.zeroshot.prompts.labels import Label, make_labels


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and the number of its label; `read` gives its bytes or raises PictureError."""

    source: str
    truth: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A data set whose labels are all known: each was looked at once, no picture was read yet.

    `counts` has the pictures of each label.
    """

    name: str
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    parts: tuple[LabelledPart, ...]

    def __len__(self) -> int:
        return sum(self.counts)

    def pictures(self) -> Iterator[LabelledPicture]:
        """All pictures, in an order that is always the same; memory does not grow with them."""
        number_of = _numbers(self.labels)
        for part in self.parts:
            for sample in part.samples():
                truth = _truth(sample, number_of, self.labels)
                yield LabelledPicture(sample.source, truth, sample.read)


def open_labelled(paths: Sequence[Path], labels: Sequence[Label] | None = None) -> LabelledSet:
    """The pictures at all paths as one data set.

    Without `labels` they are those that the data name: class folders, a tar's classes.txt, or the
    labels that occur, sorted. A name is looked up as words, case aside, so that the folder
    `golden_retriever` is the label "golden retriever"; a number is a place in the list. Raises
    UsageError where a label is not among them, or a path holds no labelled pictures.
    """
    if not paths:
        raise UsageError("no labelled pictures given; give a folder, a .jsonl or a .tar")
    parts = tuple(part for path in paths for part in find_labelled_parts(path))
    known = tuple(labels) if labels is not None else _own_labels(parts)
    number_of = _numbers(known)
    counts = [0] * len(known)
    for part in parts:
        for sample in part.samples():
            counts[_truth(sample, number_of, known)] += 1
    if not any(counts):
        raise UsageError(f"no labelled pictures in {', '.join(map(str, paths))}; check the path")
    name = "+".join(dict.fromkeys(part.name for part in parts))
    return LabelledSet(name, known, tuple(counts), parts)


def _own_labels(parts: Sequence[LabelledPart]) -> tuple[Label, ...]:
    """The labels that the parts name themselves."""
    lists = list(dict.fromkeys(part.classes for part in parts if part.classes))
    ordered = [part for part in parts if part.ordered]
    if ordered and len(lists) > 1:
        raise UsageError(
            f"{ordered[0].path} and others have different lists of classes; give one by --labels"
        )
    if lists and ordered:
        return make_labels(list(lists[0]))
    names = _each_once(name for classes in lists for name in classes)
    for part in parts:
        if not part.classes:
            for sample in part.samples():
                if isinstance(sample.label, int):
                    raise UsageError(
                        f"{sample.source} has class number {sample.label} and no list of classes "
                        "lies beside it; give --labels FILE, one a line in the order of the numbers"
                    )
                names.setdefault(name_key(sample.label), sample.label)
    if not names:
        raise UsageError(f"no labelled pictures in {parts[0].path}; check the path")
    return make_labels(sorted(names.values()))


def _each_once(names: Iterable[str]) -> dict[str, str]:
    """The first of the names that are the same words, by those words."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name_key(name), name)
    return found


def _numbers(labels: Sequence[Label]) -> dict[str, int]:
    return {name_key(label.words): number for number, label in enumerate(labels)}


def _truth(sample: LabelledSample, number_of: dict[str, int], labels: Sequence[Label]) -> int:
    if isinstance(sample.label, int):
        if 0 <= sample.label < len(labels):
            return sample.label
        raise UsageError(
            f"{sample.source} has class number {sample.label}, and there are {len(labels)} labels "
            f"(0 to {len(labels) - 1}); give the whole list by --labels FILE"
        )
    number = number_of.get(name_key(sample.label))
    if number is None:
        names = [label.name for label in labels]
        raise UsageError(
            f"{sample.source} has label {sample.label!r}, which is not among the {len(labels)} "
            f"labels; add it to --labels, or leave --labels out.{suggest(sample.label, names)}"
        )
    return number

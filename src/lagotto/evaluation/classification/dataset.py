"""Paths of labelled pictures in, one data set out, streamed.

A folder of class sub-folders, a jsonl or a webdataset; see labelled_sources for their forms.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.core.sources.count import add_counts
from lagotto.core.text.names import name_key
from lagotto.evaluation.classification.sources import (
    GivenLabels,
    LabelledPart,
    LabelledSample,
    find_labelled_parts,
)
from lagotto.zeroshot.prompts.labels import Label, LabelList, make_labels


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and the number of its label; `read` gives its bytes or raises PictureError."""

    source: str
    truth: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A data set whose labels are all known: each was looked at once, no picture was read yet.

    `counts` has the pictures of each label. `numbers` are the class numbers by which the data may
    name the labels. `notes` say how the structure of the data was read, and `passed_over` is the
    number of files that are no labelled picture, by kind.
    """

    name: str
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    parts: tuple[LabelledPart, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.counts)

    def pictures(self) -> Iterator[LabelledPicture]:
        """All pictures, in an order that is always the same; memory does not grow with them."""
        lookup = _Lookup(self.labels, self.numbers)
        for part in self.parts:
            for sample in part.samples():
                truth = lookup.position(sample)
                yield LabelledPicture(sample.source, truth, sample.read)


def open_labelled(
    paths: Sequence[Path],
    labels: LabelList | Sequence[Label] | None = None,
    label_file: Path | None = None,
) -> LabelledSet:
    """The pictures at all paths as one data set.

    Without `labels` they are those that the data name: class folders, a tar's classes.txt, or the
    labels that occur, sorted. A name is looked up as words, case aside, so that the folder
    `golden_retriever` is the label "golden retriever". A number is a place in the list, or the
    number that the list gives to a label; a list numbered from 1 counts from 0 where the data have
    a class 0.

    A name may stand twice in the list, as two classes of ImageNet are called "missile". They stay
    two classes with the same prompts, scored by their number, as published accuracies are: both are
    equally likely for every picture, the first one is the prediction, and a picture of the second
    is a miss. Data that name their classes mean the first one.

    `label_file` is the file of the labels, if it is one: where it has WordNet ids, they say which
    class folder is which. Raises UsageError where a label is not among them, a path holds no
    labelled pictures, or it cannot be told which folders are the classes.
    """
    if not paths:
        raise UsageError("no labelled pictures given; give a folder, a .jsonl or a .tar")
    listed = labels if isinstance(labels, LabelList) else LabelList(tuple(labels or ()))
    words = tuple(label.words for label in listed.labels)
    given = GivenLabels(words, listed.numbers, label_file)
    parts = tuple(part for path in paths for part in find_labelled_parts(path, given))
    known = listed.labels if labels is not None else _own_labels(parts)
    numbers = _class_numbers(listed.numbers or range(len(known)), parts)
    lookup = _Lookup(known, numbers)
    counts = [0] * len(known)
    for part in parts:
        for sample in part.samples():
            counts[lookup.position(sample)] += 1
    if not any(counts):
        raise UsageError(f"no labelled pictures in {', '.join(map(str, paths))}; check the path")
    name = "+".join(dict.fromkeys(part.name for part in parts))
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    passed_over = add_counts(part.passed_over for part in parts)
    return LabelledSet(name, known, tuple(counts), parts, numbers, notes, passed_over)


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


def _class_numbers(numbers: Sequence[int], parts: Sequence[LabelledPart]) -> tuple[int, ...]:
    """The numbers of a list as the data use them: from 0 if a picture has the class 0."""
    if min(numbers) == 1 and any(s.label == 0 for part in parts for s in part.samples()):
        return tuple(number - 1 for number in numbers)
    return tuple(numbers)


class _Lookup:
    """Finds the position of a sample's label, by its name or by its class number."""

    def __init__(self, labels: Sequence[Label], numbers: Sequence[int]) -> None:
        self._labels = labels
        self._by_number = {number: position for position, number in enumerate(numbers)}
        self._by_name: dict[str, int] = {}
        for position, label in enumerate(labels):
            self._by_name.setdefault(name_key(label.words), position)

    def position(self, sample: LabelledSample) -> int:
        """The position of the label; UsageError if it is not in the list."""
        if isinstance(sample.label, int):
            position = self._by_number.get(sample.label)
            if position is None:
                low, high = min(self._by_number), max(self._by_number)
                raise UsageError(
                    f"{sample.source} has class number {sample.label}, and there are "
                    f"{len(self._labels)} labels ({low} to {high}); give the whole list by "
                    "--labels FILE"
                )
            return position
        position = self._by_name.get(name_key(sample.label))
        if position is None:
            names = [label.name for label in self._labels]
            raise UsageError(
                f"{sample.source} has label {sample.label!r}, which is not among the {len(names)} "
                f"labels; add it to --labels, or leave --labels out."
                f"{suggest(sample.label, names)}"
            )
        return position

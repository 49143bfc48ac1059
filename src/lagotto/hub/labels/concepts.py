"""Twins of believed labels come in; outputs of several models that are of one concept go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lagotto.core.text.names import first_name, name_words
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.named import LIKELY, label_of
from lagotto.hub.labels.twins.table import Twins, join_twins


@dataclass(frozen=True, slots=True)
class ConceptOutput:
    """An output that recognizes a concept, with this probability; 1 for a believed label."""

    model: str
    logit: int
    probability: float


@dataclass(frozen=True, slots=True)
class ConceptGroup:
    """Outputs of several models that recognize the same, named by a believed label of one."""

    name: str
    outputs: tuple[ConceptOutput, ...]


def concept_groups(logit_index: LogitIndex, tables: Sequence[Twins]) -> tuple[ConceptGroup, ...]:
    """Outputs that recognize the same, over all models.

    Believed labels with the same words are of one concept, and so are their twins that are as
    likely as not; a twin of several is of the likeliest one.

    Args:
        logit_index: the hub's logits.
        tables: twins of believed labels.
    """
    twins = join_twins(tables)
    labels = {
        column: label_of(logit_index, column) or "" for column in set(twins.teachers.tolist())
    }
    names = {column: name_words(first_name(label)) for column, label in labels.items()}
    owner_of: dict[int, tuple[float, frozenset[str]]] = {}
    for column, words in names.items():
        owner_of[column] = 1.0, words
    parts = (twins.teachers.tolist(), twins.columns.tolist(), twins.probability.tolist())
    for teacher, column, probability in zip(*parts, strict=True):
        if probability >= max(LIKELY, owner_of.get(column, (0.0, frozenset()))[0]):
            owner_of[column] = probability, names[teacher]
    groups: dict[frozenset[str], list[tuple[int, float]]] = {}
    for column, (probability, words) in sorted(owner_of.items()):
        groups.setdefault(words, []).append((column, probability))
    said = {names[column]: first_name(label) for column, label in sorted(labels.items())[::-1]}
    found = [_concept(logit_index, said[words], outputs) for words, outputs in groups.items()]
    shared = [group for group in found if len({output.model for output in group.outputs}) > 1]
    return tuple(sorted(shared, key=lambda group: (-len(group.outputs), group.name)))


def _concept(
    logit_index: LogitIndex, name: str, outputs: Sequence[tuple[int, float]]
) -> ConceptGroup:
    owners = logit_index.owners(np.array([column for column, _ in outputs])).tolist()
    return ConceptGroup(
        name,
        tuple(
            ConceptOutput(
                logit_index.names[logit_index.digests[owner]],
                column - int(logit_index.firsts[owner]),
                probability,
            )
            for (column, probability), owner in zip(outputs, owners, strict=True)
        ),
    )

"""Layer 3: a hub and a file of its right answers → a world whose searches can be judged.

Texts of a truth file are asked; labels are believed as the hub's own audits say.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from calibration.known_answers import Known, World, world_of
from lagotto.core.errors import UsageError
from lagotto.core.text.names import first_name, label_word_sets, name_words
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.hub import Hub
from lagotto.hub.text.matching import FIRMLY, name_likeness


def hub_world(hub: Hub, truth: Sequence[TruthQuery]) -> World:
    """All usable logits of a hub, with the texts of `truth` as the first names, in order.

    Labels that no text says are names too, after them. A model of the hub that was never searched
    by name is audited now. Raises UsageError where no query has a right answer in the hub.
    """
    table = hub_table(hub)
    columns = table.columns()
    right = [[columns[each] for each in query.correct if each in columns] for query in truth]
    if not any(right):
        raise UsageError(
            f"no answer of the {len(truth)} queries is a logit of this hub; give the truth file "
            "of the models in it"
        )
    usable = np.flatnonzero(table.usable)
    names, concept = _names([query.text for query in truth], table, usable)
    answers = np.zeros((len(names), len(table.labels)), dtype=bool)
    for place, correct in enumerate(right):
        answers[place, correct] = True
    outputs = np.bincount(table.owners, minlength=len(table.models)).tolist()
    believed = np.concatenate(
        [hub.label_trust.levels(*each) for each in zip(table.models, outputs, strict=True)]
    )
    labels = [table.labels[column] for column in usable.tolist()]
    known = Known(
        names,
        table.models,
        table.owners[usable],
        concept,
        answers[:, usable],
        _called(names, labels),
        np.full(len(usable), np.nan),
        np.where(believed[usable] >= FIRMLY, concept, -1),
    )
    return world_of(known, table.space, hub.encoder, table.descriptors[:, usable])


def _names(
    texts: list[str], table: LogitTable, usable: Int64[np.ndarray, " logits"]
) -> tuple[tuple[str, ...], Int64[np.ndarray, " logits"]]:
    """The texts and then the other labels, and where each logit's label is; -1 without any."""
    labels = [table.labels[column] for column in usable.tolist()]
    spoken = [None if label is None else first_name(label) for label in labels]
    names = tuple(dict.fromkeys([*texts, *(each for each in spoken if each is not None)]))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([-1 if each is None else place[each] for each in spoken], np.int64)


def _called(
    names: Sequence[str], labels: Sequence[str | None]
) -> Bool[np.ndarray, "concepts logits"]:
    """Which label is, as far as its words go, the name itself."""
    said: dict[str, set[int]] = {}
    for logit, label in enumerate(labels):
        for word in frozenset().union(*label_word_sets(label or "")):
            said.setdefault(word, set()).add(logit)
    called = np.zeros((len(names), len(labels)), dtype=bool)
    for place, name in enumerate(names):
        words = name_words(name)
        shared = set.intersection(*(said.get(word, set()) for word in words)) if words else set()
        for logit in shared:
            called[place, logit] = name_likeness(words, labels[logit] or "") >= 1
    return called

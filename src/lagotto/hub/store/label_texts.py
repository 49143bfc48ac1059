"""A hub's catalogue comes in; its different labels, and the logits that carry some, go out.

An index holds the labels in order, so that what is read grows with the different labels and with
the logits that are found, not with all logits. A catalogue before version 3 has no such index.
"""

from collections.abc import Collection, Sequence

from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.database import WITH_SEGMENTS, json_list

_READ_ALL = "SELECT DISTINCT label FROM logits WHERE label IS NOT NULL"
_LEAP = (
    "WITH RECURSIVE texts(label) AS (SELECT min(label) FROM logits WHERE label IS NOT NULL "
    "UNION ALL SELECT (SELECT min(label) FROM logits WHERE label > texts.label) FROM texts "
    "WHERE texts.label IS NOT NULL) SELECT label FROM texts WHERE label IS NOT NULL"
)
"""Finds each label behind the one before, in the index."""


def read_label_texts(catalogue: Catalog) -> tuple[str, ...]:
    """Every published label once, sorted by its characters."""
    rows = catalogue.run(f"SELECT label FROM ({_texts(catalogue)}) ORDER BY label")
    return tuple(str(label) for (label,) in rows)


def read_logits_labelled(
    catalogue: Catalog, labels: Collection[str]
) -> tuple[tuple[str, int, str], ...]:
    """(model, logit, label) of every logit with one of these very labels, in the models' order."""
    if not labels:
        return ()
    rows = catalogue.run(
        "SELECT name, logit, label FROM logits JOIN models ON position = model "
        "WHERE label IN (SELECT value FROM json_each(?)) ORDER BY position, logit",
        (json_list(labels),),
    )
    return tuple((str(name), int(logit), str(label)) for name, logit, label in rows)


def read_labelled(catalogue: Catalog, words: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
    """(model, logit, label) of every label that contains any of some lower-case words.

    The order is that of the models. The case of ASCII letters does not matter.
    """
    if not words:
        return ()
    likes = " OR ".join(["instr(lower(label), ?) > 0"] * len(words))
    rows = catalogue.run(f"SELECT label FROM ({_texts(catalogue)}) WHERE {likes}", tuple(words))
    return read_logits_labelled(catalogue, [str(label) for (label,) in rows])


def _texts(catalogue: Catalog) -> str:
    return _LEAP if catalogue.format_version() >= WITH_SEGMENTS else _READ_ALL

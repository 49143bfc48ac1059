"""A hub's catalogue comes in; its different labels, and the logits that carry some, go out."""

from collections.abc import Collection

from lagotto.core.files import canonical_json
from lagotto.hub.store.catalog import Catalog


def read_label_texts(catalogue: Catalog) -> tuple[str, ...]:
    """Every published label once, sorted by its characters."""
    rows = catalogue.run("SELECT DISTINCT label FROM logits WHERE label IS NOT NULL ORDER BY label")
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
        (canonical_json([*sorted(labels)]).decode(),),
    )
    return tuple((str(name), int(logit), str(label)) for name, logit, label in rows)

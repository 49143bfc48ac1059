"""Names of models come in; rows of the catalogue's table of reference models go out, and back.

A reference is a model whose labels a user vouches for. Its row is dropped when the model is
removed. A catalogue that never had a reference has no such table, and older versions, which do not
know the table, open one that has it.
"""

from collections.abc import Collection
from hashlib import sha256

from lagotto.core.files import canonical_json
from lagotto.hub.store.catalog import Catalog

REFERENCES_TABLE = """
CREATE TABLE IF NOT EXISTS model_references (
    model INTEGER PRIMARY KEY REFERENCES models ON DELETE CASCADE,
    record_sha256 TEXT NOT NULL
)
"""
"""What makes the table where a catalogue gets its first reference."""

_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'model_references'"


def read_references(catalogue: Catalog) -> tuple[str, ...]:
    """The names of the probed models that are references, in the order of the models."""
    if not catalogue.run(_HAS_TABLE):
        return ()
    rows = catalogue.run(
        "SELECT name FROM model_references JOIN models ON position = model "
        "WHERE status = 'done' ORDER BY position"
    )
    return tuple(str(name) for (name,) in rows)


def record_references(catalogue: Catalog, names: Collection[str]) -> None:
    """Makes models references, in one transaction; those that are stay so.

    Raises UsageError for a model that the catalogue does not know.
    """
    with catalogue.transaction():
        catalogue.run(REFERENCES_TABLE)
        for name in names:
            model = catalogue.find(name)
            values = (model.position, _checksum(model.digest))
            catalogue.run("INSERT OR REPLACE INTO model_references VALUES (?, ?)", values)


def reference_damages(catalogue: Catalog) -> tuple[str, ...]:
    """The rows that are not as they were written, one line each."""
    if not catalogue.run(_HAS_TABLE):
        return ()
    rows = catalogue.run(
        "SELECT name, digest, model_references.record_sha256 FROM model_references "
        "JOIN models ON position = model ORDER BY position"
    )
    altered = [name for name, digest, checksum in rows if checksum != _checksum(digest)]
    return tuple(f"that {name} is a reference was altered" for name in altered)


def read_record_digests(catalogue: Catalog) -> dict[str, str]:
    """By the name of each probed model, the checksum of its record and of its labels."""
    rows = catalogue.run("SELECT name, record_sha256 FROM models WHERE status = 'done'")
    return {str(name): str(checksum) for name, checksum in rows}


def _checksum(digest: str) -> str:
    return sha256(canonical_json(["reference", digest])).hexdigest()

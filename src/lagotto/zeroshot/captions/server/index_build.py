"""A store on a server comes in; its indexes, and the recall that they have, go out."""

from collections.abc import Callable

import numpy as np

from lagotto.core.files import canonical_json
from lagotto.core.progress import Progress
from lagotto.neighbors.exact import ExactIndex
from lagotto.neighbors.recall import measure_recall
from lagotto.zeroshot.captions.files import Committed
from lagotto.zeroshot.captions.index_record import (
    RECALL_CAPTIONS,
    SERVER_INDEX,
    IndexPart,
    IndexRecord,
)
from lagotto.zeroshot.captions.server.content import ServerContent
from lagotto.zeroshot.captions.server.psycopg_session import Session
from lagotto.zeroshot.captions.server.schema import CONNECTIVITY, EXPANSION_BUILD, INDEXES
from lagotto.zeroshot.captions.server.server_search import LEAST_EXPANSION
from lagotto.zeroshot.nearest import StorePart
from lagotto.zeroshot.retrieval import NEIGHBOURS

MEASURED_AGAIN_AT = 1.1
"""Recall is measured again when a store has a tenth more rows than when it was measured."""

_GRAPH_BYTES = 500
"""Memory that a row takes in a build beside its embedding."""

_LEAST_MEMORY, _MOST_MEMORY = 64 * 2**20, 2 * 2**30
"""Memory that the server is asked to use for a build; a larger graph is built more slowly."""


def bring_up_to_date(
    session: Session, read: Callable[[], ServerContent], progress: Progress, *, afresh: bool
) -> IndexRecord:
    """Builds the indexes that are missing, and measures their recall where that is due.

    Rows that come later are added to an index by the server itself.

    Args:
        session: The connection that holds the store for writing.
        read: What the store holds now.
        progress: Receives the progress of the work.
        afresh: Measure recall if anything was added, not only if a tenth was.
    """
    content = read()
    missing = [
        part
        for part in INDEXES
        if _is_needed(part, content.committed) and INDEXES[part].name not in content.indexes
    ]
    progress.start("indexes on the server", len(missing) + 2, "steps")
    try:
        for part in missing:
            _build(session, part, content)
            progress.advance(1, f"{part} built")
        content = read()
        record = content.index_record()
        if missing or record is None or _is_due(record, content.committed, afresh):
            record = _measured(session, content, progress)
    finally:
        progress.finish()
    return record


def _is_needed(part: StorePart, state: Committed) -> bool:
    """Whether a part has rows; captions without a picture need no index of their own if all are."""
    if part == "text_only":
        return 0 < state.text_only < state.captions
    return bool(state.pictures if part == "pictures" else state.captions)


def _is_due(record: IndexRecord, state: Committed, afresh: bool) -> bool:
    measured = record.pictures.rows + record.captions.rows
    grown = state.pictures + state.captions > MEASURED_AGAIN_AT * measured
    return grown or (afresh and record.store != state.chain)


def _build(session: Session, part: StorePart, content: ServerContent) -> None:
    state = content.committed
    rows = state.pictures if part == "pictures" else state.captions
    needed = rows * (2 * content.manifest.dim + _GRAPH_BYTES)
    memory = max(_LEAST_MEMORY, min(_MOST_MEMORY, needed))
    session.build(INDEXES[part].made, memory)


def _measured(session: Session, content: ServerContent, progress: Progress) -> IndexRecord:
    pictures = _part(session, content, "pictures", NEIGHBOURS)
    progress.advance(1, "recall of the pictures measured")
    captions = _part(session, content, "captions", RECALL_CAPTIONS)
    progress.advance(1, "recall of the captions measured")
    record = IndexRecord(content.committed.chain, SERVER_INDEX, pictures, captions)
    with session.transaction():
        session.ask("DELETE FROM {schema}.indexes")
        session.ask(
            "INSERT INTO {schema}.indexes VALUES (%s)",
            canonical_json(record.as_json()).decode("ascii"),
        )
    return record


def _part(session: Session, content: ServerContent, part: StorePart, at: int) -> IndexPart:
    """The recall of a sample of stored rows by the index, against a scan of all rows."""
    rows = content.image_embeddings if part == "pictures" else content.text_embeddings
    search = content.own_search(part)
    exact = ExactIndex(rows, keep=False)
    recall = measure_recall(search, exact, rows, np.arange(len(rows), dtype=np.int64), at)
    ((size,),) = session.ask(
        "SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        session.schema,
        INDEXES[part].name,
    )
    parameters: dict[str, str | int] = {
        "metric": "inner product",
        "dtype": "f16",
        "connectivity": CONNECTIVITY,
        "expansion_add": EXPANSION_BUILD,
        "expansion_search": LEAST_EXPANSION,
    }
    return IndexPart(len(rows), int(size), parameters if len(rows) else {}, recall)

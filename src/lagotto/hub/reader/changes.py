"""A hub comes in; a mark goes out that is another one after every change of its models."""

from lagotto.hub.store.layout import HubLayout

_COUNTER = slice(24, 28)
"""Where a SQLite file counts the writes that were completed (its file change counter)."""


def change_mark(layout: HubLayout) -> tuple[object, ...]:
    """The mark of a hub as it is now; reading it takes microseconds.

    It holds the counter of the catalogue and the states of the derived files that other commands
    make anew. A hub that cannot be read has a mark of its own.
    """
    try:
        with layout.catalogue.open("rb") as file:
            counter = file.read(_COUNTER.stop)[_COUNTER]
        identity = layout.catalogue.stat().st_ino
    except OSError:
        return ()
    derived: list[tuple[int, int, int] | None] = []
    made_of_models = (layout.low_rank, layout.completion, layout.rivals)
    for path in (*made_of_models, layout.label_embeddings, layout.twins):
        try:
            state = path.stat()
            derived.append((state.st_ino, state.st_mtime_ns, state.st_size))
        except OSError:
            derived.append(None)
    return (identity, counter, *derived)

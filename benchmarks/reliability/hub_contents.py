"""A hub comes in; what must not depend on how it grew goes out: files, rows and columns.

Models lie in segments as the hub grew. So the descriptors count as columns in the order of the
models, and a block file that the catalogue does not list counts as left over.
"""

import contextlib
import sqlite3
from hashlib import sha256
from pathlib import Path

import numpy as np

from lagotto.core.files import sha256_file
from lagotto.hub.descriptors.blocks import block_paths
from lagotto.hub.reader.current_blocks import current_blocks
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.records import MODEL_COLUMNS
from lagotto.hub.store.segments import read_segments

TABLES = ("models", "logits", "failures", "copies", "audits")
LEFT_OUT = ("catalogue.sqlite", "catalogue.sqlite-journal", ".lock", "report.json")
_FIELDS = ("values", "steps", "mean", "std", "quantiles", "directions", "direction_steps")


def file_digests(folder: Path) -> dict[str, object]:
    """The digest of every file that must not depend on history."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in LEFT_OUT and path.parent.name != "blocks"
    }


def hub_contents(folder: Path) -> dict[str, object]:
    """Digests of a hub's files and columns, the rows of its catalogue, and files left over."""
    layout, held = HubLayout(folder), file_digests(folder)
    with contextlib.closing(sqlite3.connect(f"file:{layout.catalogue}?mode=ro", uri=True)) as rows:
        for name in TABLES:
            columns = f"{MODEL_COLUMNS}, record_sha256" if name == "models" else "*"
            found = rows.execute(f"SELECT {columns} FROM {name}")
            held[f"rows of {name}"] = sorted(map(repr, found))
    current = current_blocks(layout, read_hub_manifest(folder).probe_digest)
    for field in _FIELDS:
        axis = 1 if field == "values" else 0
        arrays = [getattr(block, field) for block in current.blocks]
        whole = np.concatenate(arrays, axis) if arrays else np.zeros(0)
        held[f"columns: {field}"] = sha256(whole.tobytes()).hexdigest()
    held["columns: notes"] = current.notes
    with Catalog(layout.catalogue) as catalogue:
        listed = {record.id for record in read_segments(catalogue)}
    held["unlisted blocks"] = sorted({*block_paths(layout.blocks)} - listed)
    return held

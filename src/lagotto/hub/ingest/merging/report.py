"""Parts that were merged come in; an account of all that they held goes out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from lagotto.core.types import JsonObject
from lagotto.hub.ingest.merging.facts import read_merged, record_merged
from lagotto.hub.ingest.merging.parts import Part
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import FailedModel
from lagotto.models.metadata.file_count import FileCount, sum_counts
from lagotto.models.metadata.unread.recognition import UnreadFile


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What became of the models of the hubs that were merged.

    `added` models are new, `extended` were there and have now seen more probes, and `already`
    counts those that the hub or an earlier part had. `copies` are further sources, as (name,
    original). `failures` failed in every part that has them. `unfinished` were never probed: the
    runs of their parts were cut off. `missing_shards` are those of a list of which others were
    merged, like "7/64". `files` and `not_read` are as in `AddReport`.
    """

    parts: tuple[str, ...]
    added: int
    extended: int
    already: int
    copies: tuple[tuple[str, str], ...]
    failures: tuple[FailedModel, ...]
    unfinished: tuple[str, ...]
    missing_shards: tuple[str, ...]
    files: FileCount = field(default_factory=FileCount)
    not_read: tuple[UnreadFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """True if models failed and no model of the parts is in the hub."""
        return bool(self.failures) and not (self.added or self.extended or self.already)

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps({**asdict(self), "files": self.files.as_json()}))
        return fields


def count_listed_files(parts: Sequence[Part]) -> tuple[FileCount, tuple[UnreadFile, ...]]:
    """The files under the paths of all lists, each list once, and the models that are not read."""
    lists: dict[str, FileCount] = {}
    not_read: dict[str, UnreadFile] = {}
    for part in parts:
        if part.shard is not None:
            files = part.shard.files
            lists[part.shard.list_sha256] = FileCount(**files)  # type: ignore[arg-type]
            for item in part.shard.not_read:
                unread = UnreadFile(**item)  # type: ignore[arg-type]
                not_read[unread.file] = unread
    return sum_counts(lists.values()), tuple(not_read.values())


def note_shards(catalogue: Catalog, parts: Sequence[Part]) -> tuple[tuple[str, ...], list[str]]:
    """Records which shards a hub has now; those that are missing, and notes, go out."""
    merged = read_merged(catalogue)
    given: dict[str, Part] = {}
    for part in parts:
        if part.shard is not None:
            key = f"{part.shard.list_sha256}/{part.shard.of}"
            merged.setdefault(key, set()).add(part.shard.index)
            given[key] = part
    if given:
        record_merged(catalogue, merged)
    missing = [
        f"{index}/{part.shard.of}"
        for key, part in given.items()
        if part.shard is not None
        for index in range(1, part.shard.of + 1)
        if index not in merged[key]
    ]
    notes = []
    if len(given) > 1:
        lists = ", ".join(
            f"{part.layout.folder} (one of {part.shard.models:,} models)"
            for part in given.values()
            if part.shard is not None
        )
        notes.append(
            f"these are shards of different lists: {lists}; if they were to be one list, it changed"
            " between the runs, and models may be missing"
        )
    return tuple(missing), notes

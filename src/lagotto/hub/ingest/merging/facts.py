"""What a run added to a part of a list comes in; facts in the catalogue go out, and back.

A catalogue before version 3 has no facts: it is no shard of a list.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from lagotto.core.errors import HubError
from lagotto.core.files import canonical_json
from lagotto.core.types import JsonObject
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import Status
from lagotto.hub.store.segments import read_fact, record_fact

_SHARD = "shard"
_MERGED = "merged shards"


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """Which shard of which list a hub holds.

    `list_sha256` identifies the list, which names `models` models. `files` counts the files under
    all paths of the list by kind, and `not_read` are the models among them that are not read.
    """

    index: int
    of: int
    list_sha256: str
    models: int
    files: JsonObject = field(default_factory=dict)
    not_read: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A row of the catalogue, as short as can be: hubs may have a million of them."""

    position: int
    digest: str
    name: str
    status: Status
    source: str

    @property
    def listed_name(self) -> str:
        """The name as it was listed: without what was appended because another model has it."""
        for ending in (self.digest, self.digest[:8]):
            if self.name.endswith(f"~{ending}"):
                return self.name.removesuffix(f"~{ending}")
        return self.name


def read_listed(catalogue: Catalog) -> list[ListedModel]:
    """All models, in the order in which they were listed."""
    rows = catalogue.run(
        "SELECT position, digest, name, status, source FROM models ORDER BY position"
    )
    return [ListedModel(*row) for row in rows]


def read_shard(catalogue: Catalog) -> ShardFacts | None:
    """Which shard a hub holds; None for one that was not made as a shard.

    Raises HubError if the facts are damaged.
    """
    text = read_fact(catalogue, _SHARD)
    if not text:
        return None
    try:
        facts = json.loads(text)
        return ShardFacts(
            index=int(facts["index"]),
            of=int(facts["of"]),
            list_sha256=str(facts["list_sha256"]),
            models=int(facts["models"]),
            files=dict(facts["files"]),
            not_read=tuple(dict(item) for item in facts["not_read"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(
            f"{catalogue.path} says nothing that makes sense of its shard; make the shard anew"
        ) from error


def record_shard(catalogue: Catalog, facts: ShardFacts) -> None:
    """Keeps which shard a hub holds."""
    record_fact(catalogue, _SHARD, canonical_json(json.loads(json.dumps(asdict(facts)))).decode())


def read_merged(catalogue: Catalog) -> dict[str, set[int]]:
    """The shards that were merged into a hub: their indices by list, `SHA256/SHARDS`."""
    try:
        return {key: set(found) for key, found in json.loads(read_fact(catalogue, _MERGED)).items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def record_merged(catalogue: Catalog, merged: Mapping[str, Collection[int]]) -> None:
    """Keeps which shards were merged into a hub."""
    content: JsonObject = {key: [*sorted(indices)] for key, indices in merged.items()}
    record_fact(catalogue, _MERGED, canonical_json(content).decode())

"""A list of models comes in; the share of it that one of several machines adds goes out."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.files import canonical_json
from lagotto.hub.ingest.merging.facts import ShardFacts, read_shard, record_shard
from lagotto.hub.store.catalog import Catalog
from lagotto.models.metadata.scan import FoundModels

_TEXT = re.compile(r"([0-9]{1,7})/([0-9]{1,7})")


@dataclass(frozen=True, slots=True)
class ModelShard:
    """Every `of`-th model of a list, from the `index`-th on; they are added to a hub of their own.

    Args:
        index: From 1 to `of`.
        of: How many shards there are.
        out: The folder of the hub that the shard is added to: made, or resumed.

    Raises UsageError for an index that is not among them.

    Example:
        >>> ModelShard.parse("3/64", "part3")
        ModelShard(index=3, of=64, out='part3')
    """

    index: int
    of: int
    out: Path | str

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            raise UsageError(
                f"there is no shard {self.index} of {self.of}; count from 1 to {max(self.of, 1)}, "
                "as in --shard 3/64"
            )

    @classmethod
    def parse(cls, text: str, out: Path | str) -> "ModelShard":
        """The shard of a text like 3/64; raises UsageError for any other."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} is no shard; give INDEX/SHARDS, as in --shard 3/64")
        return cls(int(found[1]), int(found[2]), out)

    def positions(self, models: int) -> range:
        """The places of its models in a list of so many."""
        return range(self.index - 1, models, self.of)


def enter_shard(
    catalogue: Catalog, shard: ModelShard, remote: Sequence[str], scan: FoundModels
) -> None:
    """Records which shard of which list a hub holds.

    Args:
        catalogue: That of the shard's hub, writable.
        shard: The shard.
        remote: What remote sources name; it comes first in the list.
        scan: What was found under paths.

    Raises:
        UsageError: The hub holds another shard, or that of another list, or models of no list.
    """
    names = [*remote, *(source.name for source in scan.models)]
    facts = ShardFacts(
        index=shard.index,
        of=shard.of,
        list_sha256=sha256(canonical_json([*names])).hexdigest(),
        models=len(names),
        files=asdict(scan.files),
        not_read=tuple(item.as_json() for item in scan.not_read),
    )
    known = read_shard(catalogue)
    given = f"shard {facts.index}/{facts.of} of a list of {facts.models:,} models"
    if known is None and catalogue.run("SELECT 1 FROM models LIMIT 1"):
        raise UsageError(f"{shard.out} is a hub of its own and not {given}; choose another --out")
    if known is not None:
        found = f"shard {known.index}/{known.of} of a list of {known.models:,} models"
        if (known.index, known.of) != (facts.index, facts.of):
            raise UsageError(f"{shard.out} holds {found} and not {given}; choose another --out")
        if known.list_sha256 != facts.list_sha256:
            raise UsageError(
                f"{shard.out} holds {found}, and that list has changed: it is now one of "
                f"{facts.models:,} models; choose another --out, for all shards"
            )
    record_shard(catalogue, facts)

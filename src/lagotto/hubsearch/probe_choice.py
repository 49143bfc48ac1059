"""Stage 2a of hub search: which probes a model sees where it does not see all of them.

Every model has an order of its own over all probes, from its behaviour digest, and sees the first
of them: the same model always sees the same, and a larger share contains a smaller one.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
from jaxtyping import Float, Int64

from lagotto.core.errors import UsageError
from lagotto.core.vectors import unit_rows

Choosing: TypeAlias = Literal["random", "spread"]
_NEIGHBOURHOOD = 32


def checked_choosing(name: str) -> Choosing:
    """A way of choosing by its name; raises UsageError for another one."""
    for known in get_args(Choosing):
        if known == name:
            return cast(Choosing, known)
    raise UsageError(f"no way {name!r} of choosing probes; choose {', '.join(get_args(Choosing))}")


def probe_order(
    digest: str, embeddings: Float[np.ndarray, "probes dim"], choosing: Choosing
) -> Int64[np.ndarray, " probes"]:
    """All probes in the order in which a model is to see them.

    `random` is a permutation seeded by the digest. `spread` goes through it, and of every 32
    probes that are next takes the one least like those taken before, so that no two of a model's
    probes show the same where others could be asked.
    """
    permutation = np.random.default_rng(_seed(digest)).permutation(len(embeddings))
    if choosing == "random":
        return permutation.astype(np.int64)
    return _spread(permutation.astype(np.int64), unit_rows(embeddings))


@dataclass(frozen=True, slots=True)
class Share:
    """How many probes a model sees, and which: by its digest and the probes' embeddings.

    Raises UsageError unless 2 <= count <= probes.
    """

    count: int
    embeddings: Float[np.ndarray, "probes dim"]
    choosing: Choosing = "spread"

    def __post_init__(self) -> None:
        probes = len(self.embeddings)
        if not 2 <= self.count <= probes:
            raise UsageError(
                f"{self.count} probes per model were asked for, and there are {probes}; "
                f"give 2 to {probes}"
            )

    def own(self, digest: str) -> Int64[np.ndarray, " seen"]:
        """The probes that a model sees, ascending."""
        return np.sort(probe_order(digest, self.embeddings, self.choosing)[: self.count])

    def more(self, digest: str, seen: Int64[np.ndarray, " before"]) -> Int64[np.ndarray, " seen"]:
        """What a model has seen, and the next of its order up to `count`; never fewer."""
        order = probe_order(digest, self.embeddings, self.choosing)
        fresh = order[~np.isin(order, seen)][: max(0, self.count - len(seen))]
        return np.sort(np.concatenate([seen, fresh]))


def _seed(digest: str) -> int:
    return int.from_bytes(sha256(f"probes of {digest}".encode()).digest()[:8], "little")


def _spread(
    permutation: Int64[np.ndarray, " probes"], unit: Float[np.ndarray, "probes dim"]
) -> Int64[np.ndarray, " probes"]:
    """The permutation with each next probe chosen among the first few that are left."""
    waiting = permutation.tolist()
    nearest = np.full(len(unit), -np.inf)
    order = []
    while waiting:
        few = waiting[:_NEIGHBOURHOOD]
        chosen = few[int(np.argmin(nearest[few]))]
        waiting.remove(chosen)
        order.append(chosen)
        np.maximum(nearest, unit @ unit[chosen], out=nearest)
    return np.array(order, dtype=np.int64)

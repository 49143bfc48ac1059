"""Stage 2a of hub search: which probes a model sees where it does not see all of them.

Every model has an order of its own over all probes, from its behaviour digest, and sees the first
of them: the same model always sees the same, and a larger share contains a smaller one.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
from jaxtyping import Float, Int64

from lagotto.core.errors import UsageError
from lagotto.core.vectors import unit_rows

Choosing: TypeAlias = Literal["random", "spread"]
_NEXT = 32


def checked_choosing(name: str) -> Choosing:
    """A way of choosing by its name; raises UsageError for another one."""
    for known in get_args(Choosing):
        if known == name:
            return cast(Choosing, known)
    raise UsageError(f"no way {name!r} of choosing probes; choose {', '.join(get_args(Choosing))}")


class Share:
    """How many probes a model sees, and which: by its digest and the probes' embeddings."""

    def __init__(
        self,
        count: int,
        embeddings: Float[np.ndarray, "probes dim"],
        choosing: Choosing = "spread",
    ) -> None:
        """Raises UsageError unless 2 <= count <= probes. Holds probes squared numbers (spread)."""
        self._probes = len(embeddings)
        if not 2 <= count <= self._probes:
            raise UsageError(
                f"{count} probes per model were asked for, and there are {self._probes}; "
                f"give 2 to {self._probes}"
            )
        self.count = count
        unit = unit_rows(embeddings) if choosing == "spread" else None
        self._likeness = None if unit is None else unit @ unit.T

    def own(self, digest: str) -> Int64[np.ndarray, " seen"]:
        """The probes that a model sees, ascending."""
        return np.sort(np.fromiter(islice(self._order(digest), self.count), np.int64))

    def more(self, digest: str, seen: Int64[np.ndarray, " before"]) -> Int64[np.ndarray, " seen"]:
        """What a model has seen, and the next of its order up to `count`; never fewer."""
        before = set(seen.tolist())
        fresh = (probe for probe in self._order(digest) if probe not in before)
        missing = max(0, self.count - len(before))
        return np.array(sorted([*before, *islice(fresh, missing)]), dtype=np.int64)

    def _order(self, digest: str) -> Iterator[int]:
        """All probes in the order in which a model is to see them.

        `random` is a permutation seeded by the digest. `spread` goes through it, and of the 32 that
        are next takes the one least like those taken before: no two of a model's probes show the
        same where others could be asked.
        """
        waiting = np.random.default_rng(_seed(digest)).permutation(self._probes).tolist()
        if self._likeness is None:
            yield from waiting
            return
        nearest = np.full(self._probes, -np.inf, dtype=np.float32)
        while waiting:
            few = waiting[:_NEXT]
            chosen = few[int(np.argmin(nearest[few]))]
            waiting.remove(chosen)
            yield chosen
            np.maximum(nearest, self._likeness[chosen], out=nearest)


def _seed(digest: str) -> int:
    return int.from_bytes(sha256(f"probes of {digest}".encode()).digest()[:8], "little")

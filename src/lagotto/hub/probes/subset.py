"""The digest of a model comes in; the share of the probes that it sees goes out.

The digest fixes an order of all probes, and the model sees the first probes of that order. So the
same model always sees the same probes, and a larger share contains a smaller one.
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


def parse_choosing(name: str) -> Choosing:
    """A way of choosing probes by its name; raises UsageError for an unknown name."""
    for known in get_args(Choosing):
        if known == name:
            return cast(Choosing, known)
    raise UsageError(f"no way {name!r} of choosing probes; choose {', '.join(get_args(Choosing))}")


class Share:
    """How many probes a model sees, and which: by its digest and the embeddings of the probes."""

    def __init__(
        self,
        count: int,
        embeddings: Float[np.ndarray, "probes dim"],
        choosing: Choosing = "spread",
    ) -> None:
        """A share of the probes for each model.

        Args:
            count: How many probes a model sees, from 2 to all of them.
            embeddings: Embeddings of the probes.
            choosing: "spread" picks probes that are unlike each other, and holds the similarities
                of all pairs of probes in memory; "random" picks them at random.

        Raises:
            UsageError: `count` is out of range.
        """
        self._probes = len(embeddings)
        if not 2 <= count <= self._probes:
            raise UsageError(
                f"{count} probes per model were asked for, and there are {self._probes}; "
                f"give 2 to {self._probes}"
            )
        self.count = count
        unit = unit_rows(embeddings) if choosing == "spread" else None
        self._similarities = None if unit is None else unit @ unit.T

    def select(self, digest: str) -> Int64[np.ndarray, " seen"]:
        """The indices of the probes that a model sees, ascending."""
        return np.sort(np.fromiter(islice(self._order(digest), self.count), np.int64))

    def extend(
        self, digest: str, earlier: Int64[np.ndarray, " earlier"]
    ) -> Int64[np.ndarray, " seen"]:
        """The probes that a model has seen, and the next of its order up to `count`."""
        before = set(earlier.tolist())
        fresh = (probe for probe in self._order(digest) if probe not in before)
        missing = max(0, self.count - len(before))
        return np.array(sorted([*before, *islice(fresh, missing)]), dtype=np.int64)

    def _order(self, digest: str) -> Iterator[int]:
        """All probes in the order in which a model is to see them.

        "random" is a permutation seeded by the digest. "spread" goes through that permutation: of
        the next 32 probes it takes the one whose highest similarity to those taken before is
        lowest. So a model's probes do not show the same thing twice where there is a choice.
        """
        remaining = np.random.default_rng(_seed(digest)).permutation(self._probes).tolist()
        if self._similarities is None:
            yield from remaining
            return
        highest = np.full(self._probes, -np.inf, dtype=np.float32)
        while remaining:
            window = remaining[:_NEXT]
            probe = window[int(np.argmin(highest[window]))]
            remaining.remove(probe)
            yield probe
            np.maximum(highest, self._similarities[probe], out=highest)


def _seed(digest: str) -> int:
    return int.from_bytes(sha256(f"probes of {digest}".encode()).digest()[:8], "little")

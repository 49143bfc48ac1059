"""Which probes a model sees: its own, always the same, more of them when more are asked for."""

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.hub.probes.subset import Share, checked_choosing
from share_world import CONCEPTS, PROBES, embeddings


@pytest.mark.parametrize("choosing", ["random", "spread"])
def test_a_larger_share_contains_a_smaller_one(choosing: str) -> None:
    shares = [Share(count, embeddings(), checked_choosing(choosing)) for count in (10, 60, PROBES)]
    small, large, whole = (share.own("a model").tolist() for share in shares)
    assert set(small) < set(large)
    assert whole == list(range(PROBES))
    assert small == sorted(set(small))
    assert len(large) == 60
    assert shares[0].own("another").tolist() != small
    assert shares[0].own("a model").tolist() == small


@pytest.mark.parametrize("choosing", ["random", "spread"])
def test_more_goes_on_where_a_model_is(choosing: str) -> None:
    small, large = (Share(count, embeddings(), checked_choosing(choosing)) for count in (10, 30))
    seen = small.own("a model")
    assert large.more("a model", seen).tolist() == large.own("a model").tolist()
    assert small.more("a model", large.own("a model")).tolist() == large.own("a model").tolist()
    other = np.array([0, 1, 2], dtype=np.int64)
    grown = large.more("a model", other)
    assert set(other.tolist()) < set(grown.tolist())
    assert len(grown) == 30


def test_spread_probes_show_more_concepts_than_random_ones() -> None:
    shown = {}
    for choosing in ("random", "spread"):
        share = Share(CONCEPTS, embeddings(), checked_choosing(choosing))
        counts = [len(set((share.own(str(n)) % CONCEPTS).tolist())) for n in range(20)]
        shown[choosing] = np.mean(counts)
    assert shown["spread"] > shown["random"] + 2


def test_nearly_every_probe_is_seen_by_some_model() -> None:
    share = Share(40, embeddings(), "spread")
    seen = np.concatenate([share.own(str(number)) for number in range(60)])
    assert len(np.unique(seen)) >= 0.95 * PROBES


def test_refusals() -> None:
    with pytest.raises(UsageError, match="give 2 to 160"):
        Share(1, embeddings())
    with pytest.raises(UsageError, match="random, spread"):
        checked_choosing("clever")

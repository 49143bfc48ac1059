"""Which probes a model sees: its own, always the same, more of them when more are asked for."""

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.hub.probes.subset import Share, parse_choosing
from share_world import CONCEPTS, PROBES, embeddings


@pytest.mark.parametrize("choosing", ["random", "spread"])
def test_a_larger_share_contains_a_smaller_one(choosing: str) -> None:
    shares = [Share(count, embeddings(), parse_choosing(choosing)) for count in (10, 60, PROBES)]
    small, large, whole = (share.select("a model").tolist() for share in shares)
    assert set(small) < set(large)
    assert whole == list(range(PROBES))
    assert small == sorted(set(small))
    assert len(large) == 60
    assert shares[0].select("another").tolist() != small
    assert shares[0].select("a model").tolist() == small


@pytest.mark.parametrize("choosing", ["random", "spread"])
def test_more_goes_on_where_a_model_is(choosing: str) -> None:
    small, large = (Share(count, embeddings(), parse_choosing(choosing)) for count in (10, 30))
    seen = small.select("a model")
    assert large.extend("a model", seen).tolist() == large.select("a model").tolist()
    assert (
        small.extend("a model", large.select("a model")).tolist()
        == large.select("a model").tolist()
    )
    other = np.array([0, 1, 2], dtype=np.int64)
    grown = large.extend("a model", other)
    assert set(other.tolist()) < set(grown.tolist())
    assert len(grown) == 30


def test_spread_probes_show_more_concepts_than_random_ones() -> None:
    shown = {}
    for choosing in ("random", "spread"):
        share = Share(CONCEPTS, embeddings(), parse_choosing(choosing))
        counts = [len(set((share.select(str(n)) % CONCEPTS).tolist())) for n in range(20)]
        shown[choosing] = np.mean(counts)
    assert shown["spread"] > shown["random"] + 2


def test_nearly_every_probe_is_seen_by_some_model() -> None:
    share = Share(40, embeddings(), "spread")
    seen = np.concatenate([share.select(str(number)) for number in range(60)])
    assert len(np.unique(seen)) >= 0.95 * PROBES


def test_refusals() -> None:
    with pytest.raises(UsageError, match="give 2 to 160"):
        Share(1, embeddings())
    with pytest.raises(UsageError, match="random, spread"):
        parse_choosing("clever")

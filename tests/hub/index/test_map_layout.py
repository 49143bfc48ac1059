"""Places in the plane: logits alike lie together, whatever their number."""

import numpy as np
import pytest

from lagotto.hub.descriptors.blocks import Block
from lagotto.hub.index import map_layout
from lagotto.hub.index.map_layout import lay_out

PROBES = 96
KINDS = 6


def block_of(columns: np.ndarray) -> Block:
    """A block of descriptors, rounded as blocks are; a column of zeros is invalid."""
    steps = (np.abs(columns).max(axis=0) / 127).astype(np.float32)
    values = np.round(columns / np.where(steps > 0, steps, 1)).astype(np.int8)
    width = columns.shape[1]
    moments = np.ones(width)
    return Block(
        (),
        values,
        steps,
        moments,
        moments,
        np.zeros((width, 0), np.int8),
        np.zeros((width, 0), np.int8),
        steps,
        "ab" * 32,
    )


def world(each: int, seed: int = 0) -> tuple[list[Block], np.ndarray]:
    """`each` noisy copies of KINDS descriptors in two blocks, mixed, and the kind of each."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.repeat(np.arange(KINDS), each))
    centres = rng.normal(size=(PROBES, KINDS))
    columns = centres[:, kinds] + 0.3 * rng.normal(size=(PROBES, len(kinds)))
    half = len(kinds) // 2
    return [block_of(columns[:, :half]), block_of(columns[:, half:])], kinds


def share_of_neighbours(places: np.ndarray, kinds: np.ndarray) -> float:
    """How often the nearest in the plane is of the same kind."""
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return float((kinds[gaps.argmin(axis=1)] == kinds).mean())


def test_logits_alike_lie_together() -> None:
    blocks, kinds = world(20)
    places = lay_out(blocks)

    assert places.shape == (len(kinds), 2)
    assert places.min() == 0
    assert places.max() == 1
    assert share_of_neighbours(places, kinds) > 0.95


def test_the_same_blocks_give_the_same_places() -> None:
    blocks, _ = world(8)

    assert np.array_equal(lay_out(blocks), lay_out(blocks))


def test_logits_beyond_those_that_are_moved_lie_among_their_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(map_layout, "LAID_OUT", 60)
    blocks, kinds = world(50)
    places = lay_out(blocks)

    assert np.isfinite(places).all()
    assert share_of_neighbours(places, kinds) > 0.95


def test_a_logit_that_is_not_searched_has_no_place() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(PROBES, 12))
    columns[:, 4] = 0
    places = lay_out([block_of(columns)])

    assert np.isnan(places[4]).all()
    assert np.isfinite(np.delete(places, 4, axis=0)).all()


@pytest.mark.parametrize("logits", [0, 1, 2, 3])
def test_few_logits_have_places(logits: int) -> None:
    columns = np.random.default_rng(0).normal(size=(PROBES, logits))
    places = lay_out([block_of(columns)] if logits else [])

    assert places.shape == (logits, 2)
    assert ((places >= 0) & (places <= 1)).all()

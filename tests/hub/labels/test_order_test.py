"""Orders of labels: the moments are those of all permutations, and planted mistakes are found."""

from itertools import permutations

import numpy as np
import pytest

from lagotto.hub.labels import order_test as label_order
from lagotto.hub.labels.order_test import (
    common_mistakes,
    shift_evidence,
    weigh_orders,
)

LABELS = ["kite", "Ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "Lynx"]


def likeness(vectors: np.ndarray) -> np.ndarray:
    return np.corrcoef(vectors)


def world(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits and likenesses of labels that are in the order of the outputs."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(count, 8))
    texts = likeness(meaning + 0.5 * rng.normal(size=meaning.shape))
    outputs = likeness(meaning + 0.5 * rng.normal(size=meaning.shape))
    return 3 * np.eye(count) + rng.normal(size=(count, count)), texts, outputs


@pytest.mark.parametrize("seed", range(3))
def test_spreads_are_those_of_all_orders(seed: int) -> None:
    fits, texts, outputs = world(seed, 6)
    centred = label_order._centred(fits)
    alike, behave = label_order._off_diagonal(texts), label_order._off_diagonal(outputs)
    direct, kinship = [], []
    for order in permutations(range(6)):
        direct.append(centred[list(order), range(6)].sum())
        kinship.append((alike[np.ix_(order, order)] * behave).sum())
    assert np.mean(direct) == pytest.approx(0, abs=1e-9)
    assert np.mean(kinship) == pytest.approx(0, abs=1e-9)
    assert label_order._direct_spread(centred) == pytest.approx(np.std(direct))
    assert label_order._kinship_spread(alike, behave) == pytest.approx(np.std(kinship))


def test_kinship_of_every_shift_is_the_plain_sum() -> None:
    _, texts, outputs = world(1, 9)
    found = label_order._kinship_by_shift(texts, outputs)
    for shift in range(9):
        order = (np.arange(9) - shift) % 9
        assert found[shift] == pytest.approx((texts[np.ix_(order, order)] * outputs).sum())


def test_the_published_order_comes_first_and_stands_out() -> None:
    found = weigh_orders(*world(0, 12), LABELS)
    assert found[0].name == "as published"
    assert found[0].order.tolist() == list(range(12))
    assert found[0].direct > 4
    assert found[0].kinship > 2
    assert max(found, key=lambda each: each.together) is found[0]


@pytest.mark.parametrize(("moved", "name"), [(1, "-1"), (-1, "+1"), (5, "-5")])
def test_a_shifted_list_is_told_with_its_shift(moved: int, name: str) -> None:
    fits, texts, outputs = world(0, 12)
    wrong = np.roll(np.arange(12), moved)
    found = weigh_orders(
        fits[wrong], texts[np.ix_(wrong, wrong)], outputs, [LABELS[i] for i in wrong]
    )
    best = max(found, key=lambda each: each.together)
    assert best.name == f"shifted by {name}"
    assert wrong[best.order].tolist() == list(range(12))


@pytest.mark.parametrize("kind", ["reversed", "numbers sorted as text (0, 1, 10, 11, 2 ...)"])
def test_a_usual_mistake_is_undone(kind: str) -> None:
    fits, texts, outputs = world(2, 12)
    wrong = np.argsort(dict(common_mistakes(LABELS))[kind])
    found = weigh_orders(
        fits[wrong], texts[np.ix_(wrong, wrong)], outputs, [LABELS[i] for i in wrong]
    )
    best = max(found, key=lambda each: each.together)
    assert best.name == kind
    assert wrong[best.order].tolist() == list(range(12))


def test_common_mistakes_are_permutations_each_once() -> None:
    found = list(common_mistakes(LABELS))
    assert len({tuple(order.tolist()) for _, order in found}) == len(found)
    for _, order in found:
        assert sorted(order.tolist()) == list(range(12))
    assert [LABELS[i] for i in dict(found)["sorted by name"]][:2] == ["Ant", "Lynx"]
    assert list(common_mistakes(["a", "b"])) == [("reversed", pytest.approx([1, 0]))]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_lists_have_finite_evidence(count: int) -> None:
    fits, texts, outputs = world(0, count) if count > 1 else (np.ones((1, 1)),) * 3
    for each in weigh_orders(fits, texts, outputs, LABELS[:count]):
        assert np.isfinite(each.together)


def test_a_list_without_its_first_output_is_told() -> None:
    fits, _, _ = world(0, 12)
    along = shift_evidence(fits[1:])
    assert max(along, key=lambda passed: along[passed]) == 1
    along = shift_evidence(fits[:, 1:])
    assert max(along, key=lambda passed: along[passed]) == -1

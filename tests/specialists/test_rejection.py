"""What models of a hub say against all labels at once."""

import numpy as np
import pytest

from lagotto.specialists.likelihood import OutputVotes, VoteFit
from lagotto.specialists.matching import Match
from lagotto.specialists.rejection import judge_with_models
from lagotto.specialists.selection import Selection
from lagotto.zeroshot.types import Prediction, Suggestion

NAMES: dict[str, tuple[str | None, ...]] = {"model": ("cat", "dog", "car", "boat")}


def match(outputs: list[int], weight: float = 0.9) -> Match:
    votes = OutputVotes(np.array(outputs, np.int64), np.zeros((3, 2)), np.full(2, 0.5))
    none = np.zeros(2)
    fit = VoteFit(votes, weight, 1.0, 0.0)
    return Match("model", fit, True, 0.5, 0.5, none, none, (), 1.0)


def judge(
    outputs: list[int],
    logits: list[list[float]],
    reject: float | None = None,
    names: dict[str, tuple[str | None, ...]] = NAMES,
) -> list[Prediction]:
    half = np.full(2, 0.5)
    instead = tuple(Suggestion(f"word {i}", 0.1) for i in range(5))
    rows = [
        Prediction("", half, half, (1.0, 0.0), (), none=0.5, suggestions=instead) for _ in logits
    ]
    selection = Selection((match(outputs),), 1.0)
    values = {"model": np.array(logits, np.float64)}
    return judge_with_models(rows, selection, values, names, reject)


def test_a_model_that_knows_more_than_the_labels_moves_none_both_ways() -> None:
    inside, outside = judge([0, 1], [[9, 0, 0, 0], [0, 0, 0, 9]], reject=0.6)
    assert inside.none < 0.2
    assert outside.none > 0.8
    assert not inside.rejected
    assert outside.rejected
    quoted = outside.suggestions[0]
    assert quoted == Suggestion("boat", quoted.probability, 0, "model")
    assert quoted.probability == pytest.approx(1, abs=0.01)
    assert len(outside.suggestions) == 5
    assert outside.none_remark.endswith("model says boat")
    assert [each.model for each in inside.suggestions] == [""] * 5


def test_a_model_that_misses_a_label_or_knows_nothing_else_says_nothing() -> None:
    assert [row.none for row in judge([0, -1], [[0, 0, 0, 9]])] == [0.5]
    assert [row.none for row in judge([0, 1], [[9.0, 0.0]])] == [0.5]


def test_outputs_without_a_name_are_not_quoted() -> None:
    rows = judge([0, 1], [[0, 0, 0, 9]], names={})
    assert not any(each.model for each in rows[0].suggestions)

"""Concepts joined by operators: what is read, what is refused, and that scores follow logic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.hub.query.boolean import (
    Junction,
    Negation,
    Term,
    join_scores,
    parse_concepts,
)

A, B, C = Term(0), Term(1), Term(2)


@pytest.mark.parametrize(
    ("text", "concepts", "expression"),
    [
        ("golden retriever", ("golden retriever",), A),
        ("black and white (cat)", ("black and white (cat)",), A),
        ("dog AND NOT wolf", ("dog", "wolf"), Junction(True, (A, Negation(B)))),
        ("a OR b AND c", ("a", "b", "c"), Junction(False, (A, Junction(True, (B, C))))),
        ("(a OR b) AND c", ("a", "b", "c"), Junction(True, (Junction(False, (A, B)), C))),
        ("NOT NOT a", ("a",), Negation(Negation(A))),
        ("a OR a", ("a",), Junction(False, (A, A))),
        ("ANDROID OR b", ("ANDROID", "b"), Junction(False, (A, B))),
    ],
)
def test_what_a_text_says(text: str, concepts: tuple[str, ...], expression: object) -> None:
    parsed = parse_concepts(text)
    assert (parsed.concepts, parsed.expression) == (concepts, expression)


@pytest.mark.parametrize(
    "text",
    ["AND", "a AND", "OR b", "NOT", "(a OR b", "a OR b)", "a NOT b", "( ) OR a", "a OR OR b"],
)
def test_what_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="for example: dog AND NOT wolf"):
        parse_concepts(text)


SCORES = st.floats(-300, 300)


@given(SCORES, SCORES, st.floats(-5, 5))
def test_scores_follow_logic(a: float, b: float, threshold: float) -> None:
    scores = np.array([[a], [b]])

    def score(expression: object) -> float:
        return float(join_scores(expression, scores, threshold)[0])  # type: ignore[arg-type]

    near = pytest.approx
    assert score(A) == near(a, abs=1e-9)
    assert score(Negation(A)) == near(2 * threshold - a, abs=1e-6)
    every, either = score(Junction(True, (A, B))), score(Junction(False, (A, B)))
    assert every <= min(a, b) + 1e-6
    assert either >= max(a, b) - 1e-6
    assert every == near(score(Junction(True, (B, A))), abs=1e-6)
    dual = score(Negation(Junction(False, (Negation(A), Negation(B)))))
    assert every == near(dual, abs=1e-6)


def test_joined_scores_are_those_of_probabilities() -> None:
    probabilities = np.array([[0.9, 0.2, 0.5], [0.6, 0.7, 0.5]])
    scores = np.log(probabilities / (1 - probabilities)) + 3
    joined = join_scores(Junction(True, (A, Negation(B))), scores, 3.0)
    expected = probabilities[0] * (1 - probabilities[1])
    np.testing.assert_allclose(1 / (1 + np.exp(3 - joined)), expected, rtol=1e-9)

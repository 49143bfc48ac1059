"""Truth files and the accuracy of rankings."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.evaluation.retrieval.truth import (
    Accuracy,
    TruthQuery,
    accuracy,
    read_truth,
)


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_truth_file_is_read(tmp_path: Path) -> None:
    entry = {"text": "dog", "kind": "imagenet", "relevant": [["m", 1]], "acceptable": [["n", 0]]}
    (query,) = read_truth(write(tmp_path / "t.json", {"queries": [entry]}))
    assert query == TruthQuery("dog", "imagenet", frozenset({("m", 1)}), frozenset({("n", 0)}))
    assert query.correct == {("m", 1), ("n", 0)}
    (bare,) = read_truth(write(tmp_path / "t.json", {"queries": [{"text": "dog"}]}))
    assert (bare.kind, bare.correct) == ("", frozenset())


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"queries": []},
        {"queries": {}},
        {"queries": [1]},
        {"queries": [{"kind": "x"}]},
        {"queries": [{"text": 3}]},
        {"queries": [{"text": "a", "relevant": "m:1"}]},
        {"queries": [{"text": "a", "relevant": [["m"]]}]},
        {"queries": [{"text": "a", "relevant": [["m", "1"]]}]},
        {"queries": [{"text": "a", "acceptable": [[1, "m"]]}]},
    ],
)
def test_another_form_is_refused_by_name(tmp_path: Path, content: object) -> None:
    with pytest.raises(UsageError, match=r"t\.json") as raised:
        read_truth(write(tmp_path / "t.json", content))
    assert "\n" not in str(raised.value)


def test_a_missing_truth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.json"):
        read_truth(tmp_path / "nowhere.json")


def test_accuracy_counts_the_first_and_the_first_five() -> None:
    a, b = ("m", 0), ("m", 1)
    ranked = [[a, b], [b, a], [b] * 5 + [a], []]
    assert accuracy(ranked, [frozenset({a})] * 4) == Accuracy(4, 0.25, 0.5)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 8).map(lambda i: ("m", i)), max_size=9),
            st.frozensets(st.integers(0, 8).map(lambda i: ("m", i))),
        ),
        min_size=1,
    )
)
def test_accuracy_is_a_share_and_top_five_holds_top_one(
    cases: list[tuple[list[tuple[str, int]], frozenset[tuple[str, int]]]],
) -> None:
    found = accuracy([ranked for ranked, _ in cases], [correct for _, correct in cases])
    expected = sum(bool(set(ranked[:5]) & correct) for ranked, correct in cases) / len(cases)
    assert 0 <= found.top1 <= found.top5 == pytest.approx(expected)


def test_rankings_and_answers_must_be_as_many() -> None:
    for ranked, correct in (([], []), ([[]], [])):
        with pytest.raises(UsageError, match="need one each"):
            accuracy(ranked, correct)

"""Keyword search, the baseline that reads names."""

import numpy as np

from lagotto.evaluation.retrieval.keyword import KeywordIndex
from retrieval_makers import table

MADE = table(
    (2, 2, 1),
    ["tench, Tinca tinca", "golden_retriever", "labrador retriever", None, "retriever"],
)


def test_the_same_words_score_one_and_no_shared_word_is_no_answer() -> None:
    exact, part, none = KeywordIndex(MADE).scores(["Tinca TINCA", "golden", "violin"])
    assert exact[0] == 1
    assert np.isneginf(exact[1:]).all()
    assert part.argmax() == 1
    assert 0 < part[1] < 1
    assert np.isneginf(none).all()


def test_plurals_and_camel_case_are_the_same_words() -> None:
    (found,) = KeywordIndex(MADE).scores(["GoldenRetrievers"])
    assert found.argmax() == 1
    assert found[1] == 1


def test_the_shortest_label_with_the_word_is_first_and_a_rare_word_counts_more() -> None:
    (common,) = KeywordIndex(MADE).scores(["retriever"])
    assert common.argmax() == 4
    (rare,) = KeywordIndex(MADE).scores(["labrador retriever dog"])
    assert np.argsort(-rare)[:2].tolist() == [2, 4]


def test_a_models_name_speaks_for_all_its_outputs_but_less() -> None:
    (found,) = KeywordIndex(MADE).scores(["m1"])
    assert np.flatnonzero(found > 0).tolist() == [2, 3]
    assert found.max() == 0.5

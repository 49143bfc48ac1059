"""What is asked: the names in labels, and a truth against the logits that there are."""

from dataclasses import replace

import numpy as np
import pytest

from colour_world import NAMES, World, planted
from lagotto.core.errors import MismatchError, UsageError
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.logit_table import hub_table
from lagotto.evaluation.retrieval.queries import (
    label_truth,
    logit_questions,
    names_of,
    text_questions,
)
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.hub import Hub
from retrieval_makers import table


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("Tench, Tinca_tinca , tench", ("tench", "tinca tinca")),
        ("iPod", ("ipod",)),
        ("LABEL_7", ()),
        ("class 3", ()),
        ("12", ()),
        ("", ()),
        (None, ()),
        ("7 spot ladybird", ("7 spot ladybird",)),
        ("output, sink", ("sink",)),
    ],
)
def test_the_names_in_a_label(label: str | None, names: tuple[str, ...]) -> None:
    assert names_of(label) == names


def test_the_labels_of_a_hub_are_a_truth(world: World) -> None:
    made = hub_table(Hub.open(world.hub))
    known = {query.text: query for query in label_truth(made)}
    assert set(known) == set(NAMES)
    for name, query in known.items():
        labelled = {pair for pair in planted(name) if pair[0] != "nameless"}
        assert (query.kind, query.relevant) == ("label", labelled)


def test_logits_ask_for_their_namesakes_in_other_models() -> None:
    made = table((2, 2, 1), ["dog, hound", "cat", "Hound", "hound", "bird"])
    asked = logit_questions(made)
    assert asked is not None
    assert asked.names == ("m0:0", "m1:0", "m1:1")
    assert [columns.tolist() for columns in asked.correct] == [[2, 3], [0], [0]]
    np.testing.assert_array_equal(asked.values, made.descriptors[:, [0, 2, 3]].T)
    assert not asked.are_texts
    np.testing.assert_array_equal(asked.raw, made.raw[:, [0, 2, 3]].T)
    assert logit_questions(table((2, 1), ["a", "b", "c"])) is None
    assert logit_questions(table((1, 1), ["LABEL_0", "LABEL_0"])) is None


def test_logits_of_another_hub_ask_of_all_models() -> None:
    made = table((2, 1), ["dog", "cat", "dog"])
    other = replace(table((2,), ["bird", "dog"], seed=5), space=made.space)
    asked = logit_questions(made, other)
    assert asked is not None
    assert (asked.names, asked.asking.tolist()) == (("m0:1",), [-1])
    assert asked.correct[0].tolist() == [0, 2]
    assert not asked.are_texts
    np.testing.assert_array_equal(asked.values[0], other.descriptors[:, 1])
    with pytest.raises(MismatchError, match="12 other probes than the 12 here"):
        logit_questions(made, table((2,), ["bird", "dog"], seed=5))


def test_a_truth_is_asked_by_kind_of_the_logits_that_there_are(world: World) -> None:
    made = hub_table(Hub.open(world.hub))
    encoder = load_encoder(str(world.encoder))
    truth = [
        TruthQuery("red", "warm", frozenset({("plain", 0), ("gone", 3)})),
        TruthQuery("blue", "cold", frozenset(), frozenset({("symmetric", 0)})),
        TruthQuery("red", "", frozenset({("symmetric", 1)})),
        TruthQuery("dog", "warm", frozenset({("gone", 1)})),
        TruthQuery("cat", "warm", frozenset()),
    ]
    found = text_questions(made, truth, encoder)
    assert found.left_out == 2
    assert [(asked.kind, asked.names) for asked in found.questions] == [
        ("cold", ("blue",)),
        ("text", ("red",)),
        ("warm", ("red",)),
    ]
    (warm,) = found.questions[2].correct
    assert [made.name(column) for column in warm.tolist()] == [("plain", 0)]
    assert found.questions[1].are_texts
    np.testing.assert_allclose(
        found.questions[2].values[0],
        made.embeddings @ encoder.embed_texts(["a photo of a red."])[0],
        rtol=1e-5,
    )


def test_a_truth_of_other_models_or_another_encoder_is_refused(world: World) -> None:
    encoder = load_encoder(str(world.encoder))
    made = hub_table(Hub.open(world.hub))
    with pytest.raises(UsageError, match="none of the 1 queries"):
        text_questions(made, [TruthQuery("red", "", frozenset({("gone", 0)}))], encoder)
    for taken in ("logit", "all"):
        with pytest.raises(UsageError, match=f"kind '{taken}'"):
            text_questions(made, [TruthQuery("red", taken, planted("red"))], encoder)


def test_questions_can_be_taken_and_sampled() -> None:
    asked = logit_questions(table((3, 3), ["a", "b", "c", "c", "b", "a"]))
    assert asked is not None
    assert asked.take([4, 0]).names == ("m1:1", "m0:0")
    assert asked.take([4, 0]).asking.tolist() == [4, 0]
    few = asked.sample(3, seed=1)
    assert len(few) == 3
    assert list(few.names) == sorted(few.names)
    assert few.sample(3, seed=2) is few
    assert few.names == asked.sample(3, seed=1).names

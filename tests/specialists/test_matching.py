"""Which output is which label: planted, hidden among others, misnamed, not there at all."""

from dataclasses import replace

import numpy as np
import pytest

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists import selection as choosing
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.matching import WHOLE_AGREES, Match, SpecialistCandidate, match, match_all
from lagotto.specialists.probe_evidence import (
    Behaviour,
    View,
    excess,
)
from lagotto.specialists.selection import (
    COPIES,
    apart,
    choose,
)
from specialist_world import LABELS, Scene

ORDER = (3, 0, 5, 1, 4, 2)
NAMES = tuple(LABELS[label] for label in ORDER)


def found(scene: Scene, *candidates: SpecialistCandidate) -> list[Match]:
    return match_all(list(candidates), scene.seen)


def only(scene: Scene, candidate: SpecialistCandidate) -> Match:
    (one,) = found(scene, candidate)
    return one


@pytest.mark.parametrize("more", [0, 1, 40])
@pytest.mark.parametrize("seed", range(3))
def test_outputs_are_found_by_behaviour(seed: int, more: int) -> None:
    scene = Scene(seed)
    one = only(scene, scene.specialist(knows=ORDER, more=more))
    assert one.whole
    assert one.fit.votes.outputs.tolist() == list(np.argsort(ORDER))
    assert one.named == ()
    assert np.isnan(one.names_agree)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("outputs", [2, 6, 60])
def test_a_stranger_is_declined(seed: int, outputs: int) -> None:
    scene = Scene(seed)
    assert not [m for m in found(scene, scene.stranger(outputs=outputs)) if m.whole]


def test_right_names_are_believed_and_wrong_ones_are_not() -> None:
    scene = Scene()
    right = only(scene, scene.specialist(knows=ORDER, names=NAMES))
    assert right.named == tuple(range(len(LABELS)))
    assert right.names_agree > 0.9
    for wrong in ((*NAMES[1:], NAMES[0]), NAMES[::-1]):
        one = only(scene, scene.specialist(knows=ORDER, names=wrong))
        assert one.named == ()
        assert one.names_agree < 0.5
        assert one.fit.votes.outputs.tolist() == list(np.argsort(ORDER))


def test_a_right_list_among_wrong_ones_is_not_believed_either() -> None:
    scene = Scene()
    shifted = (*NAMES[1:], NAMES[0])
    lists = [NAMES, shifted, shifted]
    three = found(
        scene,
        *(scene.specialist(f"m{i}", knows=ORDER, names=names) for i, names in enumerate(lists)),
    )
    assert [each.named for each in three] == [(), (), ()]


def test_a_model_of_some_labels_is_told_from_one_of_all() -> None:
    scene = Scene(clear=3.0)
    one = only(scene, scene.specialist(knows=(1, 4), more=30))
    assert not one.whole
    assert one.fit.votes.outputs.tolist() == [-1, 0, -1, -1, 1, -1]
    assert np.isnan(one.agreement[0])
    assert one.agreement[1] > 0.25
    assert one.on_probes[4] > 0.2


def test_labels_and_outputs_may_be_listed_in_any_order() -> None:
    scene = Scene()
    model = scene.specialist(knows=ORDER)
    turned = scene.candidate("turned", model.logits[:, ::-1], model.behaviour.responses[:, ::-1])
    plain = match(model, scene.seen)
    other = match(turned, scene.seen)
    assert plain is not None
    assert other is not None
    assert other.fit.nats == pytest.approx(plain.fit.nats)
    assert other.fit.votes.outputs.tolist() == (5 - plain.fit.votes.outputs).tolist()


# ------------------------------------------------------------------------------------- choosing


def chosen(scene: Scene, candidates: list[SpecialistCandidate], most: int = 3) -> list[str]:
    matches = found(scene, *candidates)
    choice = choose(matches, {each.model: each for each in candidates}, scene.seen, most)
    return [each.model for each in choice.matches]


def test_the_better_model_is_asked_first_and_no_more_than_allowed() -> None:
    scene = Scene()
    models = [
        scene.specialist("fair", knows=ORDER, strength=3.5),
        scene.specialist("good"),
        scene.stranger(),
    ]
    assert chosen(scene, models) == ["good", "fair"]
    assert chosen(scene, models, 1) == ["good"]


def test_a_copy_is_not_asked_again() -> None:
    scene = Scene()
    good = scene.specialist("good")
    order = np.array([2, 4, 0, 1, 5, 3])
    copy = scene.candidate("copy", good.logits[:, order], good.behaviour.responses[:, order])
    assert len(chosen(scene, [good, copy])) == 1


def test_a_copy_is_known_however_its_outputs_are_given_to_labels() -> None:
    """Once its original was chosen, a copy's outputs are matched anew, beside what that one said:
    with many outputs others may then fit as well, and its votes are no longer the same."""
    scene = Scene(clear=1.0)
    good = scene.specialist("good", more=60)
    order = np.random.default_rng(0).permutation(66)
    logits = good.logits[:, order]
    copy = scene.candidate("copy", logits, good.behaviour.responses[:, order])
    assert apart(softmax(good.logits), softmax(logits)) < 1e-9
    near = scene.specialist("near", more=60)
    assert apart(softmax(good.logits), softmax(near.logits)) > COPIES
    first, again = (only(scene, each) for each in (good, copy))
    turned = replace(again.fit.votes, outputs=np.roll(again.fit.votes.outputs, 1))
    other = replace(again, fit=replace(again.fit, votes=turned))
    shares = {"good": softmax(good.logits), "copy": softmax(logits)}
    assert choosing._same(first, shares, other)


def test_what_chance_explains_is_no_evidence() -> None:
    """A stranger of many outputs, of few pictures with many labels, explains much by its choice."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(120, 60))
    answers, responses = 3 * rng.normal(size=(120, 90)), rng.normal(size=(50, 90))
    outputs = best_assignment(excess(softmax(View.of(logits).logits), softmax(answers)))
    fit = fit_votes(View.of(logits).logits, softmax(answers), outputs)
    assert fit.nats / (120 * information(softmax(logits))) > WHOLE_AGREES
    behaviour = Behaviour.of(responses.astype(np.float32), View.of(rng.normal(size=(50, 60))))
    strange = SpecialistCandidate("strange", answers, behaviour, np.full(60, -1))
    found = match(strange, View.of(logits))
    assert found is None or not found.whole


def test_a_model_that_saw_some_probes_is_judged_on_those() -> None:
    """Its answers to others would have to be made up, which weakens what it knows."""
    scene = Scene(clear=3.0)
    full = scene.specialist(knows=(1, 4), more=30)
    probes = np.arange(0, 200, 3)
    responses = full.behaviour.responses
    part = scene.candidate("part", full.logits, responses[probes], probes=probes)
    filled = np.tile(responses[probes].mean(axis=0), (200, 1))
    filled[probes] = responses[probes]
    there = only(scene, part).on_probes[[1, 4]]
    assert there == pytest.approx(only(scene, full).on_probes[[1, 4]], abs=0.15)
    made_up = only(scene, scene.candidate("filled", full.logits, filled)).on_probes[[1, 4]]
    assert not (made_up > there - 0.05).any()  # nan where the label is no longer found


def test_models_of_some_labels_each_bring_a_new_one() -> None:
    scene = Scene(clear=3.0)
    models = [
        scene.specialist("two", knows=(1, 4), more=20),
        scene.specialist("same", knows=(4,), more=20),
        scene.specialist("other", knows=(0,), more=20),
    ]
    assert sorted(chosen(scene, models)) == ["other", "two"]


def test_nothing_is_chosen_of_nothing() -> None:
    scene = Scene()
    assert choose([], {}, scene.seen, 3).matches == ()

"""Matching of outputs with labels: planted, among other outputs, misnamed, and absent ones."""

from dataclasses import replace

import numpy as np
import pytest

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists import selection as selection_module
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.matching import (
    MIN_INFORMATION,
    Match,
    SpecialistCandidate,
    match,
    match_all,
)
from lagotto.specialists.probe_evidence import (
    EncoderView,
    ProbeEvidence,
    first_order_gain,
)
from lagotto.specialists.selection import (
    COPY_DISTANCE,
    select_models,
    similarity_distance,
)
from specialist_world import LABELS, Scene

ORDER = (3, 0, 5, 1, 4, 2)
NAMES = tuple(LABELS[label] for label in ORDER)


def match_some(scene: Scene, *candidates: SpecialistCandidate) -> list[Match]:
    return match_all(list(candidates), scene.view)


def match_one(scene: Scene, candidate: SpecialistCandidate) -> Match:
    (one,) = match_some(scene, candidate)
    return one


@pytest.mark.parametrize("more", [0, 1, 40])
@pytest.mark.parametrize("seed", range(3))
def test_outputs_are_found_by_behaviour(seed: int, more: int) -> None:
    scene = Scene(seed)
    one = match_one(scene, scene.specialist(knows=ORDER, more=more))
    assert one.covers_all_labels
    assert one.fit.votes.outputs.tolist() == list(np.argsort(ORDER))
    assert one.named_labels == ()
    assert np.isnan(one.name_agreement)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("outputs", [2, 6, 60])
def test_a_stranger_is_declined(seed: int, outputs: int) -> None:
    scene = Scene(seed)
    assert not [
        m for m in match_some(scene, scene.stranger(outputs=outputs)) if m.covers_all_labels
    ]


def test_right_names_are_believed_and_wrong_ones_are_not() -> None:
    scene = Scene()
    right = match_one(scene, scene.specialist(knows=ORDER, names=NAMES))
    assert right.named_labels == tuple(range(len(LABELS)))
    assert right.name_agreement > 0.9
    for wrong in ((*NAMES[1:], NAMES[0]), NAMES[::-1]):
        one = match_one(scene, scene.specialist(knows=ORDER, names=wrong))
        assert one.named_labels == ()
        assert one.name_agreement < 0.5
        assert one.fit.votes.outputs.tolist() == list(np.argsort(ORDER))


def test_a_right_list_among_wrong_ones_is_not_believed_either() -> None:
    scene = Scene()
    shifted = (*NAMES[1:], NAMES[0])
    lists = [NAMES, shifted, shifted]
    three = match_some(
        scene,
        *(scene.specialist(f"m{i}", knows=ORDER, names=names) for i, names in enumerate(lists)),
    )
    assert [each.named_labels for each in three] == [(), (), ()]


def test_borrowed_names_do_not_outvote_the_lists_that_are_published() -> None:
    """Models without labels have those of their twins, so one list would be counted many times."""
    scene = Scene()
    shifted = (*NAMES[1:], NAMES[0])
    first = scene.specialist("own", knows=ORDER, names=NAMES)
    others = [scene.specialist(f"m{i}", knows=ORDER, names=shifted) for i in range(2)]
    borrowing = [replace(each, borrowed=True) for each in others]
    everything = tuple(range(len(LABELS)))
    named = [each.named_labels for each in match_some(scene, first, *borrowing)]
    assert named == [everything, (), ()]
    right = scene.specialist("lent", knows=ORDER, names=NAMES)
    lent = [replace(right, borrowed=True), *borrowing]
    assert [each.named_labels for each in match_some(scene, *lent)] == [(), (), ()]
    alone = match_some(scene, replace(right, borrowed=True))
    assert [each.named_labels for each in alone] == [everything]


def test_a_model_of_some_labels_is_told_from_one_of_all() -> None:
    scene = Scene(clear=3.0)
    one = match_one(scene, scene.specialist(knows=(1, 4), more=30))
    assert not one.covers_all_labels
    assert one.fit.votes.outputs.tolist() == [-1, 0, -1, -1, 1, -1]
    assert np.isnan(one.agreement[0])
    assert one.agreement[1] > 0.25
    assert one.probe_correlation[4] > 0.2


def test_labels_and_outputs_may_be_listed_in_any_order() -> None:
    scene = Scene()
    model = scene.specialist(knows=ORDER)
    reversed_model = scene.candidate(
        "turned", model.logits[:, ::-1], model.probe_evidence.responses[:, ::-1]
    )
    plain = match(model, scene.view)
    other = match(reversed_model, scene.view)
    assert plain is not None
    assert other is not None
    assert other.fit.log_likelihood_gain == pytest.approx(plain.fit.log_likelihood_gain)
    assert other.fit.votes.outputs.tolist() == (5 - plain.fit.votes.outputs).tolist()


# ------------------------------------------------------------------------------------- selection


def selected_names(
    scene: Scene, candidates: list[SpecialistCandidate], max_models: int = 3
) -> list[str]:
    matches = match_some(scene, *candidates)
    selection = select_models(
        matches, {each.model: each for each in candidates}, scene.view, max_models
    )
    return [each.model for each in selection.matches]


def test_the_better_model_is_asked_first_and_no_more_than_allowed() -> None:
    scene = Scene()
    models = [
        scene.specialist("fair", knows=ORDER, strength=3.5),
        scene.specialist("good"),
        scene.stranger(),
    ]
    assert selected_names(scene, models) == ["good", "fair"]
    assert selected_names(scene, models, 1) == ["good"]


def test_a_copy_is_not_asked_again() -> None:
    scene = Scene()
    good = scene.specialist("good")
    order = np.array([2, 4, 0, 1, 5, 3])
    copy = scene.candidate("copy", good.logits[:, order], good.probe_evidence.responses[:, order])
    assert len(selected_names(scene, [good, copy])) == 1


def test_a_copy_is_known_however_its_outputs_are_given_to_labels() -> None:
    """Once the original is selected, the outputs of a copy are matched again, to the joint
    probabilities. With many outputs others may fit as well, so that its votes differ."""
    scene = Scene(clear=1.0)
    good = scene.specialist("good", more=60)
    order = np.random.default_rng(0).permutation(66)
    logits = good.logits[:, order]
    copy = scene.candidate("copy", logits, good.probe_evidence.responses[:, order])
    assert similarity_distance(softmax(good.logits), softmax(logits)) < 1e-9
    near = scene.specialist("near", more=60)
    assert similarity_distance(softmax(good.logits), softmax(near.logits)) > COPY_DISTANCE
    first, again = (match_one(scene, each) for each in (good, copy))
    reversed_model = replace(again.fit.votes, outputs=np.roll(again.fit.votes.outputs, 1))
    other = replace(again, fit=replace(again.fit, votes=reversed_model))
    shares = {"good": softmax(good.logits), "copy": softmax(logits)}
    assert selection_module._is_duplicate(first, shares, other)


def test_what_chance_explains_is_no_evidence() -> None:
    """On few pictures with many labels, an unrelated model with many outputs explains much."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(120, 60))
    answers, responses = 3 * rng.normal(size=(120, 90)), rng.normal(size=(50, 90))
    outputs = best_assignment(
        first_order_gain(softmax(EncoderView.of(logits).logits), softmax(answers))
    )
    fit = fit_votes(EncoderView.of(logits).logits, softmax(answers), outputs)
    assert fit.log_likelihood_gain / (120 * information(softmax(logits))) > MIN_INFORMATION
    evidence = ProbeEvidence.of(
        responses.astype(np.float32), EncoderView.of(rng.normal(size=(50, 60)))
    )
    strange = SpecialistCandidate("strange", answers, evidence, np.full(60, -1))
    match_some = match(strange, EncoderView.of(logits))
    assert match_some is None or not match_some.covers_all_labels


def test_a_model_that_saw_some_probes_is_judged_on_those() -> None:
    """Completed responses to the other probes are no evidence: they weaken the correlations."""
    scene = Scene(clear=3.0)
    full = scene.specialist(knows=(1, 4), more=30)
    probes = np.arange(0, 200, 3)
    responses = full.probe_evidence.responses
    part = scene.candidate("part", full.logits, responses[probes], probes=probes)
    filled = np.tile(responses[probes].mean(axis=0), (200, 1))
    filled[probes] = responses[probes]
    expected = match_one(scene, part).probe_correlation[[1, 4]]
    assert expected == pytest.approx(match_one(scene, full).probe_correlation[[1, 4]], abs=0.15)
    completed = match_one(scene, scene.candidate("filled", full.logits, filled)).probe_correlation[
        [1, 4]
    ]
    assert not (completed > expected - 0.05).any()  # nan where the label is no longer found


def test_models_of_some_labels_each_bring_a_new_one() -> None:
    scene = Scene(clear=3.0)
    models = [
        scene.specialist("two", knows=(1, 4), more=20),
        scene.specialist("same", knows=(4,), more=20),
        scene.specialist("other", knows=(0,), more=20),
    ]
    assert sorted(selected_names(scene, models)) == ["other", "two"]


def test_nothing_is_chosen_of_nothing() -> None:
    scene = Scene()
    assert select_models([], {}, scene.view, 3).matches == ()

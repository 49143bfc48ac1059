"""Which output is which label: planted, hidden among others, misnamed, not there at all."""

import numpy as np
import pytest

from lagotto.specialists.choosing import choose
from lagotto.specialists.matching import Candidate, Match, match, match_all
from specialist_world import LABELS, Scene

ORDER = (3, 0, 5, 1, 4, 2)
NAMES = tuple(LABELS[label] for label in ORDER)


def found(scene: Scene, *candidates: Candidate) -> list[Match]:
    return match_all(list(candidates), LABELS, scene.seen, scene.probed)


def only(scene: Scene, candidate: Candidate) -> Match:
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
    turned = Candidate("turned", model.logits[:, ::-1], model.responses[:, ::-1], ())
    plain = match(model, LABELS, scene.seen, scene.probed)
    other = match(turned, LABELS, scene.seen, scene.probed)
    assert plain is not None
    assert other is not None
    assert other.fit.nats == pytest.approx(plain.fit.nats)
    assert other.fit.votes.outputs.tolist() == (5 - plain.fit.votes.outputs).tolist()


# ------------------------------------------------------------------------------------- choosing


def chosen(scene: Scene, candidates: list[Candidate], most: int = 3) -> list[str]:
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
    copy = Candidate("copy", good.logits[:, order], good.responses[:, order], ())
    assert len(chosen(scene, [good, copy])) == 1


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

"""Which models are run on more pictures: those that might be asked, whatever else is there."""

import numpy as np

from lagotto.specialists.matching import SpecialistCandidate
from lagotto.specialists.shortlist import (
    likely,
    promising,
    settled,
    without_copies,
)
from specialist_world import LABELS, Scene


def named(*candidates: SpecialistCandidate) -> dict[str, SpecialistCandidate]:
    return {each.model: each for each in candidates}


def copy_of(
    scene: Scene, model: SpecialistCandidate, name: str, **given: tuple[str, ...]
) -> SpecialistCandidate:
    """The same model with its outputs in another order."""
    order = np.random.default_rng(len(name)).permutation(model.logits.shape[1])
    return scene.candidate(
        name, model.logits[:, order], model.behaviour.responses[:, order], **given
    )


def test_of_copies_one_is_looked_at_and_that_is_one_with_names() -> None:
    scene = Scene()
    good, other = scene.specialist("good"), scene.specialist("other", strength=3.0)
    copy, told = copy_of(scene, good, "copy"), copy_of(scene, good, "told", names=LABELS)
    assert without_copies(named(good, copy, other)) == ["good", "other"]
    assert without_copies(named(good, copy, told, other)) == ["told", "other"]
    assert without_copies({}) == []


def test_looking_goes_on_until_enough_different_models_are_there() -> None:
    scene = Scene()
    good, fair = scene.specialist("good"), scene.specialist("fair", strength=3.5)
    copies = [copy_of(scene, good, f"copy {number}") for number in range(3)]
    assert settled(named(good, *copies), scene.seen, 2) == []
    assert {"good", "fair"} <= set(settled(named(good, fair, scene.stranger()), scene.seen, 2))
    assert settled(named(good, scene.stranger()), scene.seen, 2) == []
    assert "good" in settled(named(good, scene.stranger()), scene.seen, 1)


def test_a_model_of_some_labels_is_kept_beside_any_number_of_strangers() -> None:
    scene = Scene(clear=3.0)
    some = scene.specialist("some", knows=(1, 4), more=30)
    strangers = [scene.stranger(f"stranger {number}") for number in range(30)]
    kept = promising(named(*strangers, some), scene.seen, 1)
    assert "some" in kept
    assert len(kept) <= 16
    assert "some" in likely(named(*strangers[:9], some), scene.seen, 1)


def test_strangers_are_dropped_beside_a_model_that_knows() -> None:
    scene = Scene()
    models = named(scene.specialist("good"), *(scene.stranger(f"s{i}") for i in range(9)))
    assert likely(models, scene.seen, 3) == ["good"]
    assert likely({}, scene.seen, 3) == []

"""The shortlist keeps the models that might be selected, whatever other models there are."""

import numpy as np

from lagotto.specialists.matching import SpecialistCandidate
from lagotto.specialists.shortlist import (
    finalists_so_far,
    likely_models,
    promising_models,
    without_copies,
)
from specialist_world import LABELS, Scene


def named(*candidates: SpecialistCandidate) -> dict[str, SpecialistCandidate]:
    return {each.model: each for each in candidates}


def copy_of(
    scene: Scene, model: SpecialistCandidate, name: str, **options: tuple[str, ...]
) -> SpecialistCandidate:
    """The same model with its outputs in another order."""
    order = np.random.default_rng(len(name)).permutation(model.logits.shape[1])
    return scene.candidate(
        name, model.logits[:, order], model.probe_evidence.responses[:, order], **options
    )


def test_of_copies_one_is_looked_at_and_that_is_one_with_names() -> None:
    scene = Scene()
    good, other = scene.specialist("good"), scene.specialist("other", strength=3.0)
    copy, named_copy = copy_of(scene, good, "copy"), copy_of(scene, good, "told", names=LABELS)
    assert without_copies(named(good, copy, other)) == ["good", "other"]
    assert without_copies(named(good, copy, named_copy, other)) == ["told", "other"]
    assert without_copies({}) == []


def test_looking_goes_on_until_enough_different_models_are_there() -> None:
    scene = Scene()
    good, fair = scene.specialist("good"), scene.specialist("fair", strength=3.5)
    copies = [copy_of(scene, good, f"copy {number}") for number in range(3)]
    assert finalists_so_far(named(good, *copies), scene.view, 2) == []
    assert {"good", "fair"} <= set(
        finalists_so_far(named(good, fair, scene.stranger()), scene.view, 2)
    )
    assert finalists_so_far(named(good, scene.stranger()), scene.view, 2) == []
    assert "good" in finalists_so_far(named(good, scene.stranger()), scene.view, 1)


def test_a_model_of_some_labels_is_kept_beside_any_number_of_strangers() -> None:
    scene = Scene(clear=3.0)
    some = scene.specialist("some", knows=(1, 4), more=30)
    strangers = [scene.stranger(f"stranger {number}") for number in range(30)]
    models = promising_models(named(*strangers, some), scene.view, 1)
    assert "some" in models
    assert len(models) <= 16
    assert "some" in likely_models(named(*strangers[:9], some), scene.view, 1)


def test_strangers_are_dropped_beside_a_model_that_knows() -> None:
    scene = Scene()
    models = named(scene.specialist("good"), *(scene.stranger(f"s{i}") for i in range(9)))
    assert likely_models(models, scene.view, 3) == ["good"]
    assert likely_models({}, scene.view, 3) == []

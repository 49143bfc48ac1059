"""A planted hub: the relatives of a concept are there, and the concept itself or not."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from calibration.known_answers import (
    HIDDEN,
    Trial,
    World,
    draw_trials,
    make_world,
)
from calibration.reliability import auroc
from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import background_words
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.raw_responses import (
    RawModel,
    RawResponses,
    read_raw_responses,
)
from lagotto.hub.confidence.calibrator import (
    CONCEPT_LIKELY,
    best_margin,
    shipped_calibrator,
)

DIM = 48
WORDS = background_words()[:80]
KINDS = [f"kind of {word}" for word in WORDS[:8]]
NAMES = [*KINDS, *WORDS]
OUTPUTS = 16


def embedding(text: str) -> np.ndarray:
    """A direction of its own for each text; a kind is at a cosine of about 0.82 from its word."""
    seed = int.from_bytes(sha256(text.encode()).digest()[:4], "big")
    own = np.random.default_rng(seed).normal(size=DIM)
    own /= np.linalg.norm(own)
    if text.startswith("kind of "):
        own = 1.45 * embedding(text.removeprefix("kind of ")) + own
    return np.asarray(own / np.linalg.norm(own), dtype=np.float32)


class Tower:
    """A text tower that knows all words apart."""

    info = EncoderInfo("planted", "planted", DIM, PixelSpec(8, 8), 25.0, 77, "{}")

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def token_counts(self, texts: list[str]) -> list[int]:
        return [1] * len(texts)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        return np.stack([embedding(text) for text in texts])


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(0)
    concepts = np.stack([embedding(name) for name in NAMES])
    shown = np.repeat(concepts, 4, axis=0)
    pictures = unit_rows((shown + 0.09 * rng.normal(size=shown.shape)).astype(np.float32))
    models = []
    for number in range(24):
        known = rng.permutation(len(NAMES))[:OUTPUTS]
        values = 12 * pictures @ concepts[known].T + rng.normal(size=(len(pictures), OUTPUTS))
        labels = tuple(NAMES[place] for place in known)
        models.append(RawModel(f"m{number}", labels, values.astype(np.float32), None, None))
    raw = RawResponses(Path(), tuple(models), pictures, "planted")
    return make_world(raw, Tower())


@pytest.fixture(scope="module")
def trials(world: World) -> list[Trial]:
    everything = world.publishing(world.known.concept)
    asked = (np.arange(24), range(len(KINDS)), (None,), 0)
    return list(draw_trials(everything, *asked))


def test_a_relative_is_not_taken_for_the_concept(trials: list[Trial]) -> None:
    calibrator = shipped_calibrator()
    for present in (True, False):
        mine = [trial for trial in trials if trial.present == present]
        assert len(mine) == len(KINDS)
        told = np.array([calibrator.concept_probability(trial.features) for trial in mine])
        assert ((told > CONCEPT_LIKELY) == present).all(), told


def test_every_clue_of_presence_tells_them_apart(trials: list[Trial]) -> None:
    present = np.array([trial.present for trial in trials])
    for clue in ("margin", "label_margin"):
        leads = np.array([best_margin(getattr(trial.features, clue)) for trial in trials])
        assert leads[present].min() > leads[~present].max(), clue


def test_labels_only_lower_the_leads_of_what_is_labelled_otherwise(trials: list[Trial]) -> None:
    for trial in trials:
        features = trial.features
        assert (features.label_margin <= features.margin).all()
        np.testing.assert_array_equal(
            features.label_margin[trial.right], features.margin[trial.right]
        )
        assert features.has_label.all()
    assert any(
        (trial.features.label_margin < trial.features.margin).any()
        for trial in trials
        if not trial.present
    )


def test_a_hub_without_the_concept_is_one_that_never_had_it(
    world: World, trials: list[Trial]
) -> None:
    strangers = np.flatnonzero(~world.known.knows[:, 0])
    (alone,) = draw_trials(world, strangers, [0], (None,), 0)
    (absent,) = (trial for trial in trials if not trial.present and trial.concept == 0)
    np.testing.assert_array_equal(alone.columns, absent.columns)
    np.testing.assert_allclose(alone.features.margin, absent.features.margin, atol=1e-5)


def test_hidden_outputs_leave_the_rest_of_their_models(world: World) -> None:
    models = np.arange(24)
    (hidden,) = draw_trials(world, models, [0], (HIDDEN,), 0)
    answers = np.flatnonzero(world.known.answers[0])
    assert not hidden.present
    assert not hidden.right.any()
    assert hidden.logits == len(world.known.owner) - len(answers)
    knowing = set(world.known.owner[answers].tolist())
    assert knowing & set(world.known.owner[hidden.columns].tolist())


def test_names_that_the_same_logits_answer_are_one_group(world: World) -> None:
    answers = world.known.answers.copy()
    answers[:5] = answers[[0, 1, 0, 2, 1]]
    known = replace(world.known, answers=answers)
    assert known.groups[:5].tolist() == [0, 1, 0, 2, 1]


def test_labels_that_are_not_believed_say_nothing(world: World) -> None:
    asked = (np.arange(24), range(4), (10, None), 0)
    for trial in draw_trials(world, *asked):
        np.testing.assert_array_equal(trial.features.label_margin, trial.features.margin)
        assert not trial.features.has_label.any()
        np.testing.assert_array_equal(trial.features.owners, world.known.owner[trial.columns])


@pytest.mark.real
def test_presence_on_real_heads(assets: Path) -> None:
    given = read_raw_responses(assets / "inet-mini-hub")
    some = replace(given, models=given.models[::8])
    probes = np.arange(len(given.embeddings)) % 2 == 0
    heads = make_world(some, load_encoder(str(assets / "encoder" / "photo-lit")), probes)
    labelled = heads.publishing(heads.known.concept)
    models, concepts = np.arange(len(heads.known.models)), range(0, len(heads.known.names), 3)
    found = list(draw_trials(labelled, models, concepts, (None,), 0))
    present = np.array([trial.present for trial in found])
    calibrator = shipped_calibrator()
    by_name = np.array([calibrator.concept_probability(trial.features) for trial in found])
    nobody = np.zeros(len(found[0].columns), bool)
    alone = [
        calibrator.concept_probability(replace(trial.features, has_label=nobody)) for trial in found
    ]
    behaviour = np.array(alone)
    assert auroc(behaviour, present) > 0.65
    assert auroc(by_name, present) > auroc(behaviour, present) + 0.01

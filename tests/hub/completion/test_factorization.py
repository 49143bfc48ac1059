"""Completion: planted factors are found, side information helps, and nothing else matters."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.evaluation.retrieval.raw_responses import RawModel
from lagotto.hub.completion.columns import (
    SeenColumns,
    to_columns,
    to_responses,
)
from lagotto.hub.completion.factorization import (
    Settings,
    complete,
    fit_factors,
    fold_in,
)
from lagotto.hub.completion.fit import completed_responses, fit_completion
from lagotto.hub.completion.guard import decide_use
from lagotto.hub.completion.holdout import (
    Holdout,
    search_hyperparameters,
    split_holdout,
)
from quality.completion_baselines import alternating_least_squares, filled_svd
from share_world import PROBES, embeddings, related, unrelated

SHARE = 40


def observed(models: tuple, share: int = SHARE, seed: int = 0) -> list[tuple]:
    """(columns, scale) of each model on its own random share."""
    rng = np.random.default_rng(seed)
    seen = [np.sort(rng.choice(PROBES, share, replace=False)).astype(np.int64) for _ in models]
    return [to_columns(m.values[s], s) for m, s in zip(models, seen, strict=True)]


def explained(models: tuple, completed: list[np.ndarray], columns: list[SeenColumns]) -> float:
    """Share of the variance of the unseen answers that is predicted, over all models."""
    error, total = 0.0, 0.0
    for model, predicted, own in zip(models, completed, columns, strict=True):
        unseen = np.setdiff1d(np.arange(PROBES), own.probes)
        spread = model.values.std(axis=0)
        error += np.square((predicted - model.values)[unseen] / spread).sum()
        total += np.square((model.values - model.values.mean(axis=0))[unseen] / spread).sum()
    return float(1 - error / total)


def test_unseen_answers_of_related_models_are_predicted_better_than_by_the_baselines() -> None:
    models = related()
    pairs = observed(models)
    columns = [own for own, _ in pairs]
    factors = fit_factors(columns, embeddings(), Settings(rank=16, side_weight=0.3))
    ours = [completed_responses(factors, own, scale) for own, scale in pairs]
    plain = {
        "als": alternating_least_squares(columns, PROBES, rank=16),
        "svd": filled_svd(columns, PROBES, rank=16),
    }
    score = explained(models, ours, columns)
    assert score > 0.6
    for name, completed in plain.items():
        back = [to_responses(c, scale) for c, (_, scale) in zip(completed, pairs, strict=True)]
        assert score > explained(models, back, columns), name


def test_seen_answers_stay_as_they_are() -> None:
    model = related(1)[0]
    [(own, scale)] = observed((model,))
    factors = fit_factors([own], embeddings(), Settings(rank=4, sweeps=2))
    completed = completed_responses(factors, own, scale)
    np.testing.assert_allclose(
        completed[own.probes], model.values[own.probes], rtol=1e-4, atol=1e-4
    )


def test_a_model_is_folded_in_without_the_others() -> None:
    pairs = observed(related(31))
    columns = [own for own, _ in pairs]
    factors = fit_factors(columns[:30], embeddings(), Settings(rank=16))
    late = columns[30]
    predicted = factors.values @ fold_in(factors, late)
    np.testing.assert_allclose(
        np.delete(complete(factors, late), late.probes, axis=0),
        np.delete(predicted, late.probes, axis=0),
        atol=1e-6,
    )
    truth = related(31)[30]
    [(_, scale)] = observed((truth,))
    assert scale.logits == len(truth.labels)


def test_the_same_input_gives_the_same_factors_and_models_may_be_read_anew_each_time() -> None:
    columns = [own for own, _ in observed(related(12))]

    class Stored:
        def __iter__(self) -> Iterator[SeenColumns]:
            return iter([SeenColumns(c.probes.copy(), c.values.copy()) for c in columns])

    first = fit_factors(columns, embeddings(), Settings(rank=8, sweeps=3))
    second = fit_factors(Stored(), embeddings(), Settings(rank=8, sweeps=3))
    np.testing.assert_array_equal(first.values, second.values)
    assert first.noise == second.noise


def test_many_models_are_gathered_in_several_parts() -> None:
    columns = [own for own, _ in observed(related(300), share=12)]
    whole = fit_factors(columns, embeddings(), Settings(rank=4, sweeps=1))
    backwards = fit_factors(columns[::-1], embeddings(), Settings(rank=4, sweeps=1))
    np.testing.assert_allclose(whole.values, backwards.values, rtol=1e-2, atol=1e-3)


def test_side_information_predicts_where_models_are_few() -> None:
    columns = [own for own, _ in observed(related(4), share=30)]
    search = search_hyperparameters(columns, embeddings())
    without = [candidate.skill for candidate in search.candidates if candidate.side_weight == 0]
    best = max(candidate.skill for candidate in search.candidates)
    assert search.settings.side_weight > 0
    assert best > max(without) + 0.01


def test_starting_from_earlier_factors_gets_further_in_one_sweep() -> None:
    models = related()
    pairs = observed(models)
    columns = [own for own, _ in pairs]
    one = Settings(rank=16, sweeps=1)
    before = fit_factors(columns[:25], embeddings(), Settings(rank=16))
    scores = []
    for start in (None, before):
        factors = fit_factors(columns, embeddings(), one, start)
        completed = [completed_responses(factors, own, scale) for own, scale in pairs]
        scores.append(explained(models, completed, columns))
    assert scores[1] > scores[0]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5),
    st.floats(0.01, 100),
    st.floats(-1000, 1000),
    st.integers(0, 1000),
)
def test_columns_lead_back_to_responses(logits: int, gain: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal((20, logits)) * gain + shift).astype(np.float32)
    seen = np.arange(20, dtype=np.int64)
    own, scale = to_columns(values, seen)
    assert own.values.shape == (20, logits + 1)
    back = to_responses(own.values, scale)
    np.testing.assert_allclose(back, values, atol=0.02 * gain + 1e-4 * abs(shift), rtol=1e-3)


def test_flawed_logits_are_left_out_and_come_back_as_nan() -> None:
    values = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    values[3, 1] = np.nan
    values[:, 2] = 7
    own, scale = to_columns(values, np.arange(20))
    assert own.values.shape == (20, 3)
    assert np.isfinite(own.values).all()
    back = to_responses(own.values, scale)
    assert np.isnan(back[:, 1]).all()
    assert np.isnan(back[:, 2]).all()
    np.testing.assert_allclose(back[:, [0, 3]], values[:, [0, 3]], atol=1e-4)


def test_what_is_held_out_is_a_seeded_part() -> None:
    [(own, _)] = observed(related(1))
    part = split_holdout(own, 3)
    assert len(part.probes) == 10
    assert set(part.probes.tolist()) | set(part.train.probes.tolist()) == set(own.probes.tolist())
    assert not set(part.probes.tolist()) & set(part.train.probes.tolist())
    np.testing.assert_array_equal(split_holdout(own, 3).probes, part.probes)
    assert split_holdout(own, 4).probes.tolist() != part.probes.tolist()


def test_the_guard_completes_related_models_and_not_unrelated_ones() -> None:
    near = fit_completion([own for own, _ in observed(related())], embeddings()).verdict
    assert {model.use for model in near.models} == {"completed"}
    assert near.skill > 0.3
    far = fit_completion([own for own, _ in observed(unrelated())], embeddings()).verdict
    assert {model.use for model in far.models} == {"seen"}
    assert far.skill < 0.1
    assert "held-back" in far.models[0].reason


def test_the_guard_finds_the_stranger_among_related_models() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((PROBES, 60)).astype(np.float32)
    stranger = RawModel("stranger", ("?",) * 60, noise, None, None)
    columns = [own for own, _ in observed((*related(), stranger))]
    verdict = fit_completion(columns, embeddings()).verdict
    assert verdict.models[-1].use == "seen"
    assert {model.use for model in verdict.models[:-1]} == {"completed"}


def test_full_models_are_searched_by_all_and_nearly_unseen_ones_on_what_they_saw() -> None:
    models = related(6)
    full = [to_columns(m.values, np.arange(PROBES))[0] for m in models[:3]]
    shares = [own for own, _ in observed(models[3:5])]
    few = [own for own, _ in observed(models[5:], share=3)]
    holdout = Holdout([*full, *shares, *few], PROBES, 0)
    factors = fit_factors(holdout, embeddings(), Settings(rank=8))
    uses = [model.use for model in decide_use(factors, holdout).models]
    assert uses[:3] == ["all"] * 3
    assert uses[5] == "seen"
    assert fit_completion(full, embeddings()).search.candidates == ()


@pytest.mark.parametrize("share", [2, 3])
def test_shares_too_small_to_judge_do_not_break(share: int) -> None:
    found = fit_completion([own for own, _ in observed(related(3), share=share)], embeddings())
    assert {model.use for model in found.verdict.models} == {"seen"}

"""Evidence on which pictures that are alike agree."""

import numpy as np
import pytest

from caption_world import WordEncoder
from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.rejection import agreement
from lagotto.zeroshot.rejection.agreement import AgreedEvidence
from lagotto.zeroshot.rejection.judge import NoneJudge
from lagotto.zeroshot.rejection.logistic import probability
from lagotto.zeroshot.rejection.vocabulary import open_vocabulary

DIM = 64


def kinds(count: int, each: int, seed: int, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of some kinds of thing, and the kind of each."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(count, DIM)))
    kind = np.repeat(np.arange(count), each)
    away = unit_rows(rng.normal(size=(len(kind), DIM)))
    return unit_rows(centres[kind] + noise * away), kind


def test_pictures_that_are_alike_agree_and_mean_and_spread_stay() -> None:
    pictures, kind = kinds(4, 20, seed=0)
    evidence = (kind < 2) + np.random.default_rng(1).normal(0, 2, len(kind))
    agreed = AgreedEvidence.among(pictures, evidence).agreed
    assert (agreed.mean(), agreed.std()) == pytest.approx((evidence.mean(), evidence.std()))
    apart = [float(each[kind < 2].mean() - each[kind >= 2].mean()) for each in (evidence, agreed)]
    within = [float(each[kind < 2].std()) for each in (evidence, agreed)]
    assert apart[1] / within[1] > 2 * apart[0] / within[0]


def test_a_picture_that_is_like_no_other_keeps_its_own_evidence() -> None:
    pictures = np.eye(DIM, dtype=np.float32)[:12]
    evidence = np.linspace(-3, 8, 12)
    agreed = AgreedEvidence.among(pictures, evidence).agreed
    assert agreed == pytest.approx(evidence, abs=1e-6)


def test_pictures_of_the_batch_are_judged_alike_beside_it() -> None:
    pictures, kind = kinds(3, 8, seed=2)
    evidence = kind + np.random.default_rng(3).normal(0, 1, len(kind))
    batch = AgreedEvidence.among(pictures, evidence)
    assert batch.beside(pictures[:5], evidence[:5]) == pytest.approx(batch.agreed[:5], rel=1e-4)


def test_of_two_that_are_alike_each_hears_the_other_more_than_itself() -> None:
    pictures, _ = kinds(6, 2, seed=7, noise=0.1)
    evidence = np.array([0.0, 10.0] * 6)
    agreed = AgreedEvidence.among(pictures, evidence).agreed
    assert (agreed[::2] > agreed[1::2]).all()  # a picture is no neighbour of itself


def test_pictures_that_are_all_one_keep_their_evidence() -> None:
    pictures = np.repeat(np.eye(DIM, dtype=np.float32)[:1], 9, axis=0)
    assert AgreedEvidence.among(pictures, np.full(9, 2.0)).agreed == pytest.approx(np.full(9, 2.0))


def test_many_pictures_are_averaged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, kind = kinds(3, 8, seed=4)
    evidence = kind + np.random.default_rng(5).normal(0, 1, len(kind))
    whole = AgreedEvidence.among(pictures, evidence).agreed
    monkeypatch.setattr(agreement, "_BLOCK", 7)
    assert AgreedEvidence.among(pictures, evidence).agreed == pytest.approx(whole, rel=1e-4)


def test_together_pictures_are_judged_by_agreed_evidence_and_alone_by_their_own() -> None:
    encoder = WordEncoder()
    vocabulary = open_vocabulary(encoder, None, None, "")
    labels = vocabulary.words[:3]
    judge = NoneJudge.of(vocabulary, vocabulary.embeddings[:3], labels, encoder.info.logit_scale)
    rng = np.random.default_rng(6)
    rows = vocabulary.embeddings[rng.integers(0, 6, 20)]
    pictures = unit_rows(rows + unit_rows(rng.normal(size=rows.shape)))
    agreed = AgreedEvidence.among(pictures, judge.evidence(pictures)).agreed
    expected = probability(vocabulary.batch_curve.log_odds(agreed, 3, agreed))
    assert judge.probability(pictures) == pytest.approx(expected)
    assert judge.probability(pictures[:3], pictures) == pytest.approx(expected[:3], rel=1e-4)
    own = vocabulary.curve.log_odds(judge.evidence(pictures[:3]))
    assert judge.probability(pictures[:3]) == pytest.approx(probability(own))

"""Features of the hits of a concept in, how likely each hit is right, and any logit is, out.

The calibrator is frozen: logistic regressions on a few features, below a ceiling. They were fitted
by benchmarks/calibration/measure.py on known answers in two worlds. In each world half of the
searches were in hubs without a right logit. docs/results.md says which worlds, and how well the
probabilities hold.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.vectors import quiet_product
from lagotto.hub.confidence.taught import (
    TAUGHT_CONCEPT_FEATURES,
    TAUGHT_HIT_FEATURES,
    Teaching,
    taught_concept_features,
    taught_hit_features,
)

CONFIDENCE_POOL = 10
"""Best hits whose features are pooled, however many hits are requested."""

_LARGEST_LOG_ODDS = 50.0
"""Log odds are cut here, so that no exponential overflows."""

_LEAST_COVERAGE = 1e-3
"""Probe coverage up to which a margin is no evidence that the hub knows the concept."""

CONCEPT_LIKELY = 0.3
"""Probability below which the user is told that no logit of the hub seems to recognize the concept.
Set by benchmarks/calibration/measure.py; see docs/results.md."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the calibrator knows of the hits of one concept.

    Attributes:
        margin: the concept's fitted score on each hit, less that of the best background words
            there (margin.py).
        agreement: correlation of each hit with the best hits of other models (`hit_agreement`).
        probe_coverage: how surely any probe shows the concept (probe_coverage.py).
        label_margin: the margin over the hit's own published label too, where that label is
            believed; elsewhere the margin.
        has_label: whether the hit has a label that is believed.
        owners: a number for each hit's model. A model has hardly more than one output for a
            concept, so of two hits of one model the lesser is rarely right.
        pool: how many of the hits are the best ones, which are judged together too; they are first.
    """

    margin: Float64[np.ndarray, " hits"]
    agreement: Float64[np.ndarray, " hits"]
    probe_coverage: float
    label_margin: Float64[np.ndarray, " hits"]
    has_label: Bool[np.ndarray, " hits"]
    owners: Int64[np.ndarray, " hits"]
    pool: int = CONFIDENCE_POOL

    @property
    def with_labels(self) -> "Features":
        """The same features, with the margin over the hits' own labels too as the margin."""
        return replace(self, margin=self.label_margin)


@dataclass(frozen=True, slots=True)
class HitEvidence:
    """All that is known of the hits of one concept.

    Attributes:
        features: what behaviour and the hits' own labels tell.
        matches: hits whose own believed label has the very words of the concept.
        claims: hits whose own label has them, in a list that could not be judged.
        teaching: what such labels of other models' outputs tell.
    """

    features: Features
    matches: Bool[np.ndarray, " hits"]
    claims: Bool[np.ndarray, " hits"]
    teaching: Teaching


@dataclass(frozen=True, slots=True)
class LogisticCurve:
    """features @ weights + bias are the log odds of a share of `ceiling`.

    No probability is above the ceiling, however clear the features: an encoder takes some concepts
    for others.
    """

    weights: Float64[np.ndarray, " columns"]
    bias: float
    ceiling: float = 1.0

    def __call__(self, table: Float64[np.ndarray, "rows columns"]) -> Float64[np.ndarray, " rows"]:
        """The probability of each row of features."""
        limit = _LARGEST_LOG_ODDS
        odds = np.clip(table @ self.weights + self.bias, -limit, limit)
        return np.asarray(self.ceiling / (1.0 + np.exp(-odds)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The curves for a hit and for the concept: by behaviour, and with believed labels too.

    Attributes:
        hit: a hit is right, by behaviour.
        concept: any logit of the hub recognizes the concept, by behaviour.
        labelled_hit: a hit with a believed label is right.
        labelled_concept: any logit recognizes the concept, by hits with believed labels.
        claim: a hit is right whose label is the query's words, in a list that could not be judged
            and that no other output contradicts. Fitted over as many right lists as wrong ones.
        taught_hit: a hit is right, where a believed label of a reference has the concept's words.
        taught_concept: any logit recognizes the concept, where such a label has its words.
        encoder: the encoder that all of it was fitted with: its name and its fingerprint.
    """

    hit: LogisticCurve
    concept: LogisticCurve
    labelled_hit: LogisticCurve
    labelled_concept: LogisticCurve
    taught_hit: LogisticCurve
    taught_concept: LogisticCurve
    claim: float = 0.0
    encoder: tuple[str, str] = ("", "")

    def encoder_note(self, encoder: str, fingerprint: str) -> str | None:
        """What the user has to know if a hub has another encoder; None if it has this one.

        Args:
            encoder: the name of the hub's encoder.
            fingerprint: the identity of its weights and settings.
        """
        fitted_with, fitted_fingerprint = self.encoder
        if fingerprint == fitted_fingerprint:
            return None
        return (
            f"confidence was calibrated with the encoder {fitted_with}, and this hub has "
            f"{encoder}: it orders hits, but is no exact share of right ones"
        )

    def believe(self, evidence: HitEvidence) -> tuple[Float64[np.ndarray, " hits"], float]:
        """The confidence of the hits, and the concept's probability.

        A hit that matches the query by a believed label is as sure as anything may be. A hit that
        claims to match it, by a label of a list that could not be judged, has at least the share of
        such claims that are right. Where a reference has the concept's words, hits are judged by
        whether they are twins of its output too; where only an audited label of another model has
        them, a twin is at least as sure as it is of the same concept.
        """
        features, pool = evidence.features, evidence.features.pool
        confidence, twins = self.confidence(features), evidence.teaching.probability
        probability = self.concept_probability(features)
        if evidence.teaching.has_teacher:
            table = taught_concept_features(probability, twins[:pool])
            probability = float(self.taught_concept(table[None])[0])
            confidence = self.taught_hit(taught_hit_features(confidence, twins, pool))
        else:
            confidence = np.maximum(confidence, self.labelled_hit.ceiling * twins)
        confidence = np.where(evidence.claims, np.maximum(confidence, self.claim), confidence)
        confidence = np.where(evidence.matches, self.labelled_hit.ceiling, confidence)
        best = (evidence.matches | evidence.claims)[:pool]
        if not evidence.teaching.has_teacher:
            best = best | evidence.teaching.twins[:pool]
        return confidence, max([probability, *confidence[:pool][best].tolist()])

    def confidence(self, features: Features) -> Float64[np.ndarray, " hits"]:
        """For each hit, the share of such hits that are right."""
        by_behaviour = self.hit(hit_features(features))
        if not features.has_label.any():
            return by_behaviour
        with_labels = self.labelled_hit(hit_features(features.with_labels))
        return np.where(features.has_label, with_labels, by_behaviour)

    def concept_probability(self, features: Features) -> float:
        """How likely it is that any logit of the hub recognizes the concept.

        By behaviour, and by labels as far as those of the best hits are believed.
        """
        share = float(features.has_label[: features.pool].mean())
        by_behaviour = float(self.concept(concept_features(features)[None])[0])
        if not share:
            return by_behaviour
        with_labels = float(self.labelled_concept(concept_features(features.with_labels)[None])[0])
        return (1 - share) * by_behaviour + share * with_labels


HIT_FEATURES = (
    "margin",
    "agreement",
    "mean agreement of the pool",
    "log probe coverage",
    "margin x agreement",
    "pooled margin x agreement",
    "its model has a better hit",
    "pooled margin if its model has a better hit",
    "first hit",
    "agreement of the first hit",
)
"""The columns of `hit_features`, as calibrator.json names them."""

CONCEPT_FEATURES = (
    "log probe coverage",
    "mean agreement of the pool",
    "pooled margin x log probe coverage",
    "pooled margin x mean agreement of the pool",
    "margin x agreement of the first hit",
)
"""The columns of `concept_features`, as calibrator.json names them."""

FEATURE_NAMES = {
    "hit": HIT_FEATURES,
    "concept": CONCEPT_FEATURES,
    "labelled_hit": HIT_FEATURES,
    "labelled_concept": CONCEPT_FEATURES,
    "taught_hit": TAUGHT_HIT_FEATURES,
    "taught_concept": TAUGHT_CONCEPT_FEATURES,
}
"""The columns that each curve weighs."""


def hit_features(features: Features) -> Float64[np.ndarray, "hits columns"]:
    """One row a hit: the columns that `Calibrator.hit` weighs, named by HIT_FEATURES.

    A margin is multiplied by agreement, for it means more where other models agree.
    """
    pool, ones = slice(features.pool), np.ones_like(features.margin)
    pooled = best_margin(features.margin[pool])
    agreement = np.maximum(features.agreement, 0.0)
    of_one_model = features.owners[:, None] == features.owners[None, pool]
    better = features.margin[None, pool] > features.margin[:, None]
    beaten = np.any(of_one_model & better, axis=1)
    first = of_one_model[:, 0] & (features.margin == features.margin[0])
    columns = [
        features.margin,
        features.agreement,
        features.agreement[pool].mean() * ones,
        _log(features.probe_coverage) * ones,
        features.margin * agreement,
        pooled * agreement,
        beaten * ones,
        beaten * pooled,
        first * ones,
        first * features.agreement,
    ]
    return np.stack(columns, axis=1)


def concept_features(features: Features) -> Float64[np.ndarray, " columns"]:
    """The columns that `Calibrator.concept` weighs, named by CONCEPT_FEATURES.

    Margins are multiplied by what is not negative, so a larger margin never lowers the probability.
    """
    pool = slice(features.pool)
    pooled, covered = best_margin(features.margin[pool]), _log(features.probe_coverage)
    agreement, first = float(features.agreement[pool].mean()), float(features.agreement[0])
    columns = [
        covered,
        agreement,
        pooled * max(covered - _log(_LEAST_COVERAGE), 0.0),
        pooled * max(agreement, 0.0),
        features.margin[0] * max(first, 0.0),
    ]
    return np.array(columns, dtype=np.float64)


def best_margin(margins: Float64[np.ndarray, " hits"]) -> float:
    """The log sum exp of margins: one clear margin or many small ones raise it."""
    highest = float(margins.max())
    return highest + float(np.log(np.exp(margins - highest).sum()))


def hit_agreement(
    descriptors: Float32[np.ndarray, "probes hits"],
    owners: Int64[np.ndarray, " hits"],
    pool: int = CONFIDENCE_POOL,
) -> Float64[np.ndarray, " hits"]:
    """Mean correlation of each hit with those of the first `pool` that are of other models.

    `owners` has a number for each hit's model. 0 for a hit without any of another model.
    """
    correlations = quiet_product(descriptors.T, descriptors[:, :pool]) / len(descriptors)
    others = owners[:, None] != owners[None, :pool]
    total = np.where(others, correlations, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(others.sum(axis=1), 1), dtype=np.float64)


def _log(coverage: float) -> float:
    return float(np.log(max(coverage, 1e-6)))


@cache
def shipped_calibrator() -> Calibrator:
    """The calibrator in calibrator.json."""
    text = files("lagotto.hub.confidence").joinpath("calibrator.json").read_text(encoding="utf-8")
    content = json.loads(text)
    return read_calibrator(content)


def read_calibrator(content: Mapping[str, Any]) -> Calibrator:
    """A calibrator from its JSON form: curves by name, each a weight a named feature."""
    curves, encoder = content["curves"], content["encoder"]
    return Calibrator(
        read_curve(curves["hit"]),
        read_curve(curves["concept"]),
        read_curve(curves["labelled_hit"]),
        read_curve(curves["labelled_concept"]),
        read_curve(curves["taught_hit"]),
        read_curve(curves["taught_concept"]),
        float(content["claim"]),
        (str(encoder["name"]), str(encoder["fingerprint"])),
    )


def read_curve(numbers: Mapping[str, Any]) -> LogisticCurve:
    """A curve from its JSON form."""
    weights = np.array(list(numbers["weights"].values()), dtype=np.float64)
    return LogisticCurve(weights, float(numbers["bias"]), float(numbers["ceiling"]))


def concept_note(text: str, probability: float) -> str | None:
    """What the user is told if no logit seems to recognize the concept `text`; else None."""
    if probability >= CONCEPT_LIKELY:
        return None
    return (
        f"nothing in this hub seems to recognise {text!r} (probability {probability:.2f}); the "
        "hits are what comes nearest to it"
    )

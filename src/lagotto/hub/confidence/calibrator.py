"""Stage 5e of hub search: what is seen of the hits → how likely each is right, and any is.

The calibrator is frozen: logistic regressions on a few clues, below a ceiling. It was fitted by
benchmarks/quality/calibration.py on known answers in two worlds, half of which were asked of hubs
without a right one: docs/results.md says on which, and how well it holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.vectors import quiet_product

CONFIDENCE_POOL = 10
"""Best hits that are looked at together, however many are shown."""

_MOST = 50.0
"""Log odds that no clue goes beyond."""

_HARDLY = 1e-3
"""Coverage up to which a lead tells nothing of presence."""

PRESENT = 0.3
"""Presence below which nothing in the hub seems to recognise a concept; see docs/results.md."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is seen of hits; the first `pool` of them are the best ones, and judged together too.

    `lead` is the concept's fitted score less the level of the background words (see leads.py),
    `agreement` that of the function of that name, `coverage` that of probe_coverage.py. `named` is
    the lead over the hit's own published label too, and `believed` where that label is believed;
    elsewhere `named` is the lead. `owners` tells the hits' models apart: a model has hardly more
    than one output for a concept, so of two hits of one model the lesser is rarely right.
    """

    lead: Float64[np.ndarray, " hits"]
    agreement: Float64[np.ndarray, " hits"]
    coverage: float
    named: Float64[np.ndarray, " hits"]
    believed: Bool[np.ndarray, " hits"]
    owners: Int64[np.ndarray, " hits"]
    pool: int = CONFIDENCE_POOL

    @property
    def by_name(self) -> "Features":
        """The same clues, with the lead that labels have been asked for too."""
        return replace(self, lead=self.named)


@dataclass(frozen=True, slots=True)
class LogisticCurve:
    """clues @ weights + bias are the log odds of a share of `ceiling`.

    The ceiling is what even the clearest clues do not raise a probability above: an encoder takes
    some concepts for others, however clearly.
    """

    weights: Float64[np.ndarray, " clues"]
    bias: float
    ceiling: float = 1.0

    def __call__(self, clues: Float64[np.ndarray, "rows clues"]) -> Float64[np.ndarray, " rows"]:
        """The probability of each row."""
        odds = np.clip(clues @ self.weights + self.bias, -_MOST, _MOST)
        return np.asarray(self.ceiling / (1.0 + np.exp(-odds)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The curves for a hit and for presence: by behaviour, and where labels are believed too."""

    hit: LogisticCurve
    present: LogisticCurve
    named_hit: LogisticCurve
    named_present: LogisticCurve

    def confidence(self, clues: Features) -> Float64[np.ndarray, " hits"]:
        """For each hit, the share of such hits that are right."""
        behaviour = self.hit(hit_features(clues))
        if not clues.believed.any():
            return behaviour
        named = self.named_hit(hit_features(clues.by_name))
        return np.where(clues.believed, named, behaviour)

    def presence(self, clues: Features) -> float:
        """How likely it is that any logit of the hub recognises the concept.

        By behaviour, and by name as far as the labels of the best hits are believed.
        """
        share = float(clues.believed[: clues.pool].mean())
        behaviour = float(self.present(presence_features(clues)[None])[0])
        if not share:
            return behaviour
        named = float(self.named_present(presence_features(clues.by_name)[None])[0])
        return (1 - share) * behaviour + share * named


def hit_features(clues: Features) -> Float64[np.ndarray, "hits clues"]:
    """One row a hit: the columns that `Calibrator.hit` weighs.

    Its lead and agreement, the pool's agreement, coverage; products, for a lead means more where
    other models agree; and its standing: whether its own model has a better hit, and whether it is
    the first of all.
    """
    pool, same = slice(clues.pool), np.ones_like(clues.lead)
    lead, agreed = best_margin(clues.lead[pool]), np.maximum(clues.agreement, 0.0)
    of_one_model = clues.owners[:, None] == clues.owners[None, pool]
    better = clues.lead[None, pool] > clues.lead[:, None]
    beaten = np.any(of_one_model & better, axis=1)
    first = of_one_model[:, 0] & (clues.lead == clues.lead[0])
    columns = [
        clues.lead,
        clues.agreement,
        clues.agreement[pool].mean() * same,
        _log(clues.coverage) * same,
        clues.lead * agreed,
        lead * agreed,
        beaten * same,
        beaten * lead,
        first * same,
        first * clues.agreement,
    ]
    return np.stack(columns, axis=1)


def presence_features(clues: Features) -> Float64[np.ndarray, " clues"]:
    """The columns that `Calibrator.present` weighs.

    Coverage, the pool's agreement, and the pool's lead times each; the first hit's own product.
    Leads are multiplied by what is not negative, so a larger one never tells less.
    """
    pool = slice(clues.pool)
    lead, covered = best_margin(clues.lead[pool]), _log(clues.coverage)
    agreed, first = float(clues.agreement[pool].mean()), float(clues.agreement[0])
    columns = [
        covered,
        agreed,
        lead * max(covered - _log(_HARDLY), 0.0),
        lead * max(agreed, 0.0),
        clues.lead[0] * max(first, 0.0),
    ]
    return np.array(columns, dtype=np.float64)


def best_margin(leads: Float64[np.ndarray, " hits"]) -> float:
    """How far any hit leads: log sum exp, which one clear lead or many small ones raise."""
    highest = float(leads.max())
    return highest + float(np.log(np.exp(leads - highest).sum()))


def family_agreement(
    descriptors: Float32[np.ndarray, "probes hits"],
    owners: Int64[np.ndarray, " hits"],
    pool: int = CONFIDENCE_POOL,
) -> Float64[np.ndarray, " hits"]:
    """Mean correlation of each hit with those of the first `pool` that are of other models.

    `owners` tells the hits' models apart. 0 for a hit that no other model's can be compared with.
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
    curves = json.loads(text)["curves"]
    return Calibrator(**{each.name: read_curve(curves[each.name]) for each in fields(Calibrator)})


def read_curve(numbers: Mapping[str, Any]) -> LogisticCurve:
    """A curve from its JSON form."""
    weights = np.array(numbers["weights"], dtype=np.float64)
    return LogisticCurve(weights, float(numbers["bias"]), float(numbers["ceiling"]))


def presence_note(text: str, presence: float) -> str | None:
    """What to tell the user where nothing seems to recognise the concept; else None."""
    if presence >= PRESENT:
        return None
    return (
        f"nothing in this hub seems to recognise {text!r} (probability {presence:.2f}); the hits "
        "are what comes nearest to it"
    )

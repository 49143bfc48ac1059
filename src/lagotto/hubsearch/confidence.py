"""Stage 5d of hub search: what is seen of the hits → how likely each is right, and any is.

The calibrator is frozen: a logistic regression on a few clues, and for some of its answers a
monotone table. It was fitted by benchmarks/quality/calibration.py on known answers, half of which
were asked of hubs without a right one: docs/results.md says on which, and how well it holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.vectors import quiet_product

POOL = 10
"""Best hits that are looked at together, however many are shown."""

WORD_RIVALS = 5
"""Background words whose mean score a hit is measured against."""

PRESENT = 0.3
"""Presence below which nothing in the hub seems to recognise a concept; see docs/results.md."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What is seen of hits; the first `pool` of them are the best ones, and judged together too.

    `score` is the default rule's, `lead` the score less the rival level of the background words.
    `agreement` is that of the function of that name, `coverage` that of probe_coverage.py.
    """

    score: Float64[np.ndarray, " hits"]
    lead: Float64[np.ndarray, " hits"]
    agreement: Float64[np.ndarray, " hits"]
    coverage: float
    pool: int = POOL


@dataclass(frozen=True, slots=True)
class Curve:
    """clues @ weights + bias are log odds; a table (knots to values) makes a probability of them.

    Without a table it is that of the log odds themselves.
    """

    weights: Float64[np.ndarray, " clues"]
    bias: float
    knots: Float64[np.ndarray, " knots"]
    values: Float64[np.ndarray, " knots"]

    def __call__(self, clues: Float64[np.ndarray, "rows clues"]) -> Float64[np.ndarray, " rows"]:
        """The probability of each row."""
        odds = clues @ self.weights + self.bias
        if not len(self.knots):
            return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)
        return np.asarray(np.interp(odds, self.knots, self.values), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The curves for a hit and for presence."""

    hit: Curve
    present: Curve

    def confidence(self, clues: Clues) -> Float64[np.ndarray, " hits"]:
        """For each hit, the share of such hits that are right."""
        return self.hit(hit_table(clues))

    def presence(self, clues: Clues) -> float:
        """How likely it is that any logit of the hub recognises the concept."""
        return float(self.present(presence_row(clues)[None])[0])


def hit_table(clues: Clues) -> Float64[np.ndarray, "hits clues"]:
    """One row a hit: the columns that `Calibrator.hit` weighs."""
    pooled_lead = clues.lead[: clues.pool].mean()
    columns = [
        clues.score,
        clues.score - clues.score[0],
        clues.lead,
        np.full_like(clues.lead, pooled_lead),
        clues.agreement,
        np.full_like(clues.lead, _log(clues.coverage)),
    ]
    return np.stack(columns, axis=1)


def presence_row(clues: Clues) -> Float64[np.ndarray, " clues"]:
    """The columns that `Calibrator.present` weighs."""
    pool = slice(clues.pool)
    seen = [any_lead(clues.lead[pool]), clues.agreement[pool].mean(), _log(clues.coverage)]
    return np.array(seen, dtype=np.float64)


def any_lead(leads: Float64[np.ndarray, " hits"]) -> float:
    """How far any hit leads: log sum exp, which one clear lead or many small ones raise."""
    highest = float(leads.max())
    return highest + float(np.log(np.exp(leads - highest).sum()))


def agreement(
    descriptors: Float32[np.ndarray, "probes hits"],
    owners: Int64[np.ndarray, " hits"],
    pool: int = POOL,
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
    text = files("lagotto.hubsearch").joinpath("calibrator.json").read_text(encoding="utf-8")
    curves = json.loads(text)["curves"]
    return Calibrator(**{each.name: read_curve(curves[each.name]) for each in fields(Calibrator)})


def read_curve(numbers: Mapping[str, Any]) -> Curve:
    """A curve from its JSON form."""
    weights, knots, values = (
        np.array(numbers[key], dtype=np.float64) for key in ("weights", "knots", "values")
    )
    return Curve(weights, float(numbers["bias"]), knots, values)


def presence_note(text: str, presence: float) -> str | None:
    """What to tell the user where nothing seems to recognise the concept; else None."""
    if presence >= PRESENT:
        return None
    return (
        f"nothing in this hub seems to recognise {text!r} (probability {presence:.2f}); the hits "
        "are what comes nearest to it"
    )

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

POOL = 10
"""Best hits that are looked at together, however many are shown."""

WORD_RIVALS = 5
"""Background words whose mean score a hit is measured against."""

LABEL_RIVALS = 1
"""Labels published in the hub whose mean score a hit is measured against."""

PRESENT = 0.3
"""Presence below which nothing in the hub seems to recognise a concept; see docs/results.md."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What is seen of hits; the first `pool` of them are the best ones, and judged together too.

    `score` is the default rule's. `lead` and `label_lead` are the score less the rival level of
    background words and of the hub's own labels; nan where there are no such rivals. `agreement`
    is that of the function of that name, `coverage` that of
    probe_coverage.py.
    """

    score: Float64[np.ndarray, " hits"]
    lead: Float64[np.ndarray, " hits"]
    label_lead: Float64[np.ndarray, " hits"]
    agreement: Float64[np.ndarray, " hits"]
    coverage: float
    pool: int = POOL

    @property
    def labelled(self) -> bool:
        """Whether the hub's own labels were rivals too."""
        return bool(np.isfinite(self.label_lead).all())


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
    """Curves for a hit and for presence, where labels are rivals too and where they are not."""

    hit: Curve
    present: Curve
    labelled_hit: Curve
    labelled_present: Curve

    def confidence(self, clues: Clues) -> Float64[np.ndarray, " hits"]:
        """For each hit, the share of such hits that are right."""
        return (self.labelled_hit if clues.labelled else self.hit)(hit_table(clues))

    def presence(self, clues: Clues) -> float:
        """How likely it is that any logit of the hub recognises the concept."""
        curve = self.labelled_present if clues.labelled else self.present
        return float(curve(presence_table(clues))[0])


def hit_table(clues: Clues) -> Float64[np.ndarray, "hits clues"]:
    """One row a hit, the columns that `Calibrator.hit` weighs, or `labelled_hit`."""
    pooled = slice(0, clues.pool)
    columns = [
        clues.score,
        clues.lead,
        np.full_like(clues.lead, clues.lead[pooled].mean()),
        clues.agreement,
        np.full_like(clues.lead, np.log(max(clues.coverage, 1e-6))),
    ]
    if clues.labelled:
        pooled_lead = clues.label_lead[pooled].mean()
        columns += [clues.label_lead, np.full_like(clues.lead, pooled_lead)]
    return np.stack(columns, axis=1)


def presence_table(clues: Clues) -> Float64[np.ndarray, "1 clues"]:
    """The one row that `Calibrator.present` weighs, or `labelled_present`."""
    pooled = slice(0, clues.pool)
    columns = [_any(clues.lead[pooled])]
    if clues.labelled:
        columns.append(_any(clues.label_lead[pooled]))
    return np.array([columns])


def _any(leads: Float64[np.ndarray, " hits"]) -> float:
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
    correlations = descriptors.T @ descriptors[:, :pool] / len(descriptors)
    others = owners[:, None] != owners[None, :pool]
    total = np.where(others, correlations, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(others.sum(axis=1), 1), dtype=np.float64)


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

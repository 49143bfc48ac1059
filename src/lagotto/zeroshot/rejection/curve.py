"""A caption store comes in; the curve from evidence to the probability that no label fits goes out.

Nouns of the store's captions stand in for labels. Half of the nouns of a random list are left out:
a picture whose captions name one of the others has a fitting label, one whose captions name only
nouns that were left out has none. There are as many of the first as of the second. No labels of a
user are needed, and none of his pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from lagotto.core.vectors import unit_rows
from lagotto.zeroshot.rejection.evidence import evidence_against, rival_directions
from lagotto.zeroshot.rejection.nouns import background_phrases, named_phrases
from lagotto.zeroshot.types import Captions

LISTS = 250
LIST_LENGTHS = (2, 4, 8, 16, 32, 64)
MIN_FIT_PICTURES = 50
_MIN_NOUNS = 20
_MIN_LISTS = 20
_MAX_PICTURES = 1_600
_LEAST_USES, _MOST_SHARE = 4, 0.15
_PICTURES_A_LIST = 20
LABEL_BENEFIT = 0.1
"""What a label has in advance, in log odds: a picture is refused only on more than even odds.
benchmarks/quality/none_of_these.py"""

_LOW_SLOPE, _HIGH_SLOPE = 0.02, 2.0
_STEPS = 50


@dataclass(frozen=True, slots=True)
class RejectionCurve:
    """P(none) = logistic(slope * (evidence - crossing) - LABEL_BENEFIT).

    It was fitted on `lists` lists of nouns; 0 is the package's curve.
    """

    slope: float
    crossing: float
    lists: int = 0

    def log_odds(
        self, evidence: Float[np.ndarray, " pictures"]
    ) -> Float64[np.ndarray, " pictures"]:
        """The log odds that none of the labels fits."""
        return np.asarray(self.slope * (evidence - self.crossing) - LABEL_BENEFIT, np.float64)


DEFAULT_CURVE = RejectionCurve(0.167, 7.14)
"""For a classifier without a store that can be fitted: the curve of 1,239 photos of flickr8k and
COCO with a small general encoder. benchmarks/quality/none_of_these.py"""


def fit_curve(
    captions: Captions, background: Float[np.ndarray, "words dim"], scale: float
) -> RejectionCurve | None:
    """The curve of a store; None if too few of its pictures have captions that name nouns.

    Args:
        captions: The store.
        background: Unit embeddings of the background words.
        scale: The encoder's logit scale.
    """
    starts, ends = np.asarray(captions.starts[:-1]), np.asarray(captions.ends)
    rows = np.flatnonzero(ends > starts)
    rows = rows[:: max(1, -(-len(rows) // _MAX_PICTURES))]
    if len(rows) < MIN_FIT_PICTURES:
        return None
    named = np.zeros((len(rows), len(background)), bool)
    known = background_phrases()
    for i, row in enumerate(rows):
        for text in captions.texts(list(range(int(starts[row]), int(ends[row])))):
            named[i, [known[phrase] for phrase in named_phrases(text, known)]] = True
    cosines = captions.image_embeddings[rows].astype(np.float32) @ background.T
    return _fit(named, cosines, background, scale)


def _fit(
    named: Bool[np.ndarray, "pictures words"],
    cosines: Float[np.ndarray, "pictures words"],
    background: Float[np.ndarray, "words dim"],
    scale: float,
) -> RejectionCurve | None:
    uses = named.sum(axis=0)
    nouns = np.flatnonzero((uses >= _LEAST_USES) & (uses <= _MOST_SHARE * len(named)))
    if len(nouns) < _MIN_NOUNS:
        return None
    directions = unit_rows(background - background.mean(axis=0))
    rng = np.random.default_rng(0)
    evidence, answers = [], []
    for _ in range(LISTS):
        length = min(int(rng.choice(LIST_LENGTHS)), len(nouns))
        if rng.random() < 0.5:  # nouns of similar meaning, as a user's labels often are
            first = directions[rng.choice(nouns)]
            nouns_listed = nouns[np.argsort(-(directions[nouns] @ first), kind="stable")[:length]]
        else:
            nouns_listed = rng.choice(nouns, length, replace=False)
        shuffled = rng.permutation(nouns_listed)
        labels, left_out = shuffled[: (length + 1) // 2], shuffled[(length + 1) // 2 :]
        fits = named[:, labels].any(axis=1)
        none_fits = named[:, left_out].any(axis=1) & ~fits
        each = min(int(fits.sum()), int(none_fits.sum()), _PICTURES_A_LIST)
        if each < 2:
            continue
        pictures = np.concatenate(
            [rng.choice(np.flatnonzero(mask), each, replace=False) for mask in (fits, none_fits)]
        )
        rivals = rival_directions(directions[labels], directions)
        chosen = cosines[pictures]
        evidence.append(evidence_against(chosen[:, labels], chosen[:, rivals], scale))
        answers.append(np.repeat([0.0, 1.0], each))
    if len(evidence) < _MIN_LISTS:
        return None
    return fit_logistic(np.concatenate(evidence), np.concatenate(answers), len(evidence))


def fit_logistic(
    evidence: Float64[np.ndarray, " pictures"],
    answers: Float64[np.ndarray, " pictures"],
    lists: int,
) -> RejectionCurve | None:
    """The logistic curve of highest likelihood; None where evidence says nothing of the answers.

    Args:
        evidence: The evidence of each picture.
        answers: 1 where no label fits, 0 where one does.
        lists: What `RejectionCurve.lists` will say.
    """
    spread = float(evidence.std())
    if spread == 0:
        return None
    x = np.stack([np.ones_like(evidence), (evidence - evidence.mean()) / spread], axis=1)
    weights = np.zeros(2)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - answers) / len(x) + 1e-3 * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x / len(x) + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-9:
            break
    if weights[1] <= 0:
        return None
    slope = float(np.clip(weights[1] / spread, _LOW_SLOPE, _HIGH_SLOPE))
    return RejectionCurve(slope, float(evidence.mean() - weights[0] / slope), lists)

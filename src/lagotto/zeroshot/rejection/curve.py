"""A caption store comes in; the curve from evidence to the probability that no label fits goes out.

Nouns of the store's captions stand in for labels. Half of the nouns of a random list are left out:
a picture whose captions name one of the others has a fitting label, one whose captions name only
nouns that were left out has none. There are as many of the first as of the second. No labels of a
user are needed, and none of his pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from lagotto.zeroshot.rejection.logistic import fit_weights
from lagotto.zeroshot.rejection.store_pictures import StorePictures

LISTS = 250
LIST_LENGTHS = (2, 4, 8, 16, 32, 64)
_MIN_LISTS = 20
_PICTURES_A_LIST = 20
LABEL_BENEFIT = 0.1
"""What a label has in advance, in log odds: a picture is refused only on more than even odds.
benchmarks/quality/none_of_these.py"""

_LOW_SLOPE, _HIGH_SLOPE = 0.02, 2.0
_RIDGE = 1e-3


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


def fit_curve(pictures: StorePictures) -> RejectionCurve | None:
    """The curve of a store; None if too few lists of its nouns have pictures."""
    rng = np.random.default_rng(0)
    evidence, answers = [], []
    for _ in range(LISTS):
        length = min(int(rng.choice(LIST_LENGTHS)), len(pictures.nouns))
        drawn = pictures.draw_nouns(length, rng)
        labels, left_out = drawn[: (length + 1) // 2], drawn[(length + 1) // 2 :]
        fits = pictures.mentioning(labels)
        none_fits = pictures.mentioning(left_out) & ~fits
        each = min(int(fits.sum()), int(none_fits.sum()), _PICTURES_A_LIST)
        if each < 2:
            continue
        chosen = [
            rng.choice(np.flatnonzero(mask), each, replace=False) for mask in (fits, none_fits)
        ]
        evidence.append(pictures.evidence(labels, np.concatenate(chosen)))
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
    if float(evidence.std()) == 0:
        return None
    constant, fitted = fit_weights(evidence[:, None], answers, np.ones(len(answers)), _RIDGE)
    if fitted <= 0:
        return None
    slope = float(np.clip(fitted, _LOW_SLOPE, _HIGH_SLOPE))
    mean = float(evidence.mean())
    return RejectionCurve(slope, mean - float(constant + fitted * mean) / slope, lists)

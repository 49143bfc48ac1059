"""The embedding of a concept comes in; how much each probe counts for it goes out.

The paper compares query and logit on the k probes of highest cosine, each counting the same
(ProbeLog, section 3.3). Here a probe counts by the posterior probability of the concept on it,
among a background vocabulary, as in zero-shot classification. Two weights are averaged. The sharp
one is that posterior itself: it favours the few probes that surely show the concept. The broad one
is a power of a softened posterior: it favours all probes that resemble the concept. How the two
were chosen: docs/results.md.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.vectors import quiet_product, top_k
from lagotto.core.zscore import without_rounding, zscore_rows
from lagotto.hub.query.vectors import standardize_query

LEAST_COVERAGE = 0.1
"""Coverage, a probability, below which the user is told that the probes hardly show a concept.
Set by benchmarks/calibration/measure.py; see docs/results.md."""


@dataclass(frozen=True, slots=True)
class WeightConfig:
    """The thresholds of probe weights; `PROBE_WEIGHTS` has the values in use."""

    breadth: float = 3.0
    """Power of the positive part of the standardized log posterior in the broad weights.
    benchmarks/quality/rules.py"""

    softening: float = 0.377
    """Scale of the broad posterior, over the encoder's own logit scale.
    benchmarks/quality/rules.py"""

    presence_threshold: float = 2.0
    """Standard deviations of a cosine from which a probe shows a concept more likely than not. It
    decides how joined concepts are compared by the paper's rule; chosen by hand, not measured."""


PROBE_WEIGHTS = WeightConfig()


@dataclass(frozen=True)
class ProbeSpace:
    """The encoder's space, in which concepts are compared with probes.

    `probes` and `background` are unit embeddings; those of the background words stand for all other
    concepts. `logit_scale` is the encoder's own: it turns a cosine into a logit.
    """

    probes: Float32[np.ndarray, "probes dim"]
    background: Float32[np.ndarray, "words dim"]
    logit_scale: float

    @cached_property
    def background_cosines(self) -> Float32[np.ndarray, "words probes"]:
        """Cosine of each background word with each probe."""
        return np.asarray(self.background @ self.probes.T, dtype=np.float32)

    @cached_property
    def background_mean(self) -> Float32[np.ndarray, " dim"]:
        """The mean of the background words, which tells no concept from another."""
        return np.asarray(self.background.mean(axis=0), dtype=np.float32)

    @cached_property
    def background_scores(
        self,
    ) -> tuple[Float32[np.ndarray, " probes"], Float32[np.ndarray, " probes"]]:
        """log sum exp of the background on each probe: at the encoder's scale, and softened."""
        return (
            _log_sum_exp(self.logit_scale * self.background_cosines),
            _log_sum_exp(PROBE_WEIGHTS.softening * self.logit_scale * self.background_cosines),
        )

    def log_posterior(
        self, concepts: Float[np.ndarray, "concepts dim"], *, softened: bool = False
    ) -> Float32[np.ndarray, "concepts probes"]:
        """log P(concept | probe) among the concept itself and the background words.

        A concept that the encoder tells from no probe has the same on each, to the last digit: else
        the rounding of the machine would choose its probes.
        """
        scale = self.logit_scale * (PROBE_WEIGHTS.softening if softened else 1.0)
        scores = (scale * self._cosines(concepts)).astype(np.float32)
        return without_rounding(scores - np.logaddexp(self.background_scores[softened], scores))

    def _cosines(
        self, concepts: Float[np.ndarray, "concepts dim"]
    ) -> Float[np.ndarray, "concepts probes"]:
        if len(concepts) == 1:
            return quiet_product(self.probes, concepts.astype(np.float32).T).T
        return np.asarray(concepts @ self.probes.T)


def text_weights(
    space: ProbeSpace, concepts: Float[np.ndarray, "concepts dim"]
) -> Float32[np.ndarray, "concepts probes"]:
    """How much each probe counts for concepts in words.

    Args:
        space: The probes and the background words in the encoder's space.
        concepts: Unit embeddings of the concepts' prompts.

    Returns:
        One row a concept; each row sums to 1.
    """
    return weigh_texts(space, concepts)[0]


def weigh_texts(
    space: ProbeSpace, concepts: Float[np.ndarray, "concepts dim"]
) -> tuple[Float32[np.ndarray, "concepts probes"], Float32[np.ndarray, " concepts"]]:
    """`text_weights` of concepts, and the highest posterior of each concept on any probe."""
    sharp = space.log_posterior(concepts)
    broad = zscore_rows(space.log_posterior(concepts, softened=True))
    posteriors = np.exp(sharp - sharp.max(axis=1, keepdims=True))
    weights = (_shares(posteriors) + _shares(np.maximum(broad, 0.0) ** PROBE_WEIGHTS.breadth)) / 2
    return np.asarray(weights), np.asarray(np.exp(sharp.max(axis=1)))


def picture_weights(
    space: ProbeSpace, concept: Float[np.ndarray, " dim"]
) -> Float32[np.ndarray, " probes"]:
    """How much each probe counts for a concept in pictures; sums to 1.

    Pictures are nearer to each other than to any words, so background words say nothing here: only
    the cosine is standardized.
    """
    unit = concept / np.linalg.norm(concept)
    values = standardize_query(space.probes @ unit)
    return np.asarray(_shares(np.maximum(values[None], 0.0) ** PROBE_WEIGHTS.breadth)[0])


def top_k_weights(
    weights: Float32[np.ndarray, "*concepts probes"], k: int
) -> Float32[np.ndarray, "*concepts probes"]:
    """The k highest weights of each concept, made to sum to 1 again; all others are zero.

    Ties are resolved as in `core.vectors.top_k`. A concept without any positive weight gets zeros.

    >>> top_k_weights(np.array([0.2, 0.4, 0.2, 0.2], np.float32), 2).round(2).tolist()
    [0.33, 0.67, 0.0, 0.0]
    """
    rows = weights.reshape(-1, weights.shape[-1])
    probes = top_k(rows, k)
    highest = np.zeros_like(rows)
    np.put_along_axis(highest, probes, np.take_along_axis(rows, probes, axis=1), axis=1)
    sums = highest.sum(axis=1, keepdims=True)
    shares = np.divide(highest, sums, out=np.zeros_like(highest), where=sums > 0)
    return np.asarray(shares.reshape(weights.shape))


def top_half(weights: Float32[np.ndarray, " probes"]) -> Int64[np.ndarray, " half"]:
    """Of the probes that have a weight, the half with the highest weights, in ascending order."""
    return np.sort(top_k(weights[None], (int(np.count_nonzero(weights)) + 1) // 2)[0])


def _log_sum_exp(
    values: Float32[np.ndarray, "words probes"],
) -> Float32[np.ndarray, " probes"]:
    highest = values.max(axis=0)
    return np.asarray(highest + np.log(np.exp(values - highest).sum(axis=0)))


def _shares(
    values: Float32[np.ndarray, "concepts probes"],
) -> Float32[np.ndarray, "concepts probes"]:
    """Each row over its sum; equal shares where the whole row is zero."""
    sums = values.sum(axis=1, keepdims=True)
    equal = np.full_like(values, 1.0 / values.shape[1])
    return np.asarray(np.divide(values, sums, out=equal, where=sums > 0), dtype=np.float32)

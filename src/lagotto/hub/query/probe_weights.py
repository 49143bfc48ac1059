"""Stage 4b of hub search: a concept's embedding → how much each probe counts for it.

The paper compares query and logit on the k probes of highest cosine, each counting the same
(ProbeLog, section 3.3). Here a probe counts by how surely it shows the concept *rather than* one of
many others: the posterior of the concept among a background vocabulary, as in zero-shot
classification. Two weights are averaged, a sharp one (that posterior itself: the few probes that
surely show it, or many where none does) and a broad one (all that resemble it). How it was chosen:
docs/results.md.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32

from lagotto.core.vectors import quiet_product, top_k
from lagotto.hub.query.vectors import standardize_query

BREADTH = 3.0
"""Power of the positive part of the standardised log posterior in the broad weights."""

SOFTENING = 0.377
"""The broad posterior's scale over the encoder's own logit scale."""


@dataclass(frozen=True)
class ProbeSpace:
    """Where concepts are compared with probes: unit embeddings and the scale of the encoder.

    `background` are the embeddings of words that stand for all other concepts.
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
        """What all words have in common, which tells no concept from another."""
        return np.asarray(self.background.mean(axis=0), dtype=np.float32)

    @cached_property
    def evidence(self) -> tuple[Float32[np.ndarray, " probes"], Float32[np.ndarray, " probes"]]:
        """log sum exp of the background on each probe: at the encoder's scale, and softened."""
        return (
            _log_sum_exp(self.logit_scale * self.background_cosines),
            _log_sum_exp(SOFTENING * self.logit_scale * self.background_cosines),
        )

    def log_posterior(
        self, concepts: Float[np.ndarray, "concepts dim"], *, softened: bool = False
    ) -> Float32[np.ndarray, "concepts probes"]:
        """log P(concept | probe) among the concept itself and the background words."""
        scale = self.logit_scale * (SOFTENING if softened else 1.0)
        scores = (scale * self._cosines(concepts)).astype(np.float32)
        return np.asarray(scores - np.logaddexp(self.evidence[softened], scores))

    def _cosines(
        self, concepts: Float[np.ndarray, "concepts dim"]
    ) -> Float[np.ndarray, "concepts probes"]:
        if len(concepts) == 1:
            return quiet_product(self.probes, concepts.astype(np.float32).T).T
        return np.asarray(concepts @ self.probes.T)


def text_weights(
    space: ProbeSpace, concepts: Float[np.ndarray, "concepts dim"]
) -> Float32[np.ndarray, "concepts probes"]:
    """How much each probe counts for concepts in words; each row sums to 1.

    `concepts` are unit embeddings of prompts.
    """
    return weigh_texts(space, concepts)[0]


def weigh_texts(
    space: ProbeSpace, concepts: Float[np.ndarray, "concepts dim"]
) -> tuple[Float32[np.ndarray, "concepts probes"], Float32[np.ndarray, " concepts"]]:
    """`text_weights` of concepts, and how surely any probe shows each: its highest posterior."""
    sharp = space.log_posterior(concepts)
    broad = _standard(space.log_posterior(concepts, softened=True))
    shown = np.exp(sharp - sharp.max(axis=1, keepdims=True))
    weights = (_shares(shown) + _shares(np.maximum(broad, 0.0) ** BREADTH)) / 2
    return np.asarray(weights), np.asarray(np.exp(sharp.max(axis=1)))


def picture_weights(
    space: ProbeSpace, concept: Float[np.ndarray, " dim"]
) -> Float32[np.ndarray, " probes"]:
    """How much each probe counts for a concept shown by pictures; sums to 1.

    Pictures are nearer to each other than to any words, so the background of words says nothing
    here: the cosine alone is standardised.
    """
    unit = concept / np.linalg.norm(concept)
    values = standardize_query(space.probes @ unit)
    return np.asarray(_shares(np.maximum(values[None], 0.0) ** BREADTH)[0])


def surest(weights: Float32[np.ndarray, " probes"], k: int) -> Float32[np.ndarray, " probes"]:
    """The k highest weights, the others zero, summing to 1 again; ties go to the earlier probe."""
    kept = np.zeros_like(weights)
    order = top_k(weights[None], k)[0]
    kept[order] = weights[order]
    return np.asarray(kept / kept.sum())


def _log_sum_exp(
    values: Float32[np.ndarray, "words probes"],
) -> Float32[np.ndarray, " probes"]:
    highest = values.max(axis=0)
    return np.asarray(highest + np.log(np.exp(values - highest).sum(axis=0)))


def _standard(
    values: Float32[np.ndarray, "concepts probes"],
) -> Float32[np.ndarray, "concepts probes"]:
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), np.float32(1e-9)))


def _shares(
    values: Float32[np.ndarray, "concepts probes"],
) -> Float32[np.ndarray, "concepts probes"]:
    """Each row over its sum; equal shares where all of it is zero, which tells no probe apart."""
    sums = values.sum(axis=1, keepdims=True)
    equal = np.full_like(values, 1.0 / values.shape[1])
    return np.asarray(np.divide(values, sums, out=equal, where=sums > 0), dtype=np.float32)

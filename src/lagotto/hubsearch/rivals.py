"""Stage 5c of hub search: what else a logit may be about → how high a query must score to be it.

The best logit for a concept that no model knows is one for its nearest relative, and its score is
often high. But the relative's own name scores higher there. Each word of a list is therefore asked
like the query, by the default rule, and a hit is judged by its lead over the best words: a local
scaling as in CSLS (Conneau et al., 2018, section 2.3), on the side of the logits.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.vectors import quiet_product
from lagotto.hubsearch.projection import project, projector
from lagotto.hubsearch.rules import DEFAULT_K, DIRECTION_SHARE
from lagotto.hubsearch.weighing import ProbeSpace, surest, text_weights

SAME_WORD = 0.95
"""Cosine of two prompts from which they name one concept: no rival of itself."""

SHORTLIST = 64
"""Words, best by their direction, that are asked of the probes too."""

_AT_ONCE = 256
_HITS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Rivals:
    """Words as they are asked of one hub: their surest probes with weights, and their embeddings.

    Moments are those of each word's two scores over a sample of the hub's logits. `origin` is what
    all words have in common.
    """

    embeddings: Float32[np.ndarray, "words dim"]
    origin: Float32[np.ndarray, " dim"]
    probes: Int64[np.ndarray, "words k"]
    weights: Float32[np.ndarray, "words k"]
    sum_mean: Float32[np.ndarray, " words"]
    sum_std: Float32[np.ndarray, " words"]
    along_mean: Float32[np.ndarray, " words"]
    along_std: Float32[np.ndarray, " words"]

    def subset(self, keep: Bool[np.ndarray, " words"]) -> "Rivals":
        """Some of the words."""
        return Rivals(
            self.embeddings[keep],
            self.origin,
            self.probes[keep],
            self.weights[keep],
            self.sum_mean[keep],
            self.sum_std[keep],
            self.along_mean[keep],
            self.along_std[keep],
        )


def measure_rivals(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    descriptors: Float32[np.ndarray, "probes sample"],
) -> Rivals:
    """How words, given by the unit embeddings of their prompts, score in a hub.

    `descriptors` are blended, those of a sample of its usable logits. The default rule is asked
    with its default k; takes a few tenths of a second for a thousand words.
    """
    k = min(DEFAULT_K, len(space.probes))
    probes = np.empty((len(words), k), np.int64)
    weights = np.empty((len(words), k), np.float32)
    sums = np.empty((2, len(words)), np.float32)
    for first in range(0, len(words), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        shares = np.stack([surest(row, k) for row in text_weights(space, words[part])])
        scores = shares @ descriptors
        sums[:, part] = scores.mean(axis=1), scores.std(axis=1)
        probes[part] = np.argpartition(-shares, k - 1, axis=1)[:, :k]
        weights[part] = np.take_along_axis(shares, probes[part], axis=1)
    directions = project(projector(space.probes), descriptors)
    along = (words - space.background_mean) @ directions.T
    floor = np.float32(1e-9)
    return Rivals(
        words,
        space.background_mean,
        probes,
        weights,
        sums[0],
        np.maximum(sums[1], floor),
        along.mean(axis=1),
        np.maximum(along.std(axis=1), floor),
    )


def rival_level(
    rivals: Rivals,
    concept: Float32[np.ndarray, " dim"],
    descriptors: Float32[np.ndarray, "probes hits"],
    directions: Float32[np.ndarray, "hits dim"],
    count: int,
) -> Float32[np.ndarray, " hits"]:
    """Mean score, by the default rule, of the `count` words that score highest on each logit.

    `descriptors` are blended, `directions` those of the logits in the encoder's space.
    Words that mean the concept itself (a unit embedding) are left out. Of few words all count; of
    none the level is nan.
    """
    cosines = quiet_product(rivals.embeddings, np.concatenate([directions, concept[None]]).T)
    cosines = np.ascontiguousarray(cosines.T)  # a row a hit
    same = cosines[-1] >= SAME_WORD
    others = int((~same).sum())
    if not others:
        return np.full(len(directions), np.nan, np.float32)
    along = cosines[:-1] - quiet_product(directions, rivals.origin[:, None])
    along -= rivals.along_mean
    along /= rivals.along_std
    along[:, same] = -np.inf
    kept = min(SHORTLIST, others)
    top = min(count, kept)
    levels = np.empty(len(directions), np.float32)
    for begin in range(0, len(directions), _HITS_AT_ONCE):
        part = slice(begin, begin + _HITS_AT_ONCE)
        short = np.argpartition(-along[part], kept - 1, axis=1)[:, :kept]
        hits = np.arange(begin, begin + len(short))[:, None]
        seen = descriptors[rivals.probes[short], hits[:, :, None]]
        sums = np.einsum("hwk,hwk->hw", rivals.weights[short], seen)
        total = (sums - rivals.sum_mean[short]) / rivals.sum_std[short]
        total += np.float32(DIRECTION_SHARE) * along[hits, short]
        levels[part] = np.partition(total, kept - top, axis=1)[:, kept - top :].mean(axis=1)
    return levels

"""A concept, hits and background words in, the concept's margin over the best words there out.

If no model knows "dog", the top hit is often a "wolf" logit. The margin detects this: the concept's
score minus the mean score of the three best background words on that logit, a local scaling as in
CSLS (Conneau et al., 2018, section 2.3). A published label that is believed is one more rival on
its own logit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.vectors import quiet_product
from lagotto.core.zscore import zscore
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    Names,
    reference_positions,
    take_names,
)
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.kernels.background_scores import background_scores
from lagotto.hub.kernels.label_sums import label_sums


@dataclass(frozen=True, slots=True)
class MarginConfig:
    """How a concept's score on a hit is compared with that of background words.

    The first three were chosen on the first halves by benchmarks/calibration/choice.py.

    Attributes:
        same_word: cosine of two prompts from which they name one concept, which is no rival of
            itself.
        shortlist: words, best by their direction, that are scored on the probes too.
        rivals: words whose mean score a hit is measured against.
        direction_weight: weight of the direction's z-score beside that of the probes, the same as
            in the ranking.
    """

    same_word: float = 0.95
    shortlist: int = 64
    rivals: int = 3
    direction_weight: float = SEARCH_CONFIG.direction_weight


MARGIN = MarginConfig()
"""The thresholds that the package uses."""


@dataclass(frozen=True, slots=True)
class HitContext:
    """Some logits, with what names are scored with and measured against on each.

    Attributes:
        descriptors: blended descriptors.
        directions: directions in the encoder's space.
        word_moments: moments of the scores of common words, as in `LogitSample`.
        rival_scores: the mean fitted score of the background words that score highest on each
            logit; of few words all count. nan without any word.
    """

    descriptors: Float32[np.ndarray, "hits probes"]
    directions: Float32[np.ndarray, "hits dim"]
    word_moments: Float32[np.ndarray, "4 hits"]
    rival_scores: Float32[np.ndarray, " hits"]


def hit_context(
    background: BackgroundStats,
    concept: Float32[np.ndarray, " dim"],
    descriptors: Float32[np.ndarray, "probes hits"],
    directions: Float32[np.ndarray, "hits dim"],
) -> HitContext:
    """The background words on some logits, given by blended descriptors and directions.

    Words that mean the concept, a unit embedding, are no rivals of it.
    """
    rows, words = np.ascontiguousarray(descriptors.T), background.words
    positions = reference_positions(len(words.embeddings))
    tables = (
        words.embeddings,
        background.origin,
        words.probes,
        words.weights,
        words.moments,
        positions,
    )
    rules = (MARGIN.same_word, MARGIN.shortlist, MARGIN.rivals, MARGIN.direction_weight)
    moments, rival_scores = background_scores(tables, rules, rows, directions, concept)
    return HitContext(rows, directions, moments, rival_scores)


def fitted_scores(
    background: BackgroundStats, names: Names, context: HitContext
) -> Float32[np.ndarray, "names hits"]:
    """The fitted score of each name on each logit, in standard deviations.

    A fitted score is a z-score over common words and then over the sample of logits, on the probes
    and along the direction, the latter weighed by `MarginConfig.direction_weight`.
    """
    count = len(names.probes)
    queried = np.broadcast_to(np.arange(count), (len(context.descriptors), count))
    on_probes = label_sums(context.descriptors, names.probes, names.weights, queried).T
    directions = (names.embeddings - background.origin).T
    along_direction = quiet_product(context.directions, directions).T
    probe_score, direction_score = (
        zscore(zscore(raw, *context.word_moments[part]), *names.moments[part, :, None])
        for raw, part in ((on_probes, slice(2)), (along_direction, slice(2, 4)))
    )
    return np.asarray(probe_score + np.float32(MARGIN.direction_weight) * direction_score)


def take_hits(context: HitContext, hits: Bool[np.ndarray, " all"] | slice) -> HitContext:
    """Some of the logits."""
    return HitContext(
        context.descriptors[hits],
        context.directions[hits],
        context.word_moments[:, hits],
        context.rival_scores[hits],
    )


def label_rival_scores(
    background: BackgroundStats,
    labels: Names,
    rows: Int64[np.ndarray, " hits"],
    concept: Float32[np.ndarray, " dim"],
    context: HitContext,
) -> Float32[np.ndarray, " hits"]:
    """The fitted score of each logit's own label.

    Args:
        background: the background words of the hub.
        labels: the different labels of the logits.
        rows: for each logit its label's row in `labels`, -1 for none.
        concept: the concept's unit embedding.
        context: the logits.

    Returns:
        The scores; -inf without a label, or if the label means the concept itself.
    """
    scores = np.full(len(rows), -np.inf, np.float32)
    same = quiet_product(labels.embeddings, concept[:, None])[:, 0] >= MARGIN.same_word
    for row in np.unique(rows[rows >= 0]).tolist():
        mask = rows == row
        if not same[row]:
            name = take_names(labels, [row])
            scores[mask] = fitted_scores(background, name, take_hits(context, mask))[0]
    return scores

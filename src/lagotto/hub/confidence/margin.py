"""Stage 5d of hub search: what else a logit may be about → what a concept has to beat there.

The best logit for a concept that no model knows is one for its nearest relative, and its score is
often high. But the relative's own name scores higher there. Each word of a list is therefore asked
like the query, and a hit is judged by its lead over the best words: a local scaling as in CSLS
(Conneau et al., 2018, section 2.3), on the side of the logits. A published name that is believed
is one rival more on its own logit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.vectors import quiet_product
from lagotto.core.zscore import zscore
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    Names,
    take_names,
    usual_places,
)
from lagotto.hub.kernels.background_scores import background_scores
from lagotto.hub.kernels.label_sums import label_sums

SAME_WORD = 0.95
"""Cosine of two prompts from which they name one concept: no rival of itself."""

SHORTLIST = 64
"""Words, best by their direction, that are asked of the probes too."""

RIVALS = 3
"""Words whose mean score a hit is measured against."""

ALONG = 0.75
"""What the direction counts in a fitted score, next to the probes."""

_RULES = (SAME_WORD, SHORTLIST, RIVALS, ALONG)


@dataclass(frozen=True, slots=True)
class HitContext:
    """Some logits as names are asked of them; `usual` as in Sample.

    `levels` are the mean fitted scores of the words that score highest on each: what a concept has
    to beat there. Of few words all count; nan where there are none.
    """

    descriptors: Float32[np.ndarray, "hits probes"]
    directions: Float32[np.ndarray, "hits dim"]
    usual: Float32[np.ndarray, "4 hits"]
    levels: Float32[np.ndarray, " hits"]


def seen_logits(
    rivals: BackgroundStats,
    concept: Float32[np.ndarray, " dim"],
    descriptors: Float32[np.ndarray, "probes hits"],
    directions: Float32[np.ndarray, "hits dim"],
) -> HitContext:
    """Logits, by their blended descriptors and their directions, as names are asked of them.

    Words that mean the concept (a unit embedding) are no rivals of it.
    """
    own, words = np.ascontiguousarray(descriptors.T), rivals.words
    places = usual_places(len(words.embeddings))
    tables = (words.embeddings, rivals.origin, words.probes, words.weights, words.usual, places)
    usual, levels = background_scores(tables, _RULES, own, directions, concept)
    return HitContext(own, directions, usual, levels)


def fitted_scores(
    rivals: BackgroundStats, names: Names, seen: HitContext
) -> Float32[np.ndarray, "names hits"]:
    """The fitted score of each name on each logit."""
    asked = np.broadcast_to(np.arange(len(names.probes)), (len(seen.usual[0]), len(names.probes)))
    on_probes = label_sums(seen.descriptors, names.probes, names.weights, asked).T
    along = quiet_product(seen.directions, (names.embeddings - rivals.origin).T).T
    first, second = (
        zscore(zscore(each, *seen.usual[part]), *names.usual[part, :, None])
        for each, part in ((on_probes, slice(2)), (along, slice(2, 4)))
    )
    return np.asarray(first + np.float32(ALONG) * second)


def take_seen(seen: HitContext, hits: Bool[np.ndarray, " all"] | slice) -> HitContext:
    """Some of the logits."""
    usual, levels = seen.usual[:, hits], seen.levels[hits]
    return HitContext(seen.descriptors[hits], seen.directions[hits], usual, levels)


def label_levels(
    rivals: BackgroundStats,
    labels: Names,
    own: Int64[np.ndarray, " hits"],
    concept: Float32[np.ndarray, " dim"],
    seen: HitContext,
) -> Float32[np.ndarray, " hits"]:
    """The fitted score of each logit's own label, `own` being its place in `labels`, -1 for none.

    -inf without a label, or where the label means the concept itself (a unit embedding).
    """
    levels = np.full(len(own), -np.inf, np.float32)
    same = quiet_product(labels.embeddings, concept[:, None])[:, 0] >= SAME_WORD
    for place in np.unique(own[own >= 0]).tolist():
        mine = own == place
        if not same[place]:
            name = take_names(labels, [place])
            levels[mine] = fitted_scores(rivals, name, take_seen(seen, mine))[0]
    return levels

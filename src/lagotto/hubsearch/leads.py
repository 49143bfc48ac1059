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
from lagotto.hubsearch.rivals import Names, Rivals, counted, moments, take_names, usual_places

SAME_WORD = 0.95
"""Cosine of two prompts from which they name one concept: no rival of itself."""

SHORTLIST = 64
"""Words, best by their direction, that are asked of the probes too."""

RIVALS = 3
"""Words whose mean score a hit is measured against."""

ALONG = 0.75
"""What the direction counts in a fitted score, next to the probes."""

_HITS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Seen:
    """Some logits as names are asked of them; `usual` as in Sample."""

    descriptors: Float32[np.ndarray, "probes hits"]
    directions: Float32[np.ndarray, "hits dim"]
    usual: Float32[np.ndarray, "4 hits"]


def seen_logits(
    rivals: Rivals,
    descriptors: Float32[np.ndarray, "probes hits"],
    directions: Float32[np.ndarray, "hits dim"],
) -> Seen:
    """Logits, by their blended descriptors and their directions, as names are asked of them."""
    places = usual_places(len(rivals.words.embeddings))
    along = quiet_product(rivals.words.embeddings[places] - rivals.origin, directions.T)
    sums = quiet_product(rivals.usual, descriptors)
    usual = np.concatenate([moments(each, axis=0) for each in (sums, along)])
    return Seen(descriptors, directions, usual)


def fitted_scores(rivals: Rivals, names: Names, seen: Seen) -> Float32[np.ndarray, "names hits"]:
    """The fitted score of each name on each logit."""
    on_probes = np.stack(
        [
            shares @ seen.descriptors[rows]
            for rows, shares in zip(names.probes, names.weights, strict=True)
        ]
    )
    along = (names.embeddings - rivals.origin) @ seen.directions.T
    first, second = (
        counted(counted(each, *seen.usual[part]), *names.usual[part, :, None])
        for each, part in ((on_probes, slice(2)), (along, slice(2, 4)))
    )
    return np.asarray(first + np.float32(ALONG) * second)


def rival_levels(
    rivals: Rivals, concept: Float32[np.ndarray, " dim"], seen: Seen
) -> Float32[np.ndarray, " hits"]:
    """Mean fitted score of the words that score highest on each logit; nan where there are none.

    Words that mean the concept itself (a unit embedding) are left out. Of few words all count.
    """
    words = rivals.words
    same = words.embeddings @ concept >= SAME_WORD
    levels = np.full(len(seen.directions), np.nan, np.float32)
    if same.all():
        return levels
    for first in range(0, len(levels), _HITS_AT_ONCE):
        part = slice(first, first + _HITS_AT_ONCE)
        levels[part] = _levels(rivals, same, take_seen(seen, part))
    return levels


def take_seen(seen: Seen, hits: Bool[np.ndarray, " all"] | slice) -> Seen:
    """Some of the logits."""
    return Seen(seen.descriptors[:, hits], seen.directions[hits], seen.usual[:, hits])


def _levels(
    rivals: Rivals, same: Bool[np.ndarray, " words"], seen: Seen
) -> Float32[np.ndarray, " hits"]:
    words = rivals.words
    along = quiet_product(words.embeddings, seen.directions.T) - seen.directions @ rivals.origin
    along = counted(counted(along, *seen.usual[2:]), *words.usual[2:, :, None])
    along[same] = -np.inf
    kept = min(SHORTLIST, int((~same).sum()))
    short = np.argpartition(-along, kept - 1, axis=0)[:kept]
    hits = np.arange(along.shape[1])
    seen_there = seen.descriptors[words.probes[short], hits[:, None]]
    sums = np.einsum("whk,whk->wh", words.weights[short], seen_there)
    scores = counted(counted(sums, *seen.usual[:2]), *words.usual[:2, short])
    scores += np.float32(ALONG) * along[short, hits]
    top = min(RIVALS, kept)
    return np.asarray(np.partition(scores, kept - top, axis=0)[kept - top :].mean(axis=0))


def label_levels(
    rivals: Rivals,
    labels: Names,
    own: Int64[np.ndarray, " hits"],
    concept: Float32[np.ndarray, " dim"],
    seen: Seen,
) -> Float32[np.ndarray, " hits"]:
    """The fitted score of each logit's own label, `own` being its place in `labels`, -1 for none.

    -inf without a label, or where the label means the concept itself (a unit embedding).
    """
    levels = np.full(len(own), -np.inf, np.float32)
    same = labels.embeddings @ concept >= SAME_WORD
    for place in np.unique(own[own >= 0]).tolist():
        mine = own == place
        if not same[place]:
            name = take_names(labels, [place])
            levels[mine] = fitted_scores(rivals, name, take_seen(seen, mine))[0]
    return levels

"""Stage 5d of hub search: what else a logit may be about → what a concept has to beat there.

The best logit for a concept that no model knows is one for its nearest relative, and its score is
often high. But the relative's own name scores higher there. Each word of a list is therefore asked
like the query, and a hit is judged by its lead over the best words: a local scaling as in CSLS
(Conneau et al., 2018, section 2.3), on the side of the logits. A published name that is believed
is one rival more on its own logit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.hubsearch.rivals import Names, Rivals, counted, moments, take_names, usual_places
from lagotto.hubsearch.rules import DIRECTION_SHARE

SAME_WORD = 0.95
"""Cosine of two prompts from which they name one concept: no rival of itself."""

SHORTLIST = 64
"""Words, best by their direction, that are asked of the probes too."""

PLAIN_RIVALS = 5
FITTED_RIVALS = 3
"""Words whose mean score a hit is measured against, in either way of counting."""

FITTED_SHARE = 0.75
"""What the direction counts in a fitted score, next to the probes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Some logits as names are asked of them; `usual` as in Sample."""

    descriptors: Float32[np.ndarray, "probes hits"]
    directions: Float32[np.ndarray, "hits dim"]
    usual: Float32[np.ndarray, "4 hits"]


@dataclass(frozen=True, slots=True)
class Levels:
    """What a concept has to beat on each logit, in either way of counting; nan without rivals."""

    plain: Float32[np.ndarray, " hits"]
    fitted: Float32[np.ndarray, " hits"]


def seen_logits(
    rivals: Rivals,
    descriptors: Float32[np.ndarray, "probes hits"],
    directions: Float32[np.ndarray, "hits dim"],
) -> Seen:
    """Logits, by their blended descriptors and their directions, as names are asked of them."""
    places = usual_places(len(rivals.words.embeddings))
    along = (rivals.words.embeddings[places] - rivals.origin) @ directions.T
    sums = rivals.usual @ descriptors
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
        counted(counted(each, *seen.usual[part]), *names.fitted[part, :, None])
        for each, part in ((on_probes, slice(2)), (along, slice(2, 4)))
    )
    return np.asarray(first + np.float32(FITTED_SHARE) * second)


def rival_levels(rivals: Rivals, concept: Float32[np.ndarray, " dim"], seen: Seen) -> Levels:
    """Mean scores of the words that score highest on each logit.

    Words that mean the concept itself (a unit embedding) are left out. Of few words all count.
    """
    words, directions = rivals.words, seen.directions
    cosines = words.embeddings @ np.concatenate([directions, concept[None]]).T
    same = cosines[:, -1] >= SAME_WORD
    others = int((~same).sum())
    if not others:
        nothing = np.full(len(directions), np.nan, np.float32)
        return Levels(nothing, nothing)
    raw = cosines[:, :-1] - directions @ rivals.origin
    along = counted(raw, *words.plain[2:, :, None])
    along[same] = -np.inf
    kept = min(SHORTLIST, others)
    short = np.argpartition(-along, kept - 1, axis=0)[:kept]
    hits = np.arange(len(directions))
    seen_there = seen.descriptors[words.probes[short], hits[:, None]]
    sums = np.einsum("whk,whk->wh", words.weights[short], seen_there)
    plain = counted(sums, *words.plain[:2, short])
    plain += np.float32(DIRECTION_SHARE) * along[short, hits]
    fitted = counted(counted(sums, *seen.usual[:2]), *words.fitted[:2, short])
    fitted += np.float32(FITTED_SHARE) * counted(
        counted(raw[short, hits], *seen.usual[2:]), *words.fitted[2:, short]
    )
    return Levels(_mean_of_best(plain, PLAIN_RIVALS), _mean_of_best(fitted, FITTED_RIVALS))


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
            part = Seen(seen.descriptors[:, mine], seen.directions[mine], seen.usual[:, mine])
            levels[mine] = fitted_scores(rivals, take_names(labels, [place]), part)[0]
    return levels


def _mean_of_best(
    scores: Float32[np.ndarray, "words hits"], count: int
) -> Float32[np.ndarray, " hits"]:
    top = min(count, len(scores))
    return np.asarray(np.partition(scores, len(scores) - top, axis=0)[-top:].mean(axis=0))

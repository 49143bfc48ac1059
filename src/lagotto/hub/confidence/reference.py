"""Stage 5c of hub search: names × a sample of a hub's logits → what is usual for each name there.

Any name is asked as the default rule asks a query: of its surest probes, and along its direction.
Its scores are counted in standard deviations twice: of a logit's scores over usual words, which
takes away what it gives to any word, then of the name's over the sample. Describe and audit count
so too (fit.py). What is measured of the background words is kept in the hub's folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Int8, Int64

from lagotto.core.vectors import quiet_product, top_k
from lagotto.core.zscore import moments, zscore
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.quantize import quantize
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.query.probe_weights import ProbeSpace, text_weights, top_k_weights

USUAL = 256
"""Words, evenly taken from the list, that tell what a logit gives to any word."""

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Names:
    """Names as they are asked of one hub: their surest probes with weights, and their embeddings.

    `usual` are moments of a name's scores over a sample of the hub's logits: mean and spread on the
    probes, mean and spread along the direction.
    """

    embeddings: Float32[np.ndarray, "names dim"]
    probes: Int64[np.ndarray, "names k"]
    weights: Float32[np.ndarray, "names k"]
    usual: Float32[np.ndarray, "4 names"]


@dataclass(frozen=True, slots=True)
class LogitSample:
    """A sample of a hub's logits: blended descriptors in steps, and directions.

    `usual` has each logit's moments over the usual words: on the probes, and along its direction.
    """

    values: Int8[np.ndarray, "probes sample"]
    steps: Float32[np.ndarray, " sample"]
    directions: Float32[np.ndarray, "sample dim"]
    usual: Float32[np.ndarray, "4 sample"]


@dataclass(frozen=True, slots=True)
class BackgroundStats:
    """The words that are rivals of any query, and the sample that names are measured on.

    `origin` is what all words have in common.
    """

    words: Names
    sample: LogitSample
    origin: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class WordScores:
    """Words asked of some logits: each word's surest probes with weights, and its raw scores."""

    probes: Int64[np.ndarray, "words k"]
    weights: Float32[np.ndarray, "words k"]
    sums: Float32[np.ndarray, "words logits"]
    along: Float32[np.ndarray, "words logits"]


def measure_background(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    descriptors: Float32[np.ndarray, "probes sample"],
) -> BackgroundStats:
    """How words, given by the unit embeddings of their prompts, score in a hub.

    `descriptors` are blended, those of a sample of its usable logits. The default rule is asked
    with its default k; takes a few tenths of a second for a thousand words.
    """
    directions = project(projector(space.probes), descriptors)
    scores = score_words(space, words, descriptors, directions)
    return background_from_scores(space, words, scores, descriptors, directions)


def score_words(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    descriptors: Float32[np.ndarray, "probes logits"],
    directions: Float32[np.ndarray, "logits dim"],
) -> WordScores:
    """The two raw scores of words on logits, by their blended descriptors and directions."""
    probes, weights = _surest_probes(space, words)
    sums = np.empty((len(words), descriptors.shape[1]), np.float32)
    for first in range(0, len(words), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        sums[part] = _spread_out(probes[part], weights[part], len(descriptors)) @ descriptors
    along = (words - space.background_mean) @ directions.T
    return WordScores(probes, weights, sums, along)


def background_from_scores(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    scores: WordScores,
    descriptors: Float32[np.ndarray, "probes sample"],
    directions: Float32[np.ndarray, "sample dim"],
) -> BackgroundStats:
    """The rivals of a hub, from the scores of words on a sample of its logits."""
    places = usual_places(len(words))
    usual = np.concatenate([moments(each[places], axis=0) for each in (scores.sums, scores.along)])
    values, steps = quantize(descriptors)
    measured = _moments_of_names(scores.sums, scores.along, usual)
    return BackgroundStats(
        Names(words, scores.probes, scores.weights, measured),
        LogitSample(values, steps, directions, usual),
        space.background_mean,
    )


def measure_names(
    rivals: BackgroundStats,
    embeddings: Float32[np.ndarray, "names dim"],
    weights: Float32[np.ndarray, "names probes"],
) -> Names:
    """A few names as they are asked of the same hub; `weights` as those of text_weights."""
    probes, kept = _top_k_probes(weights)
    sample = rivals.sample
    tables = (sample.values[rows].astype(np.float32) for rows in probes)
    sums = np.stack(
        [np.einsum("k,kc->c", shares, table) for shares, table in zip(kept, tables, strict=True)]
    )
    sums *= sample.steps
    along = quiet_product(sample.directions, (embeddings - rivals.origin).T).T
    return Names(embeddings, probes, kept, _moments_of_names(sums, along, sample.usual))


def measured_name(
    rivals: BackgroundStats,
    embedding: Float32[np.ndarray, " dim"],
    weights: Float32[np.ndarray, " probes"],
    usual: Float32[np.ndarray, "2 sample"],
) -> Names:
    """A name whose raw sums on the sample are known: on its surest probes, along its direction."""
    probes, kept = _top_k_probes(weights[None])
    moments_there = _moments_of_names(usual[:1], usual[1:], rivals.sample.usual)
    return Names(embedding[None], probes, kept, moments_there)


def take_names(names: Names, places: Sequence[int]) -> Names:
    """Some of the names, by their places."""
    rows = np.array(places, dtype=np.int64)
    return Names(
        names.embeddings[rows],
        names.probes[rows],
        names.weights[rows],
        names.usual[:, rows],
    )


def join_names(parts: Sequence[Names]) -> Names:
    """Names measured apart in one hub, as one table."""
    return Names(
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.probes for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.usual for part in parts], axis=1),
    )


@cache
def usual_places(words: int) -> Int64[np.ndarray, " usual"]:
    """Which of so many words are the usual ones."""
    places = np.linspace(0, words - 1, min(USUAL, words)).round().astype(np.int64)
    places.flags.writeable = False  # one array for all who ask
    return places


def _surest_probes(
    space: ProbeSpace, names: Float32[np.ndarray, "names dim"]
) -> tuple[Int64[np.ndarray, "names k"], Float32[np.ndarray, "names k"]]:
    parts = [
        _top_k_probes(text_weights(space, names[first : first + _AT_ONCE]))
        for first in range(0, len(names), _AT_ONCE)
    ]
    probes, weights = zip(*parts, strict=True)
    return np.concatenate(probes), np.concatenate(weights)


def _top_k_probes(
    weights: Float32[np.ndarray, "names probes"],
) -> tuple[Int64[np.ndarray, "names k"], Float32[np.ndarray, "names k"]]:
    """The top k probes of each name, highest first, and their weights, which sum to 1 again."""
    probes = top_k(weights, SEARCH_CONFIG.k)
    return probes, np.take_along_axis(top_k_weights(weights, SEARCH_CONFIG.k), probes, axis=1)


def _spread_out(
    probes: Int64[np.ndarray, "names k"], weights: Float32[np.ndarray, "names k"], count: int
) -> Float32[np.ndarray, "names probes"]:
    table = np.zeros((len(probes), count), np.float32)
    np.put_along_axis(table, probes, weights, axis=1)
    return table


def _moments_of_names(
    sums: Float32[np.ndarray, "names sample"],
    along: Float32[np.ndarray, "names sample"],
    usual: Float32[np.ndarray, "4 sample"],
) -> Float32[np.ndarray, "4 names"]:
    """Moments over the sample, of scores that were counted over the usual words."""
    both = zscore(sums, *usual[:2]), zscore(along, *usual[2:])
    return np.concatenate([moments(each, axis=1) for each in both])

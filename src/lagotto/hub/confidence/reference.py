"""Names and a sample of a hub's logits in, the names with the moments of their scores there out.

A name is scored as the default rule scores a query: on its top probes, and along its direction.
Both scores become z-scores twice. The first is over common words on each logit, which removes what
the logit gives to any word; the second is over the sample of logits, for each name. `fit.py` does
the same for descriptions and audits. The background words' statistics are kept in the hub's folder.
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

REFERENCE_WORDS = 256
"""Words, evenly taken from the background, whose scores show what a logit gives to any word."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Names:
    """Names as they are scored in one hub.

    Attributes:
        embeddings: unit embeddings of their prompts.
        probes: the top probes of each name.
        weights: the weights of these probes, which sum to 1.
        moments: moments of a name's scores over a sample of the hub's logits: mean and standard
            deviation on the probes, mean and standard deviation along the direction.
    """

    embeddings: Float32[np.ndarray, "names dim"]
    probes: Int64[np.ndarray, "names k"]
    weights: Float32[np.ndarray, "names k"]
    moments: Float32[np.ndarray, "4 names"]


@dataclass(frozen=True, slots=True)
class LogitSample:
    """A sample of a hub's logits.

    Attributes:
        values: blended descriptors, in steps.
        steps: the size of a step of each logit.
        directions: directions in the encoder's space.
        word_moments: moments of each logit's scores over common words: mean and standard deviation
            on the probes, mean and standard deviation along its direction.
    """

    values: Int8[np.ndarray, "probes sample"]
    steps: Float32[np.ndarray, " sample"]
    directions: Float32[np.ndarray, "sample dim"]
    word_moments: Float32[np.ndarray, "4 sample"]


@dataclass(frozen=True, slots=True)
class BackgroundStats:
    """The words that are rivals of any query, and the sample of logits that names are measured on.

    `origin` is the mean embedding of the words.
    """

    words: Names
    sample: LogitSample
    origin: Float32[np.ndarray, " dim"]


@dataclass(frozen=True, slots=True)
class WordScores:
    """Words on some logits: the top probes of each word with weights, and its two raw scores."""

    probes: Int64[np.ndarray, "words k"]
    weights: Float32[np.ndarray, "words k"]
    sums: Float32[np.ndarray, "words logits"]
    direction_scores: Float32[np.ndarray, "words logits"]


def measure_background(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    descriptors: Float32[np.ndarray, "probes sample"],
) -> BackgroundStats:
    """How words score in a hub; takes a few tenths of a second for a thousand words.

    Args:
        space: the probes in the encoder's space.
        words: unit embeddings of the words' prompts.
        descriptors: blended descriptors of a sample of the hub's usable logits.
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
    probes, weights = _top_probes(space, words)
    sums = np.empty((len(words), descriptors.shape[1]), np.float32)
    for first in range(0, len(words), _BATCH):
        part = slice(first, first + _BATCH)
        sums[part] = _full_rows(probes[part], weights[part], len(descriptors)) @ descriptors
    direction_scores = (words - space.background_mean) @ directions.T
    return WordScores(probes, weights, sums, direction_scores)


def background_from_scores(
    space: ProbeSpace,
    words: Float32[np.ndarray, "words dim"],
    scores: WordScores,
    descriptors: Float32[np.ndarray, "probes sample"],
    directions: Float32[np.ndarray, "sample dim"],
) -> BackgroundStats:
    """The statistics of the words, from their scores on a sample of the hub's logits."""
    positions = reference_positions(len(words))
    raw = (scores.sums, scores.direction_scores)
    word_moments = np.concatenate([moments(table[positions], axis=0) for table in raw])
    values, steps = quantize(descriptors)
    name_moments = _moments_of_names(scores.sums, scores.direction_scores, word_moments)
    return BackgroundStats(
        Names(words, scores.probes, scores.weights, name_moments),
        LogitSample(values, steps, directions, word_moments),
        space.background_mean,
    )


def measure_names(
    background: BackgroundStats,
    embeddings: Float32[np.ndarray, "names dim"],
    weights: Float32[np.ndarray, "names probes"],
) -> Names:
    """A few names as they are scored in the same hub; `weights` as those of text_weights."""
    probes, top_weights = _top_k(weights)
    sample = background.sample
    tables = (sample.values[rows].astype(np.float32) for rows in probes)
    pairs = zip(top_weights, tables, strict=True)
    sums = np.stack([np.einsum("k,kc->c", shares, table) for shares, table in pairs])
    sums *= sample.steps
    scores = quiet_product(sample.directions, (embeddings - background.origin).T).T
    name_moments = _moments_of_names(sums, scores, sample.word_moments)
    return Names(embeddings, probes, top_weights, name_moments)


def name_from_scores(
    background: BackgroundStats,
    embedding: Float32[np.ndarray, " dim"],
    weights: Float32[np.ndarray, " probes"],
    scores: Float32[np.ndarray, "2 sample"],
) -> Names:
    """A name whose raw scores on the sample are known: on its top probes, along its direction."""
    probes, top_weights = _top_k(weights[None])
    name_moments = _moments_of_names(scores[:1], scores[1:], background.sample.word_moments)
    return Names(embedding[None], probes, top_weights, name_moments)


def take_names(names: Names, rows: Sequence[int]) -> Names:
    """Some of the names, by their rows."""
    index = np.array(rows, dtype=np.int64)
    return Names(
        names.embeddings[index],
        names.probes[index],
        names.weights[index],
        names.moments[:, index],
    )


def join_names(parts: Sequence[Names]) -> Names:
    """Names measured apart in one hub, as one table."""
    return Names(
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.probes for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.moments for part in parts], axis=1),
    )


@cache
def reference_positions(words: int) -> Int64[np.ndarray, " reference"]:
    """Which of so many background words are the reference words."""
    count = min(REFERENCE_WORDS, words)
    positions = np.linspace(0, words - 1, count).round().astype(np.int64)
    positions.flags.writeable = False  # one array for all callers
    return positions


def _top_probes(
    space: ProbeSpace, names: Float32[np.ndarray, "names dim"]
) -> tuple[Int64[np.ndarray, "names k"], Float32[np.ndarray, "names k"]]:
    parts = [
        _top_k(text_weights(space, names[first : first + _BATCH]))
        for first in range(0, len(names), _BATCH)
    ]
    probes, weights = zip(*parts, strict=True)
    return np.concatenate(probes), np.concatenate(weights)


def _top_k(
    weights: Float32[np.ndarray, "names probes"],
) -> tuple[Int64[np.ndarray, "names k"], Float32[np.ndarray, "names k"]]:
    """The top k probes of each name, highest first, and their weights, which sum to 1 again."""
    probes = top_k(weights, SEARCH_CONFIG.k)
    return probes, np.take_along_axis(top_k_weights(weights, SEARCH_CONFIG.k), probes, axis=1)


def _full_rows(
    probes: Int64[np.ndarray, "names k"], weights: Float32[np.ndarray, "names k"], count: int
) -> Float32[np.ndarray, "names probes"]:
    """The weights of all probes: 0 but for the top ones."""
    table = np.zeros((len(probes), count), np.float32)
    np.put_along_axis(table, probes, weights, axis=1)
    return table


def _moments_of_names(
    sums: Float32[np.ndarray, "names sample"],
    direction_scores: Float32[np.ndarray, "names sample"],
    word_moments: Float32[np.ndarray, "4 sample"],
) -> Float32[np.ndarray, "4 names"]:
    """Moments over the sample, of the scores of names as z-scores over the reference words."""
    both = zscore(sums, *word_moments[:2]), zscore(direction_scores, *word_moments[2:])
    return np.concatenate([moments(scores, axis=1) for scores in both])

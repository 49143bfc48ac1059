"""Raw scores of all logits come in; scores on one scale over a hub go out.

The thresholds that a search by any rule uses stand here too, each with the benchmark that set it.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.core.zscore import zscore_by_sample

RuleName: TypeAlias = Literal["default", "paper", "full-query"]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """The thresholds of a search; `SEARCH_CONFIG` has the values in use."""

    k: int = 50
    """Probes that decide a query, unless the user says otherwise. benchmarks/quality/rules.py"""

    direction_weight: float = 0.5
    """Weight of the direction's z-score beside that of the blended descriptors.
    benchmarks/quality/rules.py"""

    candidates: int = 512
    """Logits, best by their plain descriptors, that are scored by their blended descriptors and
    their directions. benchmarks/quality/first_look.py"""

    sample_logits: int = 1024
    """Logits, evenly spaced, over which the mean and the standard deviation of a score are taken.
    Chosen by hand: the sampling error of a mean is 3% of a standard deviation."""

    half_scan_logits: int = 100_000
    """Logits of a hub from which the candidates are chosen on the top half of the k probes.
    benchmarks/quality/first_look.py, benchmarks/speed/query.py"""

    nearest: int = 256
    """Logits, best by the low-rank index, whose distance is measured (4 x `top` if that is more).
    benchmarks/speed/low_rank.py"""

    index_candidates: int = 16
    """Times `candidates`: logits, best by the low-rank index, whose plain descriptors are read.
    benchmarks/speed/low_rank.py"""

    index_pays_probes: float = 4.0
    """Probes that a query reads, for each rank of the low-rank index, from which the index is
    quicker than a scan. benchmarks/speed/low_rank.py"""

    index_pays_logits: int = 1000
    """Logits of a hub, for each logit that is read after the low-rank index, from which the index
    is quicker: single logits lie far apart, and a scan reads a thousand neighbours in the time of
    one. benchmarks/speed/low_rank.py"""

    index_rank: int = 64
    """Numbers a logit in a low-rank index, where that meets `index_shrinkage`.
    benchmarks/speed/low_rank.py"""

    index_shrinkage: int = 10
    """How many times smaller than the descriptors a low-rank index of the default rank is at least.
    Chosen by hand: docs/how-to/large-hubs.md."""

    index_sample_logits: int = 20_000
    """Logits, drawn by a seed, from which the factors of a low-rank index are taken.
    benchmarks/speed/low_rank.py"""


SEARCH_CONFIG = SearchConfig()


def combine_scores(
    blended: Float[np.ndarray, "queries logits"],
    directions: Float[np.ndarray, "queries logits"],
    sample: Int64[np.ndarray, " sample"],
) -> Float32[np.ndarray, "queries logits"]:
    """Scores by the default rule, but for names: z-scores of blended sums and of directions.

    Args:
        blended: Weighted sums of the blended descriptors of all logits.
        directions: Dot products of the logits' directions with that of each concept.
        sample: The logits over which both are standardized.
    """
    scores = zscore_by_sample(blended, sample)
    weight = np.float32(SEARCH_CONFIG.direction_weight)
    scores += weight * zscore_by_sample(directions, sample)
    return scores


def sample_columns(usable: Int64[np.ndarray, " logits"]) -> Int64[np.ndarray, " sample"]:
    """At most `sample_logits` of the usable logits, evenly spaced; all of fewer."""
    count = SEARCH_CONFIG.sample_logits
    if len(usable) <= count:
        return usable
    positions = np.linspace(0, len(usable) - 1, count).round().astype(np.int64)
    return np.asarray(usable[positions])


def noise_threshold(logits: int) -> float:
    """About the best score that so many logits reach by accident: sqrt(2 ln n)."""
    return math.sqrt(2.0 * math.log(max(2, logits)))

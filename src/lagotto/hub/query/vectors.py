"""Stage 4 of hub search: a concept → a query vector over the probes, and its k surest probes.

A query vector is what a logit that recognises the concept would answer on the probes, standardised
like a descriptor (ProbeLog, section 3.3). The k probes it is surest of decide the search.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.vectors import top_k


def standardize_query(responses: Float[np.ndarray, " probes"]) -> Float32[np.ndarray, " probes"]:
    """The responses minus their mean, over their population standard deviation.

    Raises UsageError if they are constant or not finite: such a query tells no probe from another.
    """
    values: Float64[np.ndarray, " probes"] = responses.astype(np.float64)
    if not np.isfinite(values).all():
        raise UsageError("the query has no finite value on some probes; choose another logit")
    spread = float(values.std())
    if spread <= 1e-9 * max(1.0, float(np.abs(values).max())):
        raise UsageError(
            "the query is the same on every probe, so it finds nothing; choose another"
        )
    standardised: Float32[np.ndarray, " probes"] = (values - values.mean()) / spread
    return standardised.astype(np.float32)


def query_from_embedding(
    concept: Float[np.ndarray, " dim"], probes: Float[np.ndarray, "probes dim"]
) -> Float32[np.ndarray, " probes"]:
    """Cosine of a concept (a text, or the mean of some pictures) with each probe, standardised.

    All rows are unit embeddings of one encoder; a mean of several is made unit length again here.
    """
    unit = concept / np.linalg.norm(concept)
    return standardize_query(probes @ unit)


def surest_probes(query: Float[np.ndarray, " probes"], k: int) -> Int64[np.ndarray, " k"]:
    """The k probes on which the query is highest, highest first; ties go to the earlier probe.

    Raises UsageError unless 1 <= k <= number of probes.
    """
    if not 1 <= k <= len(query):
        raise UsageError(
            f"k = {k} was asked for, and this hub has {len(query)} probes; "
            f"choose k between 1 and {len(query)}"
        )
    return np.asarray(top_k(query[None], k)[0])

"""An embedding or a logit's responses come in; a query vector, and its top k probes, go out.

A query vector holds the responses that a logit which recognizes the concept would have on the
probes, standardized like a descriptor (ProbeLog, section 3.3). Its k highest probes decide the
search by the paper's rule.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.vectors import top_k
from lagotto.core.zscore import zscore_rows


def standardize_query(responses: Float[np.ndarray, " probes"]) -> Float32[np.ndarray, " probes"]:
    """The responses minus their mean, over their population standard deviation.

    Raises UsageError if they are constant or not finite: such a query tells no probe from another.
    """
    values: Float64[np.ndarray, " probes"] = responses.astype(np.float64)
    if not np.isfinite(values).all():
        raise UsageError("the query has no finite value on some probes; choose another logit")
    if float(values.std()) <= 1e-9 * float(np.abs(values).max()):
        raise UsageError(
            "the query is the same on every probe, so it finds nothing; choose another"
        )
    return np.asarray(zscore_rows(values[None])[0], dtype=np.float32)


def query_from_embedding(
    concept: Float[np.ndarray, " dim"], probes: Float[np.ndarray, "probes dim"]
) -> Float32[np.ndarray, " probes"]:
    """Cosine of a concept with each probe, standardized.

    Args:
        concept: The embedding of a text, or the mean embedding of some pictures; of any length.
        probes: Unit embeddings of the probes by the same encoder.

    Returns:
        One value a probe.
    """
    unit = concept / np.linalg.norm(concept)
    return standardize_query(probes @ unit)


def top_k_probes(query: Float[np.ndarray, " probes"], k: int) -> Int64[np.ndarray, " k"]:
    """The k probes on which the query is highest, as `core.vectors.top_k` ranks them.

    Raises UsageError unless 1 <= k <= number of probes.

    >>> top_k_probes(np.array([0.1, 2.0, 2.0]), 2).tolist()
    [1, 2]
    """
    if not 1 <= k <= len(query):
        raise UsageError(
            f"k = {k} was asked for, and this hub has {len(query)} probes; "
            f"choose k between 1 and {len(query)}"
        )
    return np.asarray(top_k(query[None], k)[0])

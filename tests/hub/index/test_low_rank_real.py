"""The low-rank index on the answers of real models: a tenth of the size, nearly all of the best."""

from pathlib import Path

import numpy as np
import pytest

from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.descriptors.quantize import quantize
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.low_rank import build_low_rank, default_rank
from lagotto.hub.index.topk import top_k_logits
from lagotto.hub.kernels.dispatch import scan_sums
from lagotto.hub.kernels.kernel import Table
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    picture_weights,
    top_k_weights,
)

PROBES = 700


@pytest.mark.real
def test_a_tenth_of_the_size_finds_nearly_all(assets: Path) -> None:
    given = read_raw_responses(assets / "inet-mini-hub")
    order = np.random.default_rng(0).permutation(len(given.embeddings))
    chosen, pictures = np.sort(order[:PROBES]), given.embeddings[order[PROBES:][:40]]
    tables: list[Table] = []
    for model in given.models[::3]:
        exact = standardize(np.ascontiguousarray(model.values[chosen])).values
        tables.append(quantize(exact))
    index = build_low_rank(tables, default_rank(PROBES))
    assert (PROBES + 4) / (index.rank + 4) >= 10
    space = ProbeSpace(given.embeddings[chosen], pictures, 100.0)  # words do not count for pictures
    shares = []
    for picture in pictures:
        weights = top_k_weights(picture_weights(space, picture), 50)
        probes = np.flatnonzero(weights)
        best = top_k_logits(scan_sums(tables, probes, weights[probes]), 10)
        approximate = top_k_logits(index.scores(weights), 100)
        shares.append(len(np.intersect1d(best, approximate)) / 10)
    assert np.mean(shares) >= 0.95

"""Evidence on the probes equals what a computation from all responses gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lagotto.core.vectors import softmax
from lagotto.specialists.probe_evidence import (
    EncoderView,
    ProbeEvidence,
    first_order_gain,
)

ANSWERS = st.floats(-90, 90, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(arrays(np.float32, (9, 5), elements=ANSWERS), st.permutations(range(5)))
def test_shares_of_some_outputs_are_those_among_all(
    responses: np.ndarray, order: list[int]
) -> None:
    rng = np.random.default_rng(0)
    view = EncoderView.of(rng.normal(size=(9, 3)))
    evidence = ProbeEvidence.of(responses, view)
    outputs = np.array(order[:3])
    shares = softmax(np.where(np.isfinite(responses), responses.astype(np.float64), -50.0))
    assert evidence.shares(outputs) == pytest.approx(shares[:, outputs], abs=1e-12)
    assert evidence.first_order_gain == pytest.approx(
        first_order_gain(softmax(view.logits), shares), abs=1e-12
    )
    assert np.isfinite(evidence.logits(outputs)).all()


def test_a_part_of_the_probes_is_seen_by_itself() -> None:
    rng = np.random.default_rng(0)
    view = EncoderView.of(rng.normal(size=(40, 3)))
    probes = np.arange(0, 40, 3)
    responses = rng.normal(size=(len(probes), 4)).astype(np.float32)
    part = ProbeEvidence.of(responses, view, probes)
    alone = ProbeEvidence.of(responses, EncoderView.of(view.logits[probes]))
    assert part.first_order_gain == pytest.approx(alone.first_order_gain)
    assert part.view.logits.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)

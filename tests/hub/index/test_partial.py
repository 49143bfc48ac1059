"""Models on what they saw: weighted means and distances against their definition."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    BlockSource,
    build_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.rank_blend import blend_by_quantiles
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.partial import (
    PartiallyProbedModel,
    find_partial_models,
    partial_distances,
    partial_sums,
)
from lagotto.hub.store.responses import (
    Responses,
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)

PROBES = 20
SEEN = np.array([1, 2, 5, 8, 13, 19])
DIGESTS = ("a" * 64, "b" * 64)
PROBE_SET = "ab" * 32


def values(model: int) -> np.ndarray:
    """Four logits on all probes, one of them constant."""
    made = np.random.default_rng(model).normal(3, 2, (PROBES, 4)).astype(np.float32)
    made[:, 2] = 7
    return made


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartiallyProbedModel, Responses]:
    """The second of two models saw six probes."""
    folder = tmp_path_factory.mktemp("parts")
    sources = []
    for model, digest in enumerate(DIGESTS):
        path = folder / f"{digest}.safetensors"
        header = ResponsesHeader(digest, PROBE_SET, "onnx", "cut")
        if model:
            write_responses(path, values(model)[SEEN], header, SeenProbes(SEEN, PROBES))
        else:
            write_responses(path, values(model), header)
        sources.append(BlockSource(digest, path, None, SEEN_ONLY if model else ""))
    embeddings = np.random.default_rng(4).normal(size=(PROBES, 5)).astype(np.float32)
    build_blocks(Path(folder / "blocks"), sources, PROBE_SET, projector(unit_rows(embeddings)))
    held = {digest: read_responses(folder / f"{digest}.safetensors") for digest in DIGESTS}
    blocks = open_blocks(folder / "blocks", PROBE_SET)
    (found,) = find_partial_models(blocks, lambda digest: held[digest].seen_probes)
    return found, held[DIGESTS[1]]


def test_the_part_is_the_model_that_saw_a_share(
    part: tuple[PartiallyProbedModel, Responses],
) -> None:
    found, _ = part
    assert (found.first, found.local, found.logits, found.columns) == (4, 4, 4, slice(4, 8))
    np.testing.assert_array_equal(found.seen, SEEN)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**31), k=st.integers(1, PROBES))
def test_sums_are_weighted_means_over_its_own_surest_probes(
    part: tuple[PartiallyProbedModel, Responses], seed: int, k: int
) -> None:
    weights = np.random.default_rng(seed).random(PROBES).astype(np.float32)
    weights /= weights.sum()
    sums = partial_sums(part[0], weights, k, lambda _: part[1])
    quantiles = part[0].block.quantiles[4:].T * part[0].block.steps[4:]
    known = blend_by_quantiles(standardize(values(1)[SEEN]).values, quantiles, len(SEEN))
    own = np.argsort(-weights[SEEN], kind="stable")[:k]
    shares = weights[SEEN][own].astype(float)
    expected = (shares / shares.sum() * float(weights.sum())) @ known[own]
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-5)
    assert sums[2] == 0


def test_probes_without_weight_tell_nothing(part: tuple[PartiallyProbedModel, Responses]) -> None:
    weights = np.zeros(PROBES, np.float32)
    weights[0] = 1
    assert partial_sums(part[0], weights, 3, lambda _: part[1]).tolist() == [0, 0, 0, 0]


def test_what_it_did_not_see_does_not_count(part: tuple[PartiallyProbedModel, Responses]) -> None:
    weights = np.random.default_rng(0).random(PROBES).astype(np.float32)
    other = weights.copy()
    unseen = np.delete(np.arange(PROBES), SEEN)
    other[unseen] = weights[unseen][::-1]
    for k in (1, 4, PROBES):
        np.testing.assert_allclose(
            partial_sums(part[0], weights, k, lambda _: part[1]),
            partial_sums(part[0], other, k, lambda _: part[1]),
            rtol=1e-5,
        )


def test_a_logit_that_knows_nothing_is_as_far_as_others_that_do_not(
    part: tuple[PartiallyProbedModel, Responses],
) -> None:
    query = np.random.default_rng(1).standard_normal(PROBES).astype(np.float32)
    distances = partial_distances(part[0], query, 5, lambda _: part[1])
    own = np.argsort(-query[SEEN], kind="stable")[:5]
    best = np.sort(query)[::-1][:5].astype(float)
    chosen = query[SEEN][own].astype(float)
    away = np.linalg.norm(
        standardize(values(1)[SEEN]).values[own] - chosen[:, None], axis=0
    ) * np.sqrt((best**2 + 1).sum() / (chosen**2 + 1).sum())
    np.testing.assert_allclose(distances[[0, 1, 3]], away[[0, 1, 3]], rtol=1e-5)
    assert np.isinf(distances[2])

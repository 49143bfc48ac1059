"""Both rules over blocks, by both kernels, against their definition on arrays of all logits."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lagotto.core.vectors import unit_rows
from lagotto.core.zscore import zscore_by_sample
from lagotto.evaluation.retrieval.batch_rules import RawScores, score_candidates
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    Block,
    BlockModel,
)
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.quantize import quantize, quantize_by
from lagotto.hub.descriptors.rank_blend import blend_by_quantiles, rank_quantiles
from lagotto.hub.descriptors.standardize import measure_moments, standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import (
    find_partial_models,
    partial_distances,
    partial_sums,
)
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    noise_threshold,
)
from lagotto.hub.kernels import dispatch as kernel
from lagotto.hub.query.boolean import (
    SINGLE,
    Expression,
    join_scores,
    parse_concepts,
)
from lagotto.hub.query.probe_weights import top_k_weights
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.query.vectors import standardize_query, top_k_probes
from lagotto.hub.search import first_stage
from lagotto.hub.search.rerank import (
    HitRequest,
    Ranked,
    rank_by_distance,
    rank_by_evidence,
)
from lagotto.hub.text.matching import Named, name_scores

PROBES, OUTPUTS, K = 40, 50, 12
BLOCKS = (2000, 1500, 1550)
SEEN = np.arange(1, PROBES, 2)
EMBEDDINGS = unit_rows(np.random.default_rng(3).normal(size=(PROBES, 8)).astype(np.float32))
COPIES = (700, 3021, 3022)
"""Columns that answer as column 5 does."""


class Raw:
    """A model's raw responses, in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def rows(self, probes: np.ndarray, logits: np.ndarray) -> np.ndarray:
        return np.asarray(self._values[np.ix_(probes, logits)])


def make_block(raw: np.ndarray, first: int, parts: bool) -> Block:
    exact = standardize(raw).values
    values, steps = quantize(exact)
    quantiles = quantize_by(rank_quantiles(exact), steps)
    directions, direction_steps = quantize(project(projector(EMBEDDINGS), exact).T)
    moments = measure_moments(raw)
    models = [
        BlockModel(f"{first + at:064x}", "00" * 32, at, OUTPUTS)
        for at in range(0, raw.shape[1], OUTPUTS)
    ]
    if parts:
        models[3] = replace(models[3], made_with=SEEN_ONLY)
    return Block(
        tuple(models),
        values,
        steps,
        moments.mean,
        moments.std,
        np.ascontiguousarray(quantiles.T),
        np.ascontiguousarray(directions.T),
        direction_steps,
    )


@cache
def make_logit_index(parts: bool) -> LogitIndex:
    """Some logits are flawed, some copies, a model is all flawed; `parts`: some saw a half."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((PROBES, 6))
    raw = shared @ rng.standard_normal((6, sum(BLOCKS)))
    raw = (raw + rng.standard_t(3, raw.shape)).astype(np.float32)
    against = slice(40 * OUTPUTS, 60 * OUTPUTS)  # models whose best is no candidate by itself
    raw[:, against] = raw[:, against] - 400 * concept(1).weights[:, None]
    raw[:, 2108] += 200 * concept(1).weights
    raw[:, 2117] = raw[:, 2108]  # two are the best of their model
    raw[:, 3::37] = 1
    raw[:, 9 * OUTPUTS : 10 * OUTPUTS] = 2
    raw[:, list(COPIES)] = raw[:, [5]]
    starts = np.cumsum((0, *BLOCKS))[:-1].tolist()
    blocks = [
        make_block(raw[:, start : start + width], start, parts)
        for start, width in zip(starts, BLOCKS, strict=True)
    ]
    answers = {
        model.behaviour_digest: Raw(raw[:, start + model.first :][:, :OUTPUTS])
        for start, block in zip(starts, blocks, strict=True)
        for model in block.models
    }
    return LogitIndex(
        blocks,
        {digest: digest for digest in answers},
        lambda _: [None] * OUTPUTS,
        answers.__getitem__,
        partial_models=find_partial_models(blocks, lambda _: SEEN),
    )


def concept(seed: int, named: Named | None = None) -> ConceptQuery:
    rng = np.random.default_rng(seed)
    weights = rng.random(PROBES).astype(np.float32) ** 3
    direction = rng.standard_normal(8).astype(np.float32)
    made = ConceptQuery(weights / weights.sum(), direction)
    return made if named is None else replace(made, named=named)


def make_named() -> Named:
    """One in six logits, named well and less well, believed or not."""
    rng = np.random.default_rng(8)
    columns = np.sort(rng.permutation(sum(BLOCKS))[: sum(BLOCKS) // 6])
    likeness = (rng.random(len(columns)) ** 2).astype(np.float32)
    return Named(columns, likeness, rng.choice([0, 0.5, 1], len(columns)).astype(np.float32))


NAMED = make_named()


def top_k_only(weights: np.ndarray) -> np.ndarray:
    kept = np.zeros_like(weights)
    order = np.argsort(-weights, kind="stable")[:K]
    kept[order] = weights[order]
    return np.asarray(kept / kept.sum())


def first_look(
    logit_index: LogitIndex, weights: np.ndarray, plain: np.ndarray, probes: int
) -> np.ndarray:
    """Standardised weighted sums of all logits, over the top half or all of the K probes."""
    looked = top_k_only(weights)
    looked[np.argsort(-looked, kind="stable")[probes:]] = 0
    sums = looked @ plain
    mask = np.zeros(sums.size, bool)
    for model in logit_index.partial_models:
        sums[model.columns] = partial_sums(model, weights, K, logit_index.read)
        mask[model.columns] = True
    if mask.any():
        usable = logit_index.steps > 0
        sums[mask] *= sums[usable & ~mask].std() / sums[usable & mask].std()
    return zscore_by_sample(sums[None], logit_index.sample)[0]


def defined(
    logit_index: LogitIndex,
    concepts: list[ConceptQuery],
    expression: Expression,
    wanted: HitRequest,
    looked_at: int = K,
) -> tuple[np.ndarray, np.ndarray]:
    """The default rule, every step on all logits: columns and scores, best first."""
    every = np.arange(logit_index.steps.size)
    plain = logit_index.descriptors(every)
    quantiles = np.concatenate([block.quantiles for block in logit_index.blocks])
    codes = np.concatenate([block.values for block in logit_index.blocks], axis=1)
    blended = blend_by_quantiles(codes, quantiles.T, PROBES, logit_index.steps)
    directions = logit_index.directions(every)
    threshold = noise_threshold(logit_index.usable)
    mine = np.zeros(every.size, bool)
    for part in logit_index.partial_models:
        mine[part.columns] = True
    first, last = [], []
    for each in concepts:
        sums = first_look(logit_index, each.weights, plain, looked_at)
        bonus = np.zeros(every.size)
        if len(each.named.columns):
            bonus[each.named.columns] = name_scores(each.named, sums, logit_index.firsts, threshold)
        usual = logit_index.sample[~mine[logit_index.sample]]
        own = zscore_by_sample((top_k_only(each.weights) @ blended)[None], usual)[0]
        along = zscore_by_sample((directions @ each.direction)[None], logit_index.sample)[0]
        last.append(np.where(mine, sums, own) + SEARCH_CONFIG.direction_weight * along + bonus)
        first.append(sums + bonus)
    scores = (
        first[0] if expression == SINGLE else join_scores(expression, np.stack(first), threshold)
    )
    scores[logit_index.invalid] = -np.inf
    if wanted.excluded is not None:
        scores[wanted.excluded] = -np.inf
    chosen = set(
        np.argsort(-scores, kind="stable")[: max(SEARCH_CONFIG.candidates, 4 * wanted.top)].tolist()
    )
    if wanted.by_model:
        chosen |= {
            at + int(np.argmax(scores[at : at + OUTPUTS])) for at in logit_index.firsts.tolist()
        }
    columns = np.array(sorted(column for column in chosen if np.isfinite(scores[column])))
    total = join_scores(expression, np.stack(last), threshold)[columns]
    order = np.argsort(-total, kind="stable")
    return columns[order], total[order]


@pytest.fixture(params=["numpy", "numba"])
def only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One kernel for all scans of a test, as in a process that has none or has scanned much."""
    state = kernel._State(absent=request.param == "numpy", values=10**12)
    monkeypatch.setattr(kernel, "_state", state)
    return str(request.param)


def check(found: Ranked, expected: tuple[np.ndarray, np.ndarray]) -> None:
    columns, scores = expected
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    place = dict(zip(columns.tolist(), scores, strict=True))
    assert sorted(found.columns.tolist()) == sorted(columns.tolist())
    own = np.array([place[column] for column in found.columns.tolist()])
    np.testing.assert_allclose(own, scores, rtol=1e-4, atol=1e-5)  # but for ties in their order


QUERIES = {
    "one": ([concept(1)], SINGLE),
    "named": ([concept(1, NAMED)], SINGLE),
    "one AND NOT two": ([concept(1), concept(2)], parse_concepts("one AND NOT two").expression),
    "one OR named": ([concept(1), concept(2, NAMED)], parse_concepts("one OR two").expression),
}
WANTED = {
    "best": HitRequest(10),
    "many": HitRequest(200),
    "one left out": HitRequest(10, excluded=5),
    "of each model": HitRequest(10, by_model=True),
}


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED.keys())
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_the_default_rule_is_its_definition(
    query: tuple[list[ConceptQuery], Expression], wanted: HitRequest, parts: bool, only: str
) -> None:
    logit_index = make_logit_index(parts)
    concepts, expression = query
    found = rank_by_evidence(logit_index, concepts, expression, K, wanted)
    assert kernel.kernel_name() == only
    check(found, defined(logit_index, concepts, expression, wanted))


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_wide_hub_is_first_looked_at_on_the_top_half_of_the_probes(
    query: tuple[list[ConceptQuery], Expression], only: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SEARCH_CONFIG, half_scan_logits=sum(BLOCKS))
    monkeypatch.setattr(first_stage, "SEARCH_CONFIG", config)
    logit_index = make_logit_index(True)
    concepts, expression = query
    found = rank_by_evidence(logit_index, concepts, expression, K, HitRequest(10))
    check(found, defined(logit_index, concepts, expression, HitRequest(10), (K + 1) // 2))


def test_the_batch_reference_gives_the_scores_of_the_search(only: str) -> None:
    """On the rounded descriptors of usable logits both choose the same and score the same."""
    logit_index = make_logit_index(False)
    usable = np.flatnonzero(logit_index.steps > 0)
    concepts = [concept(seed) for seed in (1, 2, 3)]
    weights = top_k_weights(np.stack([each.weights for each in concepts]), K)
    raw = RawScores(
        weights @ logit_index.descriptors(usable),
        weights @ logit_index.blended(usable),
        np.stack([each.direction for each in concepts]) @ logit_index.directions(usable).T,
    )
    for scores, each in zip(score_candidates(raw), concepts, strict=True):
        best = np.argsort(-scores, kind="stable")[: SEARCH_CONFIG.candidates]
        ranked = rank_by_evidence(logit_index, [each], SINGLE, K, HitRequest(10))
        check(ranked, (usable[best], scores[best].astype(np.float64)))


def test_copies_stand_in_the_order_of_their_columns(only: str) -> None:
    logit_index = make_logit_index(False)
    weights = np.maximum(logit_index.descriptors(np.array([5]))[:, 0], 0)
    query = replace(concept(1), weights=weights / weights.sum())
    found = rank_by_evidence(logit_index, [query], SINGLE, K, HitRequest(10))
    assert found.columns[:4].tolist() == [5, *COPIES]
    assert len(set(found.scores[:4].tolist())) == 1


def test_a_query_asked_again_gets_the_same_answer(only: str) -> None:
    """What an index keeps of its sample changes nothing, in whatever order it came to be kept."""
    fresh, used = make_logit_index.__wrapped__(False), make_logit_index.__wrapped__(False)
    for seed in (1, 2, 3):
        rank_by_evidence(used, [concept(seed)], SINGLE, K, HitRequest(10))
    query = ([concept(1, NAMED)], SINGLE, K, HitRequest(10, excluded=5, by_model=True))
    first, again, other = (rank_by_evidence(each, *query) for each in (fresh, fresh, used))
    for name in ("columns", "scores", "sample_scores", "bonuses"):
        expected = getattr(first, name).tolist()
        assert getattr(again, name).tolist() == expected
        assert getattr(other, name).tolist() == expected


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("left_out", [None, 5])
@pytest.mark.parametrize("top", [1, 2, 300])
def test_the_papers_rule_is_a_full_sort_of_exact_distances(
    top: int, left_out: int | None, parts: bool, only: str
) -> None:
    logit_index = make_logit_index(parts)
    every = np.arange(logit_index.steps.size)
    values = standardize_query(logit_index.descriptors(np.array([5]))[:, 0] + concept(4).weights)
    probes = top_k_probes(values, K)
    distances = logit_index.distances(every, probes, values[probes])
    for part in logit_index.partial_models:
        distances[part.columns] = partial_distances(part, values, K, logit_index.read)
    distances[logit_index.invalid] = np.inf
    if left_out is not None:
        distances[left_out] = np.inf
    order = np.argsort(distances, kind="stable")[:top]
    found = rank_by_distance(logit_index, probes, values, HitRequest(top, left_out))
    assert kernel.kernel_name() == only
    assert found.columns.tolist() == order.tolist()
    np.testing.assert_array_equal(found.scores, -distances[order])

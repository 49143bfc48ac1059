"""Searches through the low-rank index: exact scores, planted answers, and who goes through it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    BlockSource,
    build_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import Approximation, build_low_rank
from lagotto.hub.index.partial import find_partial_models
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.query.boolean import parse_concepts
from lagotto.hub.query.types import ConceptQuery, QueryVector
from lagotto.hub.query.vectors import standardize_query
from lagotto.hub.search import approximate, rerank
from lagotto.hub.search.approximate import select_index, usable_index
from lagotto.hub.search.engine import find_logits
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.store.responses import (
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)
from lagotto.hub.text.matching import Named

PROBES = 40
DIGEST = "d" * 64
WIDTHS = (200, 150, 300, 250)
EMBEDDINGS = unit_rows(np.random.default_rng(3).normal(size=(PROBES, 6)).astype(np.float32))


def make_logit_index(folder: Path, part: bool = False) -> LogitIndex:
    """Logits of rank 5 and noise, every 50th flawed; with `part` the second model saw a half."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((PROBES, 5))
    sources, paths = [], {}
    for number, width in enumerate(WIDTHS):
        digest = f"{number:064x}"
        values = shared @ rng.standard_normal((5, width)) + 0.3 * rng.standard_normal(
            (PROBES, width)
        )
        values[:, ::50] = 1
        paths[digest] = folder / f"{digest}.safetensors"
        header = ResponsesHeader(digest, DIGEST, "onnx", "cut")
        seen = SeenProbes(np.arange(0, PROBES, 2), PROBES) if part and number == 1 else None
        rows = values if seen is None else values[seen.indices]
        write_responses(paths[digest], rows.astype(np.float32), header, seen)
        sources.append(BlockSource(digest, paths[digest], None, SEEN_ONLY if seen else ""))
    build_blocks(folder / "blocks", sources, DIGEST, projector(EMBEDDINGS), 400)
    blocks = open_blocks(folder / "blocks", DIGEST)
    index = build_low_rank([(block.values, block.steps) for block in blocks], 6)

    def read(digest: str) -> object:
        return read_responses(paths[digest])

    return LogitIndex(
        blocks=blocks,
        names={digest: f"model{int(digest, 16)}" for digest in paths},
        labels=lambda digest: [None] * WIDTHS[int(digest, 16)],
        read=read,  # type: ignore[arg-type]
        partial_models=find_partial_models(
            blocks, lambda digest: read_responses(paths[digest]).seen_probes
        ),
        approximation=Approximation(index, required=True),
    )


@pytest.fixture(scope="module")
def logit_index(tmp_path_factory: pytest.TempPathFactory) -> LogitIndex:
    return make_logit_index(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def with_part(tmp_path_factory: pytest.TempPathFactory) -> LogitIndex:
    return make_logit_index(tmp_path_factory.mktemp("part"), part=True)


def by_distance(logit_index: LogitIndex, seed: int) -> QueryVector:
    """One of the hub's own logits, with noise, as a known one."""
    rng = np.random.default_rng(seed)
    column = int(rng.choice(logit_index.sample))
    values = logit_index.descriptors(np.array([column]))[:, 0] + 0.3 * rng.standard_normal(PROBES)
    owner = int(logit_index.owners(np.array([column]))[0])
    model = logit_index.names[logit_index.digests[owner]]
    itself = (model, column - int(logit_index.firsts[owner]))
    return QueryVector(Query("logit", "known"), standardize_query(values), itself)


def by_evidence(seed: int, text: str = "one") -> QueryVector:
    """Concepts that weigh a few probes."""
    rng = np.random.default_rng(seed)
    parsed = parse_concepts(text)
    concepts = []
    for _ in parsed.concepts:
        weights = rng.random(PROBES).astype(np.float32) ** 6
        concepts.append(
            ConceptQuery(weights / weights.sum(), EMBEDDINGS[int(rng.integers(PROBES))])
        )
    values = standardize_query(concepts[0].weights)
    return QueryVector(Query("image", "x"), values, None, (), tuple(concepts), parsed.expression)


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that most logits are never scored by their own descriptors."""
    few = replace(SEARCH_CONFIG, nearest=60, index_candidates=3, candidates=40)
    monkeypatch.setattr(approximate, "SEARCH_CONFIG", few)
    monkeypatch.setattr(rerank, "SEARCH_CONFIG", few)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_the_nearest_are_found_with_their_exact_distances(
    logit_index: LogitIndex, seed: int, by_model: bool
) -> None:
    vector = by_distance(logit_index, seed)
    wanted = {"top": 3 if by_model else 10, "k": None, "by_model": by_model}
    found = find_logits(logit_index, vector, SearchOptions(**wanted))
    exact = find_logits(logit_index.with_index(None), vector, SearchOptions(**wanted))
    assert (found.low_rank, exact.low_rank) == (True, False)
    places = {(hit.model, hit.logit): hit for hit in exact.hits}
    same = [hit for hit in found.hits if (hit.model, hit.logit) in places]
    assert len(same) >= 0.9 * len(exact.hits)
    for hit in same:
        twin = places[hit.model, hit.logit]
        assert hit.distance == twin.distance
        assert hit.score == twin.score
        assert hit.p_value == pytest.approx(twin.p_value, abs=1e-4)
    assert vector.itself not in [(hit.model, hit.logit) for hit in found.hits]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["one", "one AND two", "one AND NOT two"]))
def test_evidence_carries_its_exact_scores(logit_index: LogitIndex, seed: int, text: str) -> None:
    vector = by_evidence(seed, text)
    found = find_logits(logit_index, vector, SearchOptions(top=20, k=12, by_model=False))
    scanned = find_logits(
        logit_index.with_index(None), vector, SearchOptions(top=500, k=12, by_model=False)
    )
    assert (found.low_rank, scanned.low_rank) == (True, False)
    scores = {(hit.model, hit.logit): hit.score for hit in scanned.hits}
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    for hit in found.hits:
        assert hit.score == pytest.approx(scores[hit.model, hit.logit], abs=2e-4)


@pytest.mark.parametrize("text", ["one", "one AND two", "one AND NOT two"])
def test_evidence_finds_nearly_all_of_the_best(logit_index: LogitIndex, text: str) -> None:
    shares = []
    for seed in range(10):
        ways = [
            find_logits(
                each, by_evidence(seed, text), SearchOptions(top=10, k=12, by_model=False)
            ).hits
            for each in (logit_index, logit_index.with_index(None))
        ]
        found, best = ({(hit.model, hit.logit) for hit in hits} for hits in ways)
        shares.append(len(found & best) / len(best))
    assert np.mean(shares) >= 0.9


def test_every_model_may_be_asked_for_its_best(logit_index: LogitIndex) -> None:
    found = find_logits(logit_index, by_evidence(5), SearchOptions(top=4, k=12, by_model=True))
    assert {hit.model for hit in found.hits} == {"model0", "model1", "model2", "model3"}


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_twin_is_first(logit_index: LogitIndex, seed: int) -> None:
    column = int(np.random.default_rng(seed).choice(logit_index.sample))
    values = standardize_query(logit_index.descriptors(np.array([column]))[:, 0])
    (hit,) = find_logits(
        logit_index,
        QueryVector(Query("logit", "twin"), values),
        SearchOptions(top=1, k=None, by_model=False),
    ).hits
    assert logit_index.column(hit.model, hit.logit) == column
    assert hit.distance < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_models_on_their_seen_part_are_measured_as_ever(with_part: LogitIndex, seed: int) -> None:
    vector = by_distance(with_part, seed)
    found = find_logits(with_part, vector, SearchOptions(top=10, k=None, by_model=False))
    exact = find_logits(
        with_part.with_index(None), vector, SearchOptions(top=10, k=None, by_model=False)
    )
    assert found.low_rank
    assert [(h.model, h.logit, h.distance) for h in found.hits] == [
        (h.model, h.logit, h.distance) for h in exact.hits
    ]


def usable(logit_index: LogitIndex, vector: QueryVector, k: int) -> tuple[bool, str]:
    index, notes = usable_index(logit_index, vector.concepts, k)
    return index is not None, " ".join(notes)


def test_who_goes_through_it(logit_index: LogitIndex, with_part: LogitIndex) -> None:
    distance, evidence = by_distance(logit_index, 0), by_evidence(0)
    assert usable(logit_index, distance, PROBES) == (True, "")
    assert usable(logit_index, evidence, 12) == (True, "")
    used, why = usable(logit_index, distance, PROBES - 1)
    assert (used, "on all probes only" in why) == (False, True)
    used, why = usable(with_part, evidence, 12)
    assert (used, "seen part" in why) == (False, True)
    named = Named(np.array([3]), np.ones(1, np.float32), np.ones(1, np.float32))
    named_query = replace(evidence, concepts=(replace(evidence.concepts[0], named=named),))
    used, why = usable(logit_index, named_query, 12)
    assert (used, "published name" in why) == (False, True)


def test_left_to_itself_it_is_used_where_it_pays(
    logit_index: LogitIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logit_index.approximation is not None
    auto = logit_index.with_index(replace(logit_index.approximation, required=False))
    distance, evidence = by_distance(logit_index, 0), by_evidence(0)
    assert usable(auto, distance, PROBES) == (False, "")
    quick = replace(SEARCH_CONFIG, nearest=60, index_pays_logits=1)
    monkeypatch.setattr(approximate, "SEARCH_CONFIG", quick)
    assert usable(auto, distance, PROBES) == (True, "")
    few = replace(quick, index_candidates=3, candidates=1)
    monkeypatch.setattr(approximate, "SEARCH_CONFIG", few)
    assert usable(auto, evidence, 23) == (False, "")  # four times rank 6 is more
    assert usable(auto, evidence, 24) == (True, "")


def test_a_choice_of_the_user(logit_index: LogitIndex, tmp_path: Path) -> None:
    assert logit_index.approximation is not None
    auto = logit_index.with_index(replace(logit_index.approximation, required=False))
    assert select_index(auto, None, tmp_path) is auto
    assert select_index(auto, False, tmp_path).approximation is None
    chosen = select_index(auto, True, tmp_path).approximation
    assert chosen is not None
    assert chosen.required
    with pytest.raises(UsageError, match="lagotto hub index"):
        select_index(auto.with_index(None), True, tmp_path)
    stale = auto.with_index(Approximation(None, "it has changed"))
    with pytest.raises(UsageError, match="it has changed"):
        select_index(stale, True, tmp_path)
    assert usable(stale, by_distance(logit_index, 0), PROBES) == (False, "it has changed")
    assert usable(stale, by_evidence(0), 12) == (False, "")

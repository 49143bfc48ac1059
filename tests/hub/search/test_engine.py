"""find_logits over small galleries built in memory's stead: real blocks, random responses."""

import gc
import weakref
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.core.vectors import unit_rows
from lagotto.evaluation.retrieval.probe_selection import distances, select_probes
from lagotto.hub.descriptors.blocks import (
    BlockSource,
    build_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.types import LogitQuery, QueryVector
from lagotto.hub.query.vectors import standardize_query
from lagotto.hub.search.engine import find_logits
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.store.responses import (
    ResponsesHeader,
    read_responses,
    write_responses,
)

PROBES = 30
DIGEST = "d" * 64
EMBEDDINGS = unit_rows(np.random.default_rng(3).normal(size=(PROBES, 6)).astype(np.float32))
MATRIX = projector(EMBEDDINGS)


def make_logit_index(
    folder: Path, widths: tuple[int, ...], logits_per_block: int = 7
) -> LogitIndex:
    """Models of these widths; every fifth logit is constant, values are coarse so that ties are."""
    rng = np.random.default_rng(len(widths))
    folder.mkdir()
    paths = {}
    for number, width in enumerate(widths):
        digest = f"{number:064x}"
        values = rng.integers(-3, 4, (PROBES, width)).astype(np.float32)
        values[:, 4::5] = 1.0
        paths[digest] = folder / f"{digest}.safetensors"
        write_responses(paths[digest], values, ResponsesHeader(digest, DIGEST, "onnx", "cut"))
    sources = [BlockSource(digest, path) for digest, path in paths.items()]
    (folder / "blocks").mkdir()
    build_blocks(folder / "blocks", sources, DIGEST, MATRIX, logits_per_block)
    return LogitIndex(
        blocks=open_blocks(folder / "blocks", DIGEST),
        names={digest: f"model{int(digest, 16)}" for digest in paths},
        labels=lambda digest: [f"label{i}" for i in range(widths[int(digest, 16)])],
        read=cache(lambda digest: read_responses(paths[digest])),
        notes=("a note",),
    )


WIDTHS = (3, 9, 1, 6, 2, 5)


@pytest.fixture(scope="module")
def logit_index(tmp_path_factory: pytest.TempPathFactory) -> LogitIndex:
    return make_logit_index(tmp_path_factory.mktemp("gallery") / "g", WIDTHS)


def test_an_index_that_nobody_holds_is_gone_at_once(tmp_path: Path) -> None:
    """Its mapped files must not stay open until the garbage of circles is collected."""
    index = make_logit_index(tmp_path / "g", WIDTHS)
    index.sample_codes(), index.sample_directions(), index.widest_steps()
    index.sample_blended(np.arange(3))
    held = weakref.ref(index)
    gc.disable()
    try:
        del index
        assert held() is None
    finally:
        gc.enable()


def all_logits(logit_index: LogitIndex) -> dict[tuple[str, int], np.ndarray]:
    """Float descriptors of every usable logit."""
    found = {}
    for digest, name in logit_index.names.items():
        descriptors = standardize(np.array(logit_index.read(digest).values))
        for logit in np.flatnonzero(descriptors.usable).tolist():
            found[name, logit] = descriptors.values[:, logit]
    return found


def query(seed: int, itself: tuple[str, int] | None = None) -> QueryVector:
    values = standardize_query(np.random.default_rng(seed).normal(size=PROBES))
    return QueryVector(Query("text", "q"), values, itself, ("its note",))


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**31),
    k=st.integers(1, PROBES),
    top=st.integers(1, 40),
    by_model=st.booleans(),
    leave_out=st.booleans(),
)
def test_the_answer_is_that_of_a_full_sort(
    logit_index: LogitIndex, seed: int, k: int, top: int, by_model: bool, leave_out: bool
) -> None:
    vector = query(seed, ("model1", 0) if leave_out else None)
    found = find_logits(
        logit_index, vector, SearchOptions(top=top, k=k, by_model=by_model, rule="paper")
    )
    logits = all_logits(logit_index)
    if leave_out:
        del logits["model1", 0]
    chosen = select_probes(vector.values, k, "top-k")
    plain = distances(vector.values, np.stack(list(logits.values()), axis=1), chosen).tolist()
    distance = dict(zip(logits, plain, strict=True))
    if by_model:
        nearest: dict[str, float] = {}
        for (model, _), value in distance.items():
            nearest[model] = min(value, nearest.get(model, np.inf))
        expected = sorted(nearest.values())[:top]
        assert len({hit.model for hit in found.hits}) == len(found.hits)
    else:
        expected = sorted(plain)[:top]
    measured = [hit.distance for hit in found.hits]
    assert measured == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert measured == sorted(measured)
    for hit in found.hits:
        assert hit.distance == pytest.approx(distance[hit.model, hit.logit], rel=1e-4, abs=1e-5)
        assert hit.label == f"label{hit.logit}"
        assert 0 < hit.score <= 1
        assert hit.confidence is None
        assert hit.quality is None
        assert 0 <= hit.p_value <= 1
    assert [hit.rank for hit in found.hits] == list(range(1, len(expected) + 1))
    assert found.deciding_probes == tuple(chosen.tolist())
    assert found.notes == ("its note", "a note")
    assert found.k == k


def test_the_answer_does_not_depend_on_the_blocks(logit_index: LogitIndex, tmp_path: Path) -> None:
    whole = make_logit_index(tmp_path / "whole", WIDTHS, 1000)
    assert (len(whole.blocks), len(logit_index.blocks) > 2) == (1, True)
    for seed in range(20):
        for by_model in (False, True):
            answers = [
                find_logits(
                    each, query(seed), SearchOptions(top=8, k=9, by_model=by_model, rule="paper")
                )
                for each in (logit_index, whole)
            ]
            assert answers[0] == answers[1]


def test_the_p_value_falls_with_the_distance_from_the_crowd(tmp_path: Path) -> None:
    logit_index = make_logit_index(tmp_path / "many", (200,))
    values = all_logits(logit_index)["model0", 0]
    exact = QueryVector(Query("text", "q"), values)
    found = find_logits(
        logit_index, exact, SearchOptions(top=160, k=PROBES, by_model=False, rule="paper")
    ).hits
    assert (found[0].logit, found[0].score) == (0, pytest.approx(1, abs=1e-6))
    assert found[0].p_value < 0.01
    assert found[-1].p_value > 0.99
    p_values = [hit.p_value for hit in found]
    assert p_values == sorted(p_values)
    assert {hit.confidence for hit in found} == {None}
    shuffled = np.random.default_rng(5).permutation(values)
    accident = find_logits(
        logit_index,
        QueryVector(Query("text", "q"), shuffled),
        SearchOptions(top=1, k=PROBES, by_model=False, rule="paper"),
    )
    assert accident.hits[0].p_value > 0.1


def test_a_single_logit_has_no_crowd_to_stand_out_from(tmp_path: Path) -> None:
    logit_index = make_logit_index(tmp_path / "one", (1,))
    found = find_logits(
        logit_index, query(0), SearchOptions(top=5, k=5, by_model=False, rule="paper")
    )
    assert [hit.p_value for hit in found.hits] == [1.0]
    nothing = find_logits(
        logit_index,
        query(0, ("model0", 0)),
        SearchOptions(top=5, k=5, by_model=False, rule="paper"),
    )
    assert nothing.hits == ()


@pytest.mark.parametrize("top", [0, -3])
def test_top_below_one_is_refused(logit_index: LogitIndex, top: int) -> None:
    with pytest.raises(UsageError, match="give 1 or more"):
        find_logits(
            logit_index, query(0), SearchOptions(top=top, k=None, by_model=False, rule="paper")
        )


def test_an_empty_gallery_says_how_to_fill_it(logit_index: LogitIndex) -> None:
    empty = LogitIndex([], {}, logit_index.labels, logit_index.read)
    with pytest.raises(UsageError, match="lagotto hub add"):
        find_logits(empty, query(0), SearchOptions(top=1, k=None, by_model=False, rule="paper"))


@pytest.mark.parametrize(
    ("text", "model", "index"),
    [
        ("a:0", "a", 0),
        ("C:/x/m.onnx:12", "C:/x/m.onnx", 12),
        ("a:b:7", "a:b", 7),
        ("a b:007", "a b", 7),
    ],
)
def test_a_logit_is_named_by_model_and_index(text: str, model: str, index: int) -> None:
    assert LogitQuery.parse(text) == LogitQuery(model, index)


@pytest.mark.parametrize(
    "text", ["", ":", "a", "a:", ":3", "a:-1", "a:1.5", "a:x", "a:1 ", "a:" + "9" * 5000]
)
def test_what_names_no_logit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="MODEL:INDEX"):
        LogitQuery.parse(text)

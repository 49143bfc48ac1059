"""What every index over rows must do, exact or not."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import HubError, MissingExtraError, UsageError
from lagotto.core.registry import Adapter
from lagotto.core.vectors import unit_rows
from lagotto.neighbors import registry
from lagotto.neighbors.base import RowIndex, SavedRowIndex
from lagotto.neighbors.exact import ExactIndex
from lagotto.neighbors.recall import measure_recall
from lagotto.neighbors.registry import (
    INDEX_ADAPTERS,
    build_index,
    open_index,
)

DIM = 32
Make: TypeAlias = Callable[[np.ndarray, np.ndarray], RowIndex]


def ignore(rows: int) -> None:
    """An `advance` that shows nothing."""


def needs(name: str) -> pytest.MarkDecorator:
    package = INDEX_ADAPTERS[name].requires
    missing = package is not None and find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"the package {package} is not installed")


SAVED = [pytest.param(name, marks=needs(name)) for name in sorted(INDEX_ADAPTERS)]


@pytest.fixture(params=["exact", *SAVED])
def make(request: pytest.FixtureRequest) -> Make:
    """How to make an index of a kind over ranges of rows."""
    if request.param == "exact":
        return ExactIndex
    return lambda rows, spans: build_index(request.param, rows, spans, ignore)


def clustered(count: int, seed: int = 0, spread: float = 0.6) -> np.ndarray:
    """Unit float16 rows around some 50 directions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, DIM))
    rows = centres[rng.integers(0, 50, count)] + spread * rng.normal(size=(count, DIM))
    return unit_rows(rows).astype(np.float16)


def all_of(rows: np.ndarray) -> np.ndarray:
    return np.array([[0, len(rows)]], np.int64)


def test_is_a_row_index(make: Make) -> None:
    rows = clustered(9)
    index = make(rows, all_of(rows))
    assert isinstance(index, RowIndex)
    assert index.count == 9


def test_well_separated_rows_are_found_with_exact_cosines(make: Make) -> None:
    rows = np.eye(DIM, dtype=np.float16)
    queries = unit_rows(np.eye(DIM) + 0.2 * np.eye(DIM)[::-1] + 0.05 * np.eye(DIM, k=1))
    numbers, cosines = make(rows, all_of(rows)).search(queries, 2)
    expected, exact = ExactIndex(rows).search(queries, 2)
    assert np.array_equal(numbers[:, 0], np.arange(DIM))
    assert np.array_equal(numbers, expected)
    assert np.allclose(cosines, exact, atol=1e-6)


def test_recall_on_clustered_rows(make: Make) -> None:
    rows = clustered(4_000)
    index = make(rows, all_of(rows))
    queries = unit_rows(clustered(100, seed=0).astype(np.float32) + 0.01)
    numbers, cosines = index.search(queries, 200)
    expected, _ = ExactIndex(rows).search(queries, 200)
    shares = [len(set(a) & set(b)) / 200 for a, b in zip(numbers, expected, strict=True)]
    assert np.mean(shares) >= 0.95
    assert (np.diff(cosines, axis=1) <= 0).all()
    for i in range(len(queries)):
        assert len(set(numbers[i].tolist())) == 200
        assert np.allclose(rows[numbers[i]].astype(np.float32) @ queries[i], cosines[i], atol=1e-6)
    recall = measure_recall(index, ExactIndex(rows), rows, np.arange(4_000), 16)
    assert recall.sampled == 200
    assert recall.share is not None
    assert recall.share >= 0.95


def test_one_query_is_answered_as_in_a_batch(make: Make) -> None:
    rows = clustered(500)
    index = make(rows, all_of(rows))
    queries = rows[:7].astype(np.float32)
    numbers, _ = index.search(queries, 5)
    for i in range(7):
        assert np.array_equal(index.search(queries[i : i + 1], 5)[0][0], numbers[i])


@pytest.mark.parametrize(("rows", "queries", "top"), [(0, 3, 5), (4, 0, 5), (4, 3, 0), (4, 3, 9)])
def test_there_are_as_many_answers_as_rows_allow(
    make: Make, rows: int, queries: int, top: int
) -> None:
    held = clustered(rows)
    index = make(held, all_of(held))
    numbers, cosines = index.search(clustered(queries).astype(np.float32), top)
    assert numbers.shape == cosines.shape == (queries, min(rows, top))
    assert all(sorted(row) == sorted(set(row)) for row in numbers.tolist())


def test_equal_rows_are_all_found_the_lower_first(make: Make) -> None:
    rows = np.repeat(clustered(3, spread=1.0), 40, axis=0)
    numbers, _ = make(rows, all_of(rows)).search(rows[:1].astype(np.float32), 120)
    assert sorted(numbers[0].tolist()) == list(range(120))
    assert numbers[0, :40].tolist() == list(range(40))


def test_only_rows_in_spans_are_found(make: Make) -> None:
    rows = clustered(60)
    spans = np.array([[3, 10], [20, 21], [30, 58]], np.int64)

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 59), st.integers(1, 60))
    def check(query: int, top: int) -> None:
        numbers, _ = index.search(rows[query : query + 1].astype(np.float32), top)
        wanted = {*range(3, 10), 20, *range(30, 58)}
        assert set(numbers[0].tolist()) <= wanted
        assert numbers.shape[1] == min(top, len(wanted))

    index = make(rows, spans)
    assert index.count == 36
    check()


@pytest.mark.parametrize("name", SAVED)
def test_what_is_saved_is_opened_and_has_the_same_bytes_each_time(
    name: str, tmp_path: Path
) -> None:
    rows = clustered(300)
    made = build_index(name, rows, all_of(rows), ignore)
    made.save(tmp_path / "a")
    build_index(name, rows, all_of(rows), ignore).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    opened = open_index(name, tmp_path / "a", rows, all_of(rows))
    assert isinstance(opened, SavedRowIndex)
    assert opened.parameters == made.parameters
    queries = rows[:20].astype(np.float32)
    for one, other in zip(opened.search(queries, 9), made.search(queries, 9), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", SAVED)
def test_a_file_over_other_rows_or_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    rows = clustered(30)
    build_index(name, rows, all_of(rows), ignore).save(tmp_path / "a")
    with pytest.raises(HubError, match="holds 30 rows of 32 numbers, the store 29 of 32"):
        open_index(name, tmp_path / "a", rows[:29], all_of(rows[:29]))
    (tmp_path / "b").write_text("something else" * 100)
    with pytest.raises(HubError, match="build it again"):
        open_index(name, tmp_path / "b", rows, all_of(rows))
    with pytest.raises(HubError, match="build it again"):
        open_index(name, tmp_path / "none", rows, all_of(rows))
    with pytest.raises(HubError, match="cannot write"):
        build_index(name, rows, all_of(rows), ignore).save(tmp_path / "nowhere" / "a")


@pytest.mark.parametrize("name", SAVED)
def test_progress_adds_up(name: str) -> None:
    rows = clustered(5_000)
    seen: list[int] = []
    build_index(name, rows, np.array([[0, 4_500], [4_900, 5_000]], np.int64), seen.append)
    assert sum(seen) == 4_600


def test_recall_sees_an_index_that_misses_rows() -> None:
    rows = clustered(400)
    half = ExactIndex(rows, np.array([[0, 200]], np.int64))
    recall = measure_recall(half, ExactIndex(rows), rows, np.arange(400), 20)
    assert recall.share is not None
    assert 0.3 < recall.share < 0.7
    assert measure_recall(half, half, rows, np.arange(1), 20).share is None


def test_unknown_name_and_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clustered(3)
    with pytest.raises(UsageError, match=r"unknown approximate index 'usarch'.*'usearch'"):
        build_index("usarch", rows, all_of(rows), ignore)
    absent = Adapter("not_installed.index", "Rows", "not_installed", "ann")
    monkeypatch.setitem(registry.INDEX_ADAPTERS, "absent", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[ann\]'"):
        build_index("absent", rows, all_of(rows), ignore)


NO_USEARCH = pytest.mark.skipif(
    find_spec("usearch") is None, reason="the package usearch is not installed"
)


@NO_USEARCH
def test_a_query_that_reaches_too_few_rows_is_answered_exactly() -> None:
    from lagotto.neighbors.usearch import Index, UsearchIndex

    class ShortGraph(Index):  # type: ignore[misc]
        def search(self, queries: np.ndarray, top: int) -> Any:
            return super().search(queries, min(top, 7))

    rows = clustered(200)
    graph = ShortGraph(ndim=DIM, metric="cos", dtype="f16")
    graph.add(np.arange(200, dtype=np.uint64), rows)
    queries = rows[:5].astype(np.float32)
    expected = ExactIndex(rows).search(queries, 30)
    index = UsearchIndex(rows, all_of(rows), graph)
    for one, other in zip(index.search(queries, 30), expected, strict=True):
        assert np.allclose(one, other, atol=1e-6)


@NO_USEARCH
def test_onnxruntime_can_be_loaded_after_the_index() -> None:
    code = "import lagotto.neighbors.usearch, onnxruntime, pyarrow.parquet, tokenizers"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

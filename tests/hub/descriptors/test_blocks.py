"""Descriptor blocks: bytes that depend on the list alone, rounding within its bound, repairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.blocks import (
    BlockSource,
    build_blocks,
    damaged_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.exact import exact_descriptors
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend, rank_quantiles
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.store.responses import (
    ResponsesHeader,
    read_responses,
    write_responses,
)

GOLDEN = Path(__file__).parents[2] / "golden"
PROBES = "ab" * 32
WIDTHS = (3, 5, 2, 9, 1, 4)
LIMIT = 8
MATRIX = projector(unit_rows(np.random.default_rng(4).normal(size=(20, 5)).astype(np.float32)))


def response_values(model: int) -> np.ndarray:
    values = np.random.default_rng(model).normal(model, 2, (20, WIDTHS[model])).astype(np.float32)
    if model == 1:
        values[:, 2] = 4
        values[7, 3] = np.nan
    return values


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[BlockSource]:
    folder = tmp_path_factory.mktemp("responses")
    made = []
    for model in range(len(WIDTHS)):
        digest = f"{model:064x}"
        path = folder / f"{digest}.safetensors"
        header = ResponsesHeader(digest, PROBES, "onnx", "cut")
        write_responses(path, response_values(model), header)
        made.append(BlockSource(digest, path))
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def built(folder: Path, sources: Sequence[BlockSource]) -> dict[str, bytes]:
    build_blocks(folder, sources, PROBES, MATRIX, LIMIT)
    return contents(folder)


def test_whole_models_in_order_within_the_limit(tmp_path: Path, sources: list[BlockSource]) -> None:
    files = built(tmp_path, sources)
    assert sorted(files) == [f"{number:06d}.safetensors" for number in range(4)]
    blocks = open_blocks(tmp_path, PROBES)
    held = [[int(model.behaviour_digest, 16) for model in block.models] for block in blocks]
    assert held == [[0, 1], [2], [3], [4, 5]]  # model 3 alone is wider than the limit
    assert [model.first for model in blocks[0].models] == [0, 3]
    assert [block.values.shape for block in blocks] == [(20, 8), (20, 2), (20, 9), (20, 5)]
    assert not blocks[0].values.flags.writeable
    assert damaged_blocks(tmp_path) == []


def test_values_are_within_half_a_step(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    block = open_blocks(tmp_path, PROBES)[0]
    exact = np.hstack([standardize(response_values(model)).values for model in (0, 1)])
    error = np.abs(block.values * block.steps - exact)
    assert (error <= block.steps * 0.50005).all()
    assert np.abs(block.values).max(axis=0)[:3].tolist() == [127] * 3


def test_directions_are_those_of_the_blended_descriptors(
    tmp_path: Path, sources: list[BlockSource]
) -> None:
    built(tmp_path, sources)
    block = open_blocks(tmp_path, PROBES)[0]
    exact = np.hstack([standardize(response_values(model)).values for model in (0, 1)])
    error = np.abs(block.directions_of(np.arange(8)) - project(MATRIX, blend(exact)))
    assert (error <= block.direction_steps[:, None] * 0.501 + 1e-7).all()
    assert np.flatnonzero(block.direction_steps == 0).tolist() == [5, 6]


def test_knots_are_quantiles_in_the_logits_own_steps(
    tmp_path: Path, sources: list[BlockSource]
) -> None:
    built(tmp_path, sources)
    block = open_blocks(tmp_path, PROBES)[0]
    exact = np.hstack([standardize(response_values(model)).values for model in (0, 1)])
    error = np.abs(block.quantiles.T * block.steps - rank_quantiles(exact))
    assert (error <= block.steps * 0.501 + 1e-7).all()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_blocks_of_an_older_lagotto_are_made_anew(
    version: int, tmp_path: Path, sources: list[BlockSource]
) -> None:
    whole = built(tmp_path, sources)
    (tmp_path / "000000.safetensors").write_bytes(
        (GOLDEN / f"block-{version}.safetensors").read_bytes()
    )
    with pytest.raises(HubError, match="older Lagotto"):
        open_blocks(tmp_path, PROBES)
    assert built(tmp_path, sources) == whole


def test_flawed_logits_have_no_step(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    block = open_blocks(tmp_path, PROBES)[0]
    assert np.flatnonzero(block.steps == 0).tolist() == [5, 6]
    assert not block.values[:, 5:7].any()
    assert block.std[5:7].tolist() == [0, 0]


def test_exact_descriptors_are_those_of_standardise(
    tmp_path: Path, sources: list[BlockSource]
) -> None:
    built(tmp_path, sources)
    block = open_blocks(tmp_path, PROBES)[0]
    paths = {source.behaviour_digest: source.responses for source in sources}
    columns, probes = np.array([7, 0, 5, 2, 3]), np.array([19, 4, 4])
    found = exact_descriptors(block, columns, probes, lambda name: read_responses(paths[name]))
    exact = np.hstack([standardize(response_values(model)).values for model in (0, 1)])
    np.testing.assert_array_equal(found, exact[np.ix_(probes, columns)])


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from(range(len(WIDTHS))), unique=True), min_size=1, max_size=4))
def test_history_does_not_show(
    tmp_path_factory: pytest.TempPathFactory, sources: list[BlockSource], lists: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    for models in lists:
        found = built(folder, [sources[model] for model in models])
    fresh = tmp_path_factory.mktemp("fresh")
    assert found == built(fresh, [sources[model] for model in lists[-1]])


def test_leading_blocks_are_kept(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources[:5])
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    built(tmp_path, sources)
    after = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    changed = [name for name in after if after[name] != before.get(name)]
    assert changed == ["000003.safetensors"]


def test_changed_responses_rebuild_their_block(tmp_path: Path, sources: list[BlockSource]) -> None:
    before = built(tmp_path, sources)
    path = tmp_path.with_name("other.safetensors")
    header = ResponsesHeader(sources[2].behaviour_digest, PROBES, "onnx", "cut")
    write_responses(path, response_values(2) ** 2, header)
    changed = [*sources]
    changed[2] = BlockSource(sources[2].behaviour_digest, path)
    after = built(tmp_path, changed)
    assert [name for name in before if before[name] != after[name]] == ["000001.safetensors"]


def test_what_a_kill_leaves_is_mended(tmp_path: Path, sources: list[BlockSource]) -> None:
    whole = built(tmp_path, sources)
    (tmp_path / ".000009.safetensors.1-1.tmp").write_bytes(b"half")
    damaged = tmp_path / "000001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert built(tmp_path, sources) == whole


def test_no_models_no_blocks(tmp_path: Path, sources: list[BlockSource]) -> None:
    assert open_blocks(tmp_path / "absent", PROBES) == []
    built(tmp_path, sources)
    assert built(tmp_path, []) == {}


def test_damage_is_found(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    path = tmp_path / "000002.safetensors"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    assert damaged_blocks(tmp_path) == [path]
    (tmp_path / "000000.safetensors").unlink()
    with pytest.raises(HubError, match=r"000000.safetensors is missing"):
        open_blocks(tmp_path, PROBES)


def test_other_probes_are_refused(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    with pytest.raises(MismatchError, match=r"abababababab.*cdcdcdcdcdcd"):
        open_blocks(tmp_path, "cd" * 32)
    with pytest.raises(MismatchError, match=r"abababababab.*cdcdcdcdcdcd"):
        build_blocks(tmp_path, sources, "cd" * 32, MATRIX)


def test_bytes_are_the_golden_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    values = np.array([[1, 7, 0], [3, 7, 4], [8, 7, 4]], dtype=np.float32)
    write_responses(path, values, ResponsesHeader("be" * 32, PROBES, "onnx", "cut"))
    matrix = np.array([[1, 0, 0], [0, 0, -1]], dtype=np.float32)  # no sum that could be rounded
    build_blocks(tmp_path / "blocks", [BlockSource("be" * 32, path)], PROBES, matrix)
    made = (tmp_path / "blocks" / "000000.safetensors").read_bytes()
    assert made == (GOLDEN / "block-4.safetensors").read_bytes()

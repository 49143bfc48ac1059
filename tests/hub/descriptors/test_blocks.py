"""Descriptor blocks: bytes that depend on the list alone, rounding within its bound, repairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.blocks import (
    BlockSource,
    build_blocks,
    damaged_blocks,
    join_blocks,
    open_block,
    open_blocks,
    write_blocks,
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


def test_joined_blocks_have_the_columns_of_their_parts(
    tmp_path: Path, sources: list[BlockSource]
) -> None:
    built(tmp_path / "parts", sources)
    parts = open_blocks(tmp_path / "parts", PROBES)
    build_blocks(tmp_path / "once", sources, PROBES, MATRIX)
    order = [parts[0].part(0, 1), parts[0].part(1, 2), *parts[1:3], parts[3].part(0, 2)]
    join_blocks(tmp_path / "joined" / "000000.safetensors", order, PROBES)
    assert contents(tmp_path / "joined") == contents(tmp_path / "once")


def test_a_part_is_its_models_alone(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    whole = open_blocks(tmp_path, PROBES)[0]
    part = whole.part(1, 2)
    assert [(m.first, m.logits) for m in part.models] == [(0, 5)]
    assert part.models[0].behaviour_digest == whole.models[1].behaviour_digest
    assert np.shares_memory(part.values, whole.values)
    np.testing.assert_array_equal(part.values, whole.values[:, 3:8])
    assert part.sha256 != whole.sha256
    assert whole.part(0, 2) is whole


def test_damage_of_the_list_of_models_is_named(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    path = tmp_path / "000000.safetensors"
    data = bytearray(path.read_bytes())
    data[data.index((3).to_bytes(8, "little"))] = 200  # the first column of the second model
    path.write_bytes(data)
    with pytest.raises(HubError, match="damaged"):
        open_block(path, PROBES, trusted=True)


def test_no_models_no_blocks(tmp_path: Path) -> None:
    assert open_blocks(tmp_path / "absent", PROBES) == []
    assert list(write_blocks(tmp_path, [], PROBES, MATRIX)) == []


def test_damage_is_found(tmp_path: Path, sources: list[BlockSource]) -> None:
    built(tmp_path, sources)
    path = tmp_path / "000002.safetensors"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    assert damaged_blocks(tmp_path) == [path]
    with pytest.raises(HubError, match="was altered"):
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
    assert made == (GOLDEN / "block-5.safetensors").read_bytes()


def test_version_4_is_read_as_version_5(tmp_path: Path) -> None:
    older, newer = (open_block(GOLDEN / f"block-{v}.safetensors", PROBES) for v in (4, 5))
    assert list(older.models) == list(newer.models)
    for name in ("values", "steps", "mean", "std", "quantiles", "directions", "direction_steps"):
        np.testing.assert_array_equal(getattr(older, name), getattr(newer, name))

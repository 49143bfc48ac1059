"""Responses of many models come in; int8 descriptor blocks that a query scans quickly go out.

A block holds the descriptors of whole models with a row for each probe: a query reads the rows of
its k probes and no others. Beside them it holds, with a row for each logit, the logit's quantiles
and its direction in the encoder's space. A column depends on its model alone, so that blocks can be
joined and parted. Blocks are derived from responses; see docs/reference/formats.md.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64, Integer

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.types import JsonObject
from lagotto.hub.descriptors.block_models import (
    MODEL_ARRAYS,
    BlockModel,
    ModelTable,
    fill_models,
    model_tensors,
    read_models,
)
from lagotto.hub.descriptors.projection import project
from lagotto.hub.descriptors.quantize import quantize, quantize_by
from lagotto.hub.descriptors.rank_blend import (
    QUANTILES,
    blend_by_quantiles,
    rank_quantiles,
)
from lagotto.hub.descriptors.standardize import measure_moments, standardize_columns
from lagotto.hub.store.responses import Responses, read_responses
from lagotto.hub.store.tensorfile import (
    Array,
    TensorLayout,
    damage_error,
    header_text,
    is_intact,
    open_derived,
    open_tensors,
    write_tensors,
)

SEEN_ONLY = "seen"
"""`made_with` of a model whose unseen probes are left out of its block, not predicted."""

BLOCK_FORMAT = "lagotto-block"
BLOCK_VERSION = 5
"""Version 4 has the list of its models in the header; it is read like version 5."""

LOGITS_PER_BLOCK = 65_536
"""Whole models are made into blocks of at most so many logits; a wider one has its own."""

_COLUMNS_AT_ONCE = 512
_NAME = re.compile(r"\d{6,}\.safetensors")
_STORED = {"quantiles": "knots"}
_BY_LOGIT = ("steps", "mean", "std", "quantiles", "directions", "direction_steps")
"""The fields of a block that have a row for each logit, in their order."""


@dataclass(frozen=True, slots=True)
class BlockSource:
    """A model that the blocks are to hold: its behaviour digest and the file of its responses.

    For a model that saw a share of the probes, `complete` gives its responses on all of them, and
    `made_with` names what the completion depends on beside the responses. Without `complete` the
    probes that the model did not see are zeros in the block.
    """

    behaviour_digest: str
    responses: Path
    complete: Callable[[Responses], Float32[np.ndarray, "probes logits"]] | None = None
    made_with: str = ""


@runtime_checkable
class Answers(Protocol):
    """Raw responses of a model, as they are in its file or completed."""

    def rows(
        self, probes: Integer[np.ndarray, " k"], logits: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "k columns"]:
        """The responses of some logits on some probes."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """Descriptors of some models, memory-mapped and read-only: steps * values.

    `mean` and `std` are the moments of the raw responses. An invalid logit has step and std zero.
    `quantiles` are in whole steps of their logit (rank_blend.py). `directions` times
    `direction_steps` are the logits' directions (projection.py). `sha256` is the checksum of the
    block's file; in a part of it, the columns are named too.
    """

    models: Sequence[BlockModel]
    values: Int8[np.ndarray, "probes logits"]
    steps: Float32[np.ndarray, " logits"]
    mean: Float64[np.ndarray, " logits"]
    std: Float64[np.ndarray, " logits"]
    quantiles: Int8[np.ndarray, "logits quantiles"]
    directions: Int8[np.ndarray, "logits dim"]
    direction_steps: Float32[np.ndarray, " logits"]
    sha256: str = ""

    def directions_of(
        self, columns: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "columns dim"]:
        """The directions of some logits, as floats."""
        steps = self.direction_steps[columns, None]
        directions: Float32[np.ndarray, "columns dim"] = self.directions[columns] * steps
        return directions

    def part(self, first: int, last: int) -> "Block":
        """Models `first` to `last - 1` as a block of their own, over the same memory."""
        models = self.models if isinstance(self.models, ModelTable) else ModelTable.of(self.models)
        if (first, last) == (0, len(models)):
            return self
        begin, end = int(models.firsts[first]), int(models.firsts[last])
        return Block(
            models.part(first, last),
            self.values[:, begin:end],
            sha256=f"{self.sha256}:{begin}:{end}",
            **{name: getattr(self, name)[begin:end] for name in _BY_LOGIT},
        )


def build_blocks(
    folder: Path,
    sources: Sequence[BlockSource],
    probe_digest: str,
    matrix: Float32[np.ndarray, "dim probes"],
    logits_per_block: int = LOGITS_PER_BLOCK,
) -> None:
    """Writes all blocks of `write_blocks` into a folder that has none; arguments as there."""
    deque(write_blocks(folder, sources, probe_digest, matrix, logits_per_block), maxlen=0)


def write_blocks(
    folder: Path,
    sources: Sequence[BlockSource],
    probe_digest: str,
    matrix: Float32[np.ndarray, "dim probes"],
    logits_per_block: int = LOGITS_PER_BLOCK,
    first_number: int = 0,
) -> Iterator[int]:
    """Writes blocks that hold these models, in this order, one at each step.

    Args:
        folder: Where the blocks are; it is made if need be.
        sources: The models, in order.
        probe_digest: The probe set that their responses must be of.
        matrix: The hub's projector, which takes a descriptor to a direction.
        logits_per_block: A new block begins where the next model would pass this many logits.
        first_number: The number that the first block is called by. Files with this number and the
            next ones are replaced.

    Yields:
        How many models are in the block that was written.

    Raises:
        HubError: A file of responses is missing or damaged, or the folder cannot be written.
        MismatchError: Responses are of another probe set.
    """
    planned = _plan(sources, probe_digest, logits_per_block)
    by_digest = {source.behaviour_digest: source for source in sources}
    for number, models in enumerate(planned, start=first_number):
        _write_block(block_path(folder, number), models, by_digest, probe_digest, matrix)
        yield len(models)


def join_blocks(path: Path, blocks: Sequence[Block], probe_digest: str) -> str:
    """Writes one block of the columns of several, side by side; returns its checksum.

    Nothing is computed: the bytes of a column stay as they are.
    """
    tables = [
        b.models if isinstance(b.models, ModelTable) else ModelTable.of(b.models) for b in blocks
    ]
    models = ModelTable.join(tables)
    logits, probes = int(models.firsts[-1]), len(blocks[0].values)
    dim = blocks[0].directions.shape[1]

    def fill(arrays: Mapping[str, Array]) -> None:
        fill_models(arrays, models)
        begin = 0
        for block in blocks:
            columns = slice(begin, begin + block.steps.size)
            for name in _BY_LOGIT:
                arrays[_STORED.get(name, name)][columns] = getattr(block, name)
            begin = columns.stop
        for row in range(probes):  # a row at a time: each is read and written in order
            np.concatenate([block.values[row] for block in blocks], out=arrays["values"][row])

    return write_tensors(
        path, block_header(models, probe_digest), block_layout(models, probes, logits, dim), fill
    )


def open_blocks(folder: Path, probe_digest: str) -> list[Block]:
    """The blocks of a folder, in order and memory-mapped; an empty list if there are none.

    Raises:
        HubError: A block is damaged or of a newer version.
        MismatchError: A block was made on another probe set than `probe_digest`.
    """
    return [open_block(path, probe_digest) for path in block_paths(folder).values()]


def damaged_blocks(folder: Path) -> list[Path]:
    """The block files whose bytes do not give their checksum; reads all of them.

    Raises HubError if one cannot be read.
    """
    return [path for path in block_paths(folder).values() if not is_intact(path)]


def _plan(
    sources: Sequence[BlockSource], probe_digest: str, logits_per_block: int
) -> list[tuple[BlockModel, ...]]:
    """The models of each block, in order; a new block where the next one would pass the limit."""
    planned: list[list[BlockModel]] = []
    width = 0
    for source in sources:
        responses = read_responses(source.responses, probe_digest)
        logits = responses.values.shape[1]
        if not planned or width + logits > logits_per_block:
            planned.append([])
            width = 0
        model = BlockModel(
            source.behaviour_digest, responses.sha256, width, logits, source.made_with
        )
        planned[-1].append(model)
        width += logits
    return [tuple(models) for models in planned]


def _write_block(
    path: Path,
    models: tuple[BlockModel, ...],
    sources: Mapping[str, BlockSource],
    probe_digest: str,
    matrix: Float32[np.ndarray, "dim probes"],
) -> None:
    table = ModelTable.of(models)
    probes = read_responses(sources[models[0].behaviour_digest].responses).probes

    def fill(arrays: Mapping[str, Array]) -> None:
        fill_models(arrays, table)
        for model in models:
            source = sources[model.behaviour_digest]
            responses = read_responses(source.responses, probe_digest)
            columns = slice(model.first, model.first + model.logits)
            model_arrays = {
                name: array[:, columns] if name == "values" else array[columns]
                for name, array in arrays.items()
                if name not in MODEL_ARRAYS
            }
            if source.complete is None:
                _fill_model(model_arrays, responses.values, responses.seen_probes, matrix)
            else:
                completed = source.complete(responses)
                _fill_model(model_arrays, completed, np.arange(probes), matrix)

    layout = block_layout(table, probes, int(table.firsts[-1]), len(matrix))
    write_tensors(path, block_header(table, probe_digest), layout, fill)


def block_header(models: ModelTable, probe_digest: str) -> JsonObject:
    """The metadata of the file of a block."""
    return {
        "format": BLOCK_FORMAT,
        "version": BLOCK_VERSION,
        "probe_digest": probe_digest,
        "made_with": list(models.made_with),
    }


def block_layout(models: ModelTable, probes: int, logits: int, dim: int) -> TensorLayout:
    """The arrays of the file of a block."""
    return {
        **model_tensors(models),
        "mean": ("F64", (logits,)),
        "std": ("F64", (logits,)),
        "steps": ("F32", (logits,)),
        "direction_steps": ("F32", (logits,)),
        "knots": ("I8", (logits, QUANTILES)),
        "values": ("I8", (probes, logits)),
        "directions": ("I8", (logits, dim)),
    }


def _fill_model(
    arrays: Mapping[str, Array],
    responses: Float32[np.ndarray, "seen logits"],
    seen: Int64[np.ndarray, " seen"],
    matrix: Float32[np.ndarray, "dim probes"],
) -> None:
    """Writes one model's columns; rows of probes that it did not see stay zero."""
    probes, logits = arrays["values"].shape
    if responses.shape != (len(seen), logits) or seen[-1] >= probes:
        raise HubError(
            f"responses of shape {responses.shape} do not fit a block of {probes} probes; "
            "run lagotto hub verify to find the damaged file"
        )
    moments = measure_moments(responses)
    # The projector sums over the probes. The sum over a share of them is scaled to that over all.
    own_matrix = matrix if len(seen) == probes else matrix[:, seen] * (probes / len(seen))
    arrays["mean"][:] = moments.mean
    arrays["std"][:] = moments.std
    for first in range(0, logits, _COLUMNS_AT_ONCE):
        part = slice(first, first + _COLUMNS_AT_ONCE)
        exact = standardize_columns(responses[:, part], moments.mean[part], moments.std[part])
        quantiles = rank_quantiles(exact)
        blended = blend_by_quantiles(exact, quantiles, len(seen))
        directions, direction_steps = quantize(project(own_matrix, blended).T)
        arrays["directions"][part], arrays["direction_steps"][part] = directions.T, direction_steps
        values, steps = quantize(exact)
        arrays["values"][seen, part], arrays["steps"][part] = values, steps
        arrays["knots"][part] = quantize_by(quantiles, steps).T


def open_block(path: Path, probe_digest: str, trusted: bool = False) -> Block:
    """A block, memory-mapped; the bytes of a small file are checked unless it is `trusted`.

    Raises HubError and MismatchError as `open_blocks`.
    """
    opened = open_tensors if trusted else open_derived
    file = opened(path, BLOCK_FORMAT, BLOCK_VERSION)
    made_on = header_text(file, "probe_digest")
    if made_on != probe_digest:
        raise MismatchError(
            f"{path} was made on probe set {made_on[:12]}, and this hub has probe set "
            f"{probe_digest[:12]}; remove it and run lagotto hub add again"
        )
    arrays = dict(file.arrays)
    try:
        models = read_models(file.header, arrays)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise damage_error(file.path, "its list of models") from error
    width = int(models.firsts[-1])
    tables = ("values", "directions", "knots")
    shapes = {name: array.shape for name, array in arrays.items() if name not in tables}
    values, directions, quantiles = (arrays.get(name) for name in tables)
    expected = dict.fromkeys(("mean", "std", "steps", "direction_steps"), (width,))
    whole = (
        values is not None
        and directions is not None
        and quantiles is not None
        and quantiles.shape == (width, QUANTILES)
        and values.shape[1:] == (width,)
        and directions.shape[:1] == (width,)
    )
    if shapes != expected or not whole or width == 0:
        raise HubError(
            f"{path} is damaged or of an older Lagotto (shapes); lagotto audit HUB --all makes it "
            "anew"
        )
    same_names = {name: arrays[name] for name in (*expected, "values", "directions")}
    return Block(models=models, sha256=file.sha256, quantiles=arrays["knots"], **same_names)


def block_path(folder: Path, number: int) -> Path:
    """The file of the block with a number."""
    return folder / f"{number:06d}.safetensors"


def block_paths(folder: Path) -> dict[int, Path]:
    """The files of blocks in a folder by their numbers, which ascend."""
    if not folder.is_dir():
        return {}
    found = (path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return dict(sorted((int(path.stem), path) for path in found))

"""Responses of many models come in; int8 descriptor blocks that a query scans quickly go out.

A block holds the descriptors of whole models with a row for each probe: a query reads the rows of
its k probes and no others. Beside them it holds, with a row for each logit, the logit's quantiles
and its direction in the encoder's space. Blocks are derived from responses and can be built again;
see docs/reference/formats.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int64, Integer

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.files import writing
from lagotto.core.temporary.leftovers import TEMPORARY_SUFFIX
from lagotto.core.types import JsonValue
from lagotto.hub.descriptors.projection import project
from lagotto.hub.descriptors.quantize import quantize, quantize_by
from lagotto.hub.descriptors.rank_blend import (
    QUANTILES,
    blend_by_quantiles,
    rank_quantiles,
)
from lagotto.hub.descriptors.standardize import (
    measure_moments,
    standardize_answers,
    standardize_columns,
)
from lagotto.hub.store.responses import Responses, read_responses
from lagotto.hub.store.tensorfile import (
    Array,
    TensorFile,
    TensorLayout,
    damage_error,
    header_text,
    is_intact,
    open_derived,
    write_tensors,
)

SEEN_ONLY = "seen"
"""`made_with` of a model whose unseen probes are left out of its block, not predicted."""

BLOCK_FORMAT = "lagotto-block"
BLOCK_VERSION = 4
LOGITS_PER_BLOCK = 65_536
_COLUMNS_AT_ONCE = 512
_NAME = re.compile(r"\d{6,}\.safetensors")


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
class BlockModel:
    """A model within a block: its columns are `first` to `first + logits - 1`.

    `responses_sha256` is the checksum of the responses that the columns were made from.
    `made_with` names the completion, and is empty for a model that needed none.
    """

    behaviour_digest: str
    responses_sha256: str
    first: int
    logits: int
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Descriptors of some models, memory-mapped and read-only: steps * values.

    `mean` and `std` are the moments of the raw responses. An invalid logit has step and std zero.
    `quantiles` are in whole steps of their logit (rank_blend.py). `directions` times
    `direction_steps` are the logits' directions (projection.py). `sha256` is the checksum of the
    block's file.
    """

    models: tuple[BlockModel, ...]
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


def build_blocks(
    folder: Path,
    sources: Sequence[BlockSource],
    probe_digest: str,
    matrix: Float32[np.ndarray, "dim probes"],
    logits_per_block: int = LOGITS_PER_BLOCK,
) -> None:
    """Makes the folder hold exactly these models, in this order.

    Blocks that already hold what they should are kept, so adding models rewrites the last block
    and appends new ones. The bytes depend on the list alone, not on how it grew. At every moment
    the folder holds the leading blocks of the old list or of the new one. One writer at a time.

    Args:
        folder: Where the blocks are; it is made if need be.
        sources: The models, in order.
        probe_digest: The probe set that their responses must be of.
        matrix: The hub's projector, which takes a descriptor to a direction.
        logits_per_block: A new block begins where the next model would pass this many logits.

    Raises:
        HubError: A file of responses is missing or damaged, or the folder cannot be written.
        MismatchError: Responses are of another probe set.
    """
    planned = _plan(sources, probe_digest, logits_per_block)
    keep = _count_kept(folder, planned, probe_digest)
    first_stale = min(keep + 1, len(planned))  # block `keep` is not removed but replaced
    stale = [path for path in _block_paths(folder) if _number(path) >= first_stale]
    for path in [*reversed(stale), *folder.glob(f".*{TEMPORARY_SUFFIX}")]:
        _remove(path)
    by_digest = {source.behaviour_digest: source for source in sources}
    for number in range(keep, len(planned)):
        _write_block(_path(folder, number), planned[number], by_digest, probe_digest, matrix)


def open_blocks(folder: Path, probe_digest: str) -> list[Block]:
    """The blocks of a folder, in order and memory-mapped; an empty list if there are none.

    Raises:
        HubError: A block is missing, damaged or of a newer version.
        MismatchError: A block was made on another probe set than `probe_digest`.
    """
    paths = _block_paths(folder)
    for number, path in enumerate(paths):
        if _number(path) != number:
            raise HubError(
                f"{_path(folder, number)} is missing; run lagotto hub add again to rebuild it"
            )
    return [_open_block(path, probe_digest) for path in paths]


def damaged_blocks(folder: Path) -> list[Path]:
    """The block files whose bytes do not give their checksum; reads all of them.

    Raises HubError if one cannot be read.
    """
    return [path for path in _block_paths(folder) if not is_intact(path)]


def exact_descriptors(
    block: Block,
    columns: Integer[np.ndarray, " columns"],
    probes: Integer[np.ndarray, " k"],
    read: Callable[[str], Answers],
) -> Float32[np.ndarray, "k columns"]:
    """Descriptors of some logits on some probes, from the responses: without int8 rounding.

    They are bit for bit what `standardize.standardize` gives. Invalid logits, and probes that a
    model did not see, give zeros.

    Args:
        block: The block that holds the logits.
        columns: The logits, as columns of the block.
        probes: The probes, in the order of the rows that come back.
        read: Gives a model's responses by its behaviour digest.

    Returns:
        One row a probe and one column a logit.
    """
    raw = np.empty((len(probes), len(columns)), dtype=np.float32)
    firsts = np.array([model.first for model in block.models])
    owners = np.searchsorted(firsts, columns, side="right") - 1
    for owner in np.unique(owners):
        model = block.models[owner]
        mask = owners == owner
        raw[:, mask] = read(model.behaviour_digest).rows(probes, columns[mask] - model.first)
    return standardize_answers(raw, block.mean[columns], block.std[columns])


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


def _count_kept(folder: Path, planned: Sequence[tuple[BlockModel, ...]], probe_digest: str) -> int:
    """How many leading blocks on disk are already as planned."""
    for number, models in enumerate(planned):
        try:
            block = _open_block(_path(folder, number), probe_digest)
        except HubError:
            return number
        if block.models != models:
            return number
    return len(planned)


def _write_block(
    path: Path,
    models: tuple[BlockModel, ...],
    sources: Mapping[str, BlockSource],
    probe_digest: str,
    matrix: Float32[np.ndarray, "dim probes"],
) -> None:
    logits = sum(model.logits for model in models)
    probes = read_responses(sources[models[0].behaviour_digest].responses).probes
    layout: TensorLayout = {
        "mean": ("F64", (logits,)),
        "std": ("F64", (logits,)),
        "steps": ("F32", (logits,)),
        "direction_steps": ("F32", (logits,)),
        "knots": ("I8", (logits, QUANTILES)),
        "values": ("I8", (probes, logits)),
        "directions": ("I8", (logits, len(matrix))),
    }
    listed: list[JsonValue] = [
        {
            "behaviour_digest": model.behaviour_digest,
            "responses_sha256": model.responses_sha256,
            "first": model.first,
            "logits": model.logits,
            **({"made_with": model.made_with} if model.made_with else {}),
        }
        for model in models
    ]

    def fill(arrays: Mapping[str, Array]) -> None:
        for model in models:
            source = sources[model.behaviour_digest]
            responses = read_responses(source.responses, probe_digest)
            columns = slice(model.first, model.first + model.logits)
            model_arrays = {
                name: array[:, columns] if name == "values" else array[columns]
                for name, array in arrays.items()
            }
            if source.complete is None:
                _fill_model(model_arrays, responses.values, responses.seen_probes, matrix)
            else:
                completed = source.complete(responses)
                _fill_model(model_arrays, completed, np.arange(probes), matrix)

    write_tensors(
        path,
        {
            "format": BLOCK_FORMAT,
            "version": BLOCK_VERSION,
            "probe_digest": probe_digest,
            "models": listed,
        },
        layout,
        fill,
    )


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


def _open_block(path: Path, probe_digest: str) -> Block:
    file = open_derived(path, BLOCK_FORMAT, BLOCK_VERSION)
    made_on = header_text(file, "probe_digest")
    if made_on != probe_digest:
        raise MismatchError(
            f"{path} was made on probe set {made_on[:12]}, and this hub has probe set "
            f"{probe_digest[:12]}; remove it and run lagotto hub add again"
        )
    models = _read_models(file)
    arrays = file.arrays
    width = models[-1].first + models[-1].logits if models else 0
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


def _read_models(file: TensorFile) -> tuple[BlockModel, ...]:
    listed = file.header.get("models")
    try:
        return tuple(
            BlockModel(
                behaviour_digest=cast(str, entry["behaviour_digest"]),
                responses_sha256=cast(str, entry["responses_sha256"]),
                first=int(cast(int, entry["first"])),
                logits=int(cast(int, entry["logits"])),
                made_with=str(entry.get("made_with", "")),
            )
            for entry in cast(list[dict[str, JsonValue]], listed)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damage_error(file.path, "its list of models") from error


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.safetensors"


def _number(path: Path) -> int:
    return int(path.stem)


def _block_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_number)


def _remove(path: Path) -> None:
    with writing(path):
        path.unlink(missing_ok=True)

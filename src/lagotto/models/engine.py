"""An engine and the pictures for it come in; the rows of its output go out, batch by batch."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num, Shaped, UInt8

from lagotto.core.errors import ModelError
from lagotto.core.types import InputSpec
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.inputs import prepare_tensor

_PREPARED_ELEMENTS = 1 << 18  # of one prepared tensor: 1 MB of float32, which fits a CPU cache


@runtime_checkable
class Engine(Protocol):
    """A model opened by its framework: takes one prepared tensor, returns one raw output."""

    @property
    def input(self) -> InputTensor:
        """The input as the file declares it."""

    @property
    def output(self) -> OutputTensor:
        """The tensor that `run` returns."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each fallback that a run took."""

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Shaped[np.ndarray, "..."]:
        """The raw values of `output`; raises ModelError where the framework refuses."""


ReadRows = Callable[[Shaped[np.ndarray, "..."], int], Num[np.ndarray, "images classes"]]
"""Makes one row of values a picture of the output of a run and its number of pictures."""


def run_batches(
    engine: Engine,
    spec: InputSpec,
    pixels: UInt8[np.ndarray, "images height width channels"],
    read_rows: ReadRows,
) -> Num[np.ndarray, "images classes"]:
    """The rows of an output for all pictures.

    A fixed batch is filled up with black pictures. Where the batch is open, a run takes one
    picture, or as many as the engine says.

    Raises ModelError if the engine refuses, or its outputs change from picture to picture.
    """
    images = len(pixels)
    fixed = engine.input.shape[0]
    batch = fixed or engine.input.together
    group = batch * max(1, _PREPARED_ELEMENTS // (batch * pixels[0].size))
    rows = []
    for start in range(0, images, group):
        piece = pixels[start : start + group]
        missing = -len(piece) % (fixed or 1)
        if missing:
            black = np.zeros((missing, *piece.shape[1:]), np.uint8)
            piece = np.concatenate([piece, black])
        tensor = prepare_tensor(piece, spec, engine.input.quantization)
        for first in range(0, len(tensor), batch):
            part = tensor[first : first + batch]
            rows.append(read_rows(engine.run(part), len(part)))
            if rows[-1].shape[1] != rows[0].shape[1]:
                raise ModelError(
                    f"its outputs change from picture to picture ({rows[0].shape[1]}, then "
                    f"{rows[-1].shape[1]}); a classifier has the same ones for every picture"
                )
    return np.concatenate(rows)[:images]

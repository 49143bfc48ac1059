"""The tables that kernels read, and the operations that every kernel has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int64

KernelName: TypeAlias = Literal["numpy", "numba"]

Table: TypeAlias = tuple[Int8[np.ndarray, "probes _"], Float32[np.ndarray, " _"]]
"""A block's values and steps: a descriptor is step * value."""

WholeTable: TypeAlias = tuple[
    Int8[np.ndarray, "probes _"],
    Float32[np.ndarray, " _"],
    Int8[np.ndarray, "_ quantiles"],
    Int8[np.ndarray, "_ dim"],
    Float32[np.ndarray, " _"],
]
"""A block's values, steps, quantiles, directions and the steps of these: see descriptors/blocks."""

BackgroundTables: TypeAlias = tuple[
    Float32[np.ndarray, "words dim"],
    Float32[np.ndarray, " dim"],
    Int64[np.ndarray, "words k"],
    Float32[np.ndarray, "words k"],
    Float32[np.ndarray, "4 words"],
    Int64[np.ndarray, " reference"],
]
"""The background words: their embeddings, the mean of these, their top k probes with weights, their
reference moments, and which of them are the reference words (see confidence/reference.py)."""

Scan: TypeAlias = Callable[
    [
        Int8[np.ndarray, "probes logits"],
        Float32[np.ndarray, " logits"],
        Int64[np.ndarray, " k"],
        Float32[np.ndarray, " k"],
        Float32[np.ndarray, " logits"],
        int,
        int,
    ],
    None,
]
"""Reads values, steps, the rows of k probes and what the query has there; writes a part of the last
array, from the first column to the last."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One implementation of what takes most of a query's time; each writes into arrays.

    `scan_distances` and `scan_sums` read a table and write a number for each of its logits. `blend`
    writes blended values of some logits, `weigh` their weighted sums and direction scores.
    `score_background` writes what background words score on some logits. `columns_apart`: scans
    and `weigh` give a logit the same bits whichever logits are beside it. `read_rows` fills an
    array with rows of a table in a file (`numba_read`); None: they are read in Python.
    """

    scan_distances: Scan
    scan_sums: Scan
    blend: Callable[..., None]
    weigh: Callable[..., None]
    score_background: Callable[..., None]
    columns_apart: bool = False
    read_rows: Callable[..., bool] | None = None

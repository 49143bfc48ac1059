"""Places in a file come in; the bytes there go out, read by a compiled loop.

To read a thousand short rows from Python takes longer than all else that a query does with them;
to map them takes memory, since the system maps the whole piece of the file around each.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lagotto.hub.kernels.numba_compile import compile_function

_READ = types.int64(
    *(types.int64, types.int64, types.int64),
    types.Array(types.int64, 1, "C", readonly=True),
    types.int8[:, ::1],
)


@intrinsic  # type: ignore[untyped-decorator]
def _pread(
    context: Any, function: Any, descriptor: Any, pointer: Any, size: Any, offset: Any
) -> Any:
    """The C library's `pread`, by its address: a compiled loop may be kept on disk with it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        long, data = ir.IntType(64), ir.IntType(8).as_pointer()
        form = ir.FunctionType(long, [ir.IntType(32), data, long, long])
        address, descriptor, pointer, size, offset = arguments
        function = builder.inttoptr(address, form.as_pointer())
        number = builder.trunc(descriptor, ir.IntType(32))
        return builder.call(function, [number, builder.inttoptr(pointer, data), size, offset])

    return types.int64(*(types.int64,) * 5), generate


def _read_rows(function: Any, descriptor: Any, start: Any, rows: Any, result: Any) -> Any:
    """Fills the rows of `result` from a file; how many were read whole before one was not."""
    size = result.shape[1]
    for place in range(rows.size):
        pointer = result.ctypes.data + place * size
        if _pread(function, descriptor, pointer, size, start + rows[place] * size) != size:
            return place
    return rows.size


_read_compiled = compile_function(_read_rows, _READ)


@cache
def _address() -> int | None:
    """Where the C library's `pread` lies."""
    return ctypes.cast(ctypes.CDLL(None).pread, ctypes.c_void_p).value


def read_file_rows(
    descriptor: int,
    start: int,
    rows: Int64[np.ndarray, " rows"],
    result: Int8[np.ndarray, "rows _"],
) -> bool:
    """Fills `result` with rows of a table in a file; False if one cannot be read whole.

    Args:
        descriptor: Of the file.
        start: Where in it the table begins.
        rows: Which rows, each as long as those of `result`.
        result: The bytes read.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    return bool(_read_compiled(_address(), descriptor, start, rows, result) == len(rows))

"""A Python function and its types come in; the compiled function goes out, cached on disk."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit


def compile_function(
    function: Callable[..., Any], signature: Any, *relaxed: str
) -> Callable[..., Any]:
    """The function as machine code, which is cached on disk if a cache folder can be written.

    Args:
        function: A function that numba can compile.
        signature: The types of its arguments and of its result.
        relaxed: Names of numba's fastmath flags; without any it rounds as numpy does.
    """
    # Tests wrap every function to check its shapes; the compiler needs the function itself.
    bare = inspect.unwrap(function)
    try:
        return njit(signature, nogil=True, fastmath=set(relaxed), cache=True)(bare)  # type: ignore[no-any-return]
    except (RuntimeError, OSError):
        return njit(signature, nogil=True, fastmath=set(relaxed))(bare)  # type: ignore[no-any-return]

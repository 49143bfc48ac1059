"""An iterator comes in; the same values go out, each made while the one before is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(values: Iterator[T]) -> Iterator[T]:
    """The same values in the same order, each made in a thread while the one before is used.

    It pays where a value is costly to make in code that leaves the interpreter (decoding,
    inference). What `values` raises is raised here, where its value would have been.

    Args:
        values: What to iterate over; it is used in another thread, one value at a time.

    Returns:
        An iterator over the same values.

    Example:
        >>> list(prefetch(iter("abc")))
        ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, "lagotto-ahead") as pool:
        future = pool.submit(_step, values)
        while item := future.result():
            future = pool.submit(_step, values)
            yield item[0]


def _step(values: Iterator[T]) -> tuple[T] | None:
    """The next value in a tuple, or None at the end: a future does not carry StopIteration."""
    for value in values:
        return (value,)
    return None

"""The next value of an iterator is made while this one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(values: Iterator[T]) -> Iterator[T]:
    """The same values in the same order, each made in a thread while the one before is used.

    For values that are costly to make in code that leaves the interpreter (decoding, inference).
    What `values` raises is raised here, where its value would have been.

    >>> list(one_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1, "lagotto-ahead") as pool:
        waiting = pool.submit(_step, values)
        while made := waiting.result():
            waiting = pool.submit(_step, values)
            yield made[0]


def _step(values: Iterator[T]) -> tuple[T] | None:
    """The next value in a tuple, or None at the end: a future does not carry StopIteration."""
    for value in values:
        return (value,)
    return None

"""Values made ahead: the same, in order, one at a time, with their errors."""

import threading
import time
from collections.abc import Iterator

import pytest

from lagotto.core.prefetch import prefetch


def test_the_next_value_is_made_while_this_one_is_used() -> None:
    made: list[int] = []

    def values() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            yield number

    ahead = prefetch(values())
    assert next(ahead) == 0
    for _ in range(200):
        if made == [0, 1]:
            break
        time.sleep(0.01)
    assert made == [0, 1]  # and no more than one ahead
    assert list(ahead) == [1, 2, 3]


def test_an_error_comes_in_its_place() -> None:
    def values() -> Iterator[str]:
        yield "a"
        raise ValueError("the second")

    ahead = prefetch(values())
    assert next(ahead) == "a"
    with pytest.raises(ValueError, match="the second"):
        next(ahead)


def test_leaving_early_leaves_no_thread() -> None:
    ahead = prefetch(iter(range(100)))
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("lagotto-ahead") for thread in threading.enumerate())


def test_none_and_nothing_are_values() -> None:
    assert list(prefetch(iter([None, (), 0]))) == [None, (), 0]
    assert list(prefetch(iter([]))) == []

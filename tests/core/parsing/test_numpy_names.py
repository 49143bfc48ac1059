"""Names that NumPy saved: arrays of text are read, everything else is refused, nothing is run."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.core.parsing.name_list import parse_name_list


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def claiming(shape: str, descr: str = "<U3") -> bytes:
    """A file whose header claims a shape, with one name behind it."""
    return (
        saved(np.array(["ant"]))
        .replace(b"'<U3'", f"'{descr}'".encode())
        .replace(b"(1,), ", f"{shape}, ".encode())
    )


@given(st.lists(st.text("abcxyzéß", min_size=1, max_size=9), min_size=1, max_size=9))
def test_an_array_of_text_gives_its_names_in_order(names: list[str]) -> None:
    for array in (np.array(names), np.array(names)[:, None], np.array([n.encode() for n in names])):
        assert parse_name_list(saved(array), ".npy", "the list").names == tuple(names)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(np.array(["ant", "bee"], dtype=object)), "never unpickled"),
        (saved(np.arange(3)), "not a list of names"),
        (saved(np.array([["ant", "bee"], ["cat", "dog"]])), "not a list of names"),
        (saved(np.array(["ant", "bee"]))[:-4], "cut short"),
        (saved(np.array(["ant", "bee"]))[:9], "cut short"),
        (saved(np.array([], dtype="<U3")), "holds no name"),
        (saved(np.array([b"\xff"])), "not UTF-8"),
        (b"ant\nbee\n", "not a NumPy file"),
        (claiming("(1000000000000,)"), "cut short"),
        (claiming("(-1,)"), "cut short"),
        (claiming("(999999,)", "<U0"), "cut short"),
    ],
)
def test_what_is_no_array_of_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        parse_name_list(data, ".npy", "the list")
    assert "\n" not in str(caught.value)

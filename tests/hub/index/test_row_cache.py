"""Rows that are made once."""

import numpy as np

from lagotto.hub.index.row_cache import RowCache


def test_every_row_is_made_once_and_right_in_any_order() -> None:
    made: list[int] = []

    def make(rows: np.ndarray) -> np.ndarray:
        made.extend(rows.tolist())
        return np.asarray(rows[:, None] * np.array([1, 10, 100]), np.float32)

    table = RowCache((9, 3), make)
    for rows in ([4, 2], [2, 4, 7], [], [8, 0, 2]):
        found = table(np.array(rows, np.int64))
        assert found.tolist() == [[row, 10 * row, 100 * row] for row in rows]
    assert sorted(made) == [0, 2, 4, 7, 8]


def test_what_is_given_out_is_not_what_is_kept() -> None:
    table = RowCache((2, 1), lambda rows: np.ones((len(rows), 1), np.float32))
    table(np.array([1]))[:] = 5
    assert table(np.array([1])).tolist() == [[1]]

"""A row of the catalogue that was not written so is an error of one line, whatever is in it."""

from typing import Any

import pytest

from lagotto.core.errors import HubError
from lagotto.hub.store.records import model_record

ROW = (0, "d", "plain", "done", "s", "onnx", 3, "logits", "cut", "{}", '["note"]', "r")


def test_a_row_that_was_written_is_a_record() -> None:
    assert model_record(ROW).notes == ("note",)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (9, '{"a": 1} x'),
        (9, "[]"),
        (9, None),
        (9, b"{}\xff"),
        (9, "[" * 100_000),
        (10, "[1]"),
        (10, "3"),
        (10, ""),
        (2, b"plain"),
        (4, 3.5),
        (6, "three"),
        (0, None),
    ],
)
def test_a_damaged_row_is_refused_in_one_line(column: int, value: Any) -> None:
    row = [*ROW]
    row[column] = value
    with pytest.raises(HubError, match=r"^the catalogue's record of .* is damaged; .*hub verify"):
        model_record(tuple(row))

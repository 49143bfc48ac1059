"""Tables of many rows are written as they come: a hub of any size is listed in little memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import lagotto
from lagotto.cli.output import print_table


def test_rows_are_written_before_all_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    held, written = 0, []

    def rows() -> Iterator[list[str]]:
        nonlocal held
        for number in range(2000):
            written.append(capsys.readouterr().out)
            held = max(held, number + 1 - max(0, "".join(written).count("\n") - 1))
            yield [f"model {number}" + "x" * (number == 1999), "1"]

    print_table(["name", "logits"], rows(), frozenset({"logits"}))
    lines = ("".join(written) + capsys.readouterr().out).splitlines()
    assert len(lines) == 2001
    assert held < 600, "all rows were collected first"
    assert lines[0].split() == ["name", "logits"]
    assert lines[1].split() == ["model", "0", "1"]
    assert lines[2000].endswith("1999x       1")


def test_a_table_of_few_rows_is_aligned_with_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n"], [["a", "1"], ["longer", "20"]], frozenset({"n"}))
    assert capsys.readouterr().out == "name     n\na        1\nlonger  20\n"
    print_table(["name", "n"], [])
    assert capsys.readouterr().out == "name  n\n"


def test_models_that_saw_a_share_have_their_columns(hub_copy: Path) -> None:
    whole = lagotto("hub", "status", hub_copy, "--models").out
    assert "searched" not in whole
    assert whole.count("plain") == 1
    assert lagotto("hub", "status", hub_copy, "--filter", "no such name").out.strip() == ""

"""Long labels and captions are cut where they are shown."""

import io
from contextlib import redirect_stdout

from PIL import Image

from lagotto.cli.output import print_table
from lagotto.core.text.clean import SHOWN_LENGTH, shown
from lagotto.hub.reports.contact_sheet import SheetRow, Tile, draw_contact_sheet

LONG = "red " * 250_000


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert shown("red") == "red"
    assert shown("r" * SHOWN_LENGTH) == "r" * SHOWN_LENGTH
    assert len(shown(LONG)) <= SHOWN_LENGTH
    assert shown(LONG).endswith("…")


def test_a_table_stays_narrow() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        print_table(["label", "n"], [[LONG, "1"], ["red", "2"]])
    assert len(out.getvalue()) < 4 * (SHOWN_LENGTH + 10)


def test_a_contact_sheet_is_drawn() -> None:
    tile = Tile(Image.new("RGB", (16, 16)), 1.0, True)
    assert draw_contact_sheet([SheetRow(LONG, (tile,))]).width < 5000

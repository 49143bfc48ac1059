"""Evidence for hits: numbers that are those of the search, and a sheet that shows them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colour_world import World
from lagotto.core.errors import HubError
from lagotto.core.types import Hits, Query
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.reports.contact_sheet import (
    SheetRow,
    Tile,
    draw_contact_sheet,
)
from lagotto.hub.reports.explain import deciding_probes, write_contact_sheet

GREEN_FRAME = (30, 140, 60)


def test_the_numbers_are_those_that_made_the_distance(world: World) -> None:
    hub = Hub.open(world.hub)
    vector = hub.query_vector("red")
    found = hub.nearest(vector, k=9, top=4)
    evidence = deciding_probes(hub.reader, vector, found, probes=9, hits=4)
    assert [probe.index for probe in evidence] == list(found.deciding_probes)
    assert [probe.query for probe in evidence] == sorted((p.query for p in evidence), reverse=True)
    for probe in evidence:
        assert probe.source == hub.probes[probe.index].source
        assert probe.source.endswith("red.png")
    for place, hit in enumerate(found.hits):
        squares = [(probe.query - probe.hits[place]) ** 2 for probe in evidence]
        assert np.sqrt(sum(squares)) == pytest.approx(hit.distance, rel=1e-5)
    assert len(deciding_probes(hub.reader, vector, found, probes=2, hits=1)) == 2


def test_the_sheet_shows_the_query_and_each_hit(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    vector = hub.query_vector("red")
    sizes = []
    for top in (1, 3):
        file = tmp_path / f"{top}.png"
        write_contact_sheet(hub.reader, vector, hub.nearest(vector, k=9, top=top), file, tiles=4)
        with Image.open(file) as sheet:
            assert (sheet.format, sheet.mode) == ("PNG", "RGB")
            sizes.append(sheet.size)
            middle = np.asarray(sheet)[8 + 24 + 56, 8 + 56]
            assert middle[0] > 150 > middle[1]  # the query's first probe is red
    assert sizes[0][0] == sizes[1][0]
    rows = (sizes[1][1] - sizes[0][1]) / 2  # of a row more
    assert rows == (sizes[0][1] - 8) / 2


def test_the_sheet_of_a_search_is_always_the_same(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    vector = hub.query_vector(LogitQuery("plain", 1))
    for name in ("a.png", "b.png"):
        write_contact_sheet(hub.reader, vector, hub.nearest(vector, k=5), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_sheet_without_hits_shows_the_query(world: World, tmp_path: Path) -> None:
    hub = Hub.open(world.hub)
    vector = hub.query_vector("red")
    write_contact_sheet(
        hub.reader, vector, Hits(Query("text", "red"), 3, (), (0, 1, 2)), tmp_path / "q.png"
    )
    assert Image.open(io.BytesIO((tmp_path / "q.png").read_bytes())).width >= 640


def test_a_sheet_that_cannot_be_written_is_an_error_of_one_line(
    world: World, tmp_path: Path
) -> None:
    hub = Hub.open(world.hub)
    vector = hub.query_vector("red")
    with pytest.raises(HubError, match=r"cannot write .*nowhere") as raised:
        write_contact_sheet(hub.reader, vector, hub.nearest(vector), tmp_path / "nowhere" / "x.png")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("title", ["", "犬 🐶 é", "x" * 500, "two\nlines"])
def test_any_title_and_any_picture_can_be_drawn(title: str) -> None:
    tiles = tuple(
        Tile(Image.new(mode, size), value, chosen)
        for mode, size, value, chosen in (
            ("RGB", (1, 900), 2.0, True),
            ("L", (900, 1), -1.0, False),
            ("RGB", (1, 1), 0.0, True),
        )
    )
    sheet = draw_contact_sheet([SheetRow(title, tiles), SheetRow("none", ())])
    colours = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert GREEN_FRAME in colours
    assert sheet.mode == "RGB"

"""The picture of a hub: what it counts, and that it is drawn of any hub."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lagotto
from colour_world import World, shared_world
from command_line import lagotto as command
from lagotto.core import registry
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.reports.overview import (
    LEAST_SHOWN,
    HubOverview,
    ModelLabels,
    draw_overview,
    measure_shown,
    read_overview,
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


def test_every_output_is_counted_once(world: World) -> None:
    hub = lagotto.Hub.open(world.hub)
    overview = read_overview(hub.reader)
    counted = {model.name: model.outputs for model in overview.models}
    assert counted == {model.name: model.outputs for model in hub.status().models}
    sizes = [model.outputs for model in overview.models]
    assert sizes == sorted(sizes, reverse=True)
    labelled = {m.name: m.firmly + m.openly + m.doubted for m in overview.models}
    for name, count in labelled.items():
        assert count == sum(label is not None for label in hub.labels(name))
    assert overview.probes == len(hub.probes)
    assert len(overview.shown) == len(overview.words)
    assert (np.diff(overview.shown) <= 0).all()


def test_what_probes_show_is_the_probability_among_the_words() -> None:
    words = np.eye(3, dtype=np.float32)
    probes = words[:2]
    shown = measure_shown(ProbeSpace(probes, words, 10.0))
    sure = np.exp(10) / (np.exp(10) + 2)
    assert shown == pytest.approx([sure, sure, 1 / (np.exp(10) + 2)], rel=1e-4)
    # a search has its own concept among the words a second time
    assert pytest.approx(0.1) == LEAST_SHOWN / (1 + LEAST_SHOWN)


def test_the_share_counts_words_above_the_line() -> None:
    known = HubOverview("h", 2, (), (), 0, 0, np.array([0.9, 0.2, 0.1, 0.0], np.float32), (), "")
    assert known.shown_share == 0.5
    assert replace(known, shown=np.empty(0, np.float32)).shown_share == 0.0


def test_a_picture_is_drawn(world: World, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "hub.png"
    answer = command("hub", "status", world.hub, "--plot", file, "--json")
    assert answer.code == 0
    assert answer.err == f"plot: {file}\n"
    assert answer.json["probes"] > 0
    with Image.open(file) as picture:
        assert picture.size[0] > 1000
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50


def test_odd_hubs_are_drawn_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from lagotto.hub.reports.matplotlib_overview import write_png

    many = tuple(ModelLabels(f"$model_{n}$ 水", n, 1, 2, 3) for n in range(40))
    empty = np.empty(0, np.float32)
    for number, overview in enumerate(
        (
            HubOverview("empty", 2, (), (), 0, 0, empty, (), "encoder '$x' is gone " * 9),
            HubOverview("$many\n", 2, many, (("crash", 2),), 3, 1, empty, (), ""),
        )
    ):
        write_png(overview, tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 5000


def test_a_hub_whose_encoder_is_gone_has_its_models(world: World, tmp_path: Path) -> None:
    overview = read_overview(lagotto.Hub.open(world.hub, str(tmp_path / "gone")).reader)
    assert overview.models
    assert not len(overview.shown)
    assert "gone" in overview.not_known


def test_bad_requests_are_one_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hub.jpg", "hub"):
        command("hub", "status", world.hub, "--plot", tmp_path / name).refused(2, "ends in .png")
    assert list(tmp_path.iterdir()) == []
    missing = ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    def fail(name: str) -> None:
        raise missing

    monkeypatch.setattr(registry.importlib, "import_module", fail)
    with pytest.raises(lagotto.MissingExtraError, match=r"pip install 'lagotto\[plots\]'"):
        draw_overview(lagotto.Hub.open(world.hub).reader, tmp_path / "hub.png")

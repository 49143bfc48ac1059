"""The map: places that are made once, points for the canvas, a drawing without it."""

from pathlib import Path

import numpy as np

from colour_world import MODELS, Classifier, write_classifier
from lagotto.hub.hub import Hub
from lagotto.hub.index.map_file import open_map
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from web_server import Served

LOGITS = sum(len(model.colours) for model in MODELS.values())


def test_points_say_place_model_and_label_of_each_output(site: Served) -> None:
    data = site.client.get("/map/points.bin").content
    table = np.frombuffer(data, "<u2").reshape(-1, 4)

    assert len(table) == LOGITS
    assert table[:, :2].max() <= 65534
    assert table[:, :2].min() == 0
    widths = [len(MODELS[name].colours) for name in sorted(MODELS)]
    assert table[:, 2].tolist() == np.repeat(np.arange(len(MODELS)), widths).tolist()
    labels = [
        colour if MODELS[name].labelled else None
        for name in sorted(MODELS)
        for colour in MODELS[name].colours
    ]
    groups = dict(zip(labels, table[:, 3].tolist(), strict=True))
    assert [groups[label] for label in labels] == table[:, 3].tolist()
    assert groups[None] == 0
    assert len(set(groups.values())) == len(groups)


def test_a_search_lights_its_hits_up(site: Served) -> None:
    text = site.client.get("/map?q=red&top=3").text
    hits = Hub.open(site.state.folder).search("red", top=3)
    index = Hub.open(site.state.folder).reader.logit_index()
    columns = ",".join(str(index.column(hit.model, hit.logit)) for hit in hits)

    assert f'data-lit="{columns}"' in text
    drawing = site.client.get("/map.svg?q=red&top=3").text
    assert drawing.count("<circle") == LOGITS + 3


def test_picked_outputs_are_listed_and_strange_ones_left_out(site: Served) -> None:
    text = site.client.get("/map?pick=0,1,99999999,x,-4").text

    assert 'data-picked="0,1"' in text
    listed = site.client.get("/map/outputs?i=0,1,12345&strips=true").text
    assert listed.count("<li") == 2
    assert listed.count("<img") == 16


def test_a_map_is_made_once_and_made_anew_for_other_models(hub_copy: Path, tmp_path: Path) -> None:
    layout = HubLayout(hub_copy)
    blocks = Hub.open(hub_copy).reader.logit_index().blocks
    places = open_map(layout, blocks)
    assert layout.map.is_file()
    state = layout.map.stat()

    assert np.array_equal(open_map(layout, blocks), places)
    assert layout.map.stat().st_mtime_ns == state.st_mtime_ns

    write_classifier(tmp_path / "one_more", Classifier(("red", "cyan"), seed=30))
    hub = Hub.open(hub_copy)
    hub.add(tmp_path / "one_more")
    assert len(open_map(layout, hub.reader.logit_index().blocks)) == len(places) + 2
    assert not hub.verify()


def test_a_damaged_map_is_made_anew(hub_copy: Path) -> None:
    layout = HubLayout(hub_copy)
    blocks = Hub.open(hub_copy).reader.logit_index().blocks
    places = open_map(layout, blocks)
    data = bytearray(layout.map.read_bytes())
    data[-40] ^= 1
    layout.map.write_bytes(bytes(data))
    (damage,) = Hub.open(hub_copy).verify()
    assert "map.safetensors" in damage.what

    assert np.array_equal(open_map(layout, blocks), places)
    layout.map.write_bytes(b"")
    assert np.array_equal(open_map(layout, blocks), places)


def test_a_hub_that_is_written_to_gets_its_map_without_a_file(hub_copy: Path) -> None:
    layout = HubLayout(hub_copy)
    blocks = Hub.open(hub_copy).reader.logit_index().blocks
    with hub_lock(hub_copy):
        places = open_map(layout, blocks)
    assert not layout.map.exists()
    assert np.array_equal(open_map(layout, blocks), places)

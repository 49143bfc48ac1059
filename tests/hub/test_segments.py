"""Hubs that grow by segments: any history gives the answers of a hub that was made at once."""

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colour_world import World
from lagotto.core.errors import HubError
from lagotto.hub.descriptors.blocks import block_paths
from lagotto.hub.hub import Hub
from lagotto.hub.ingest import segments
from lagotto.hub.ingest.response_files import file_facts
from lagotto.hub.ingest.segments import compact_segments, rebuild_blocks
from lagotto.hub.kernels import pages, spans
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import Listing, ModelFacts
from lagotto.hub.store.responses import ResponsesHeader, write_responses
from lagotto.hub.store.segments import read_segments
from older_catalogue import make_older

WIDTHS = (3, 40, 7, 1, 25, 12, 5, 9, 30, 2)
MODELS = range(len(WIDTHS))
QUERIES = ("red", "blue", "a green thing")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, tasks and tiers so small that a few models make many of them."""
    monkeypatch.setattr(spans, "LOGITS_AT_ONCE", 50)
    monkeypatch.setattr(segments, "_SMALLEST", 20)
    monkeypatch.setattr(segments, "TIER", 3)
    monkeypatch.setattr(segments, "LARGEST_SEGMENT", 100)


def digest_of(model: int) -> str:
    return sha256(f"model {model}".encode()).hexdigest()


def record(hub: Hub, model: int, version: int = 0) -> None:
    """Records a model as probed, or as probed anew if the hub has it."""
    layout, digest = HubLayout(hub.folder), digest_of(model)
    rng = np.random.default_rng(1000 * version + model)
    values = rng.normal(0, 3, (hub.reader.probe_count, WIDTHS[model])).astype(np.float32)
    path = layout.responses_of(digest)
    header = ResponsesHeader(digest, hub.probe_digest, "onnx", "raw")
    checksum = write_responses(path, values, header)
    facts = ModelFacts(
        "onnx", WIDTHS[model], "logits", "raw", {}, (), None, ("",) * WIDTHS[model], checksum
    )
    with Catalog(layout.catalogue, writable=True) as catalogue:
        catalogue.plan([Listing(digest, f"m{model}", f"/m{model}.onnx")])
        catalogue.record_done(digest, facts, file_facts(path, len(values)))


def rebuild(hub: Hub) -> None:
    layout = HubLayout(hub.folder)
    with Catalog(layout.catalogue, writable=True) as catalogue:
        rebuild_blocks(layout, catalogue, hub.probe_digest)


def compact(hub: Hub) -> None:
    layout = HubLayout(hub.folder)
    with Catalog(layout.catalogue, writable=True) as catalogue:
        compact_segments(layout, catalogue, hub.probe_digest)


def answers(folder: Path, encoder: object) -> list[str]:
    """Everything that searches say, with all digits."""
    hub = Hub.open(folder, encoder)  # type: ignore[arg-type]
    found = [hub.search(query, top=50) for query in QUERIES]
    found += [hub.search(query, top=50, rule="paper") for query in QUERIES]
    said = [repr([replace(hit) for hit in hits.hits]) for hits in found]
    return [*said, repr([hits.notes for hits in found])]


def empty_hub(world: World, folder: Path) -> Hub:
    hub = Hub.open(shutil.copytree(world.empty_hub, folder), world_encoder(world))
    HubLayout(folder).responses.mkdir(exist_ok=True)
    return hub


ENCODERS: dict[Path, object] = {}


def world_encoder(world: World) -> object:
    if world.empty_hub not in ENCODERS:
        ENCODERS[world.empty_hub] = Hub.open(world.empty_hub).encoder
    return ENCODERS[world.empty_hub]


def positions(hub: Hub) -> list[tuple[int, int]]:
    """The models that the hub has, with their versions, in its order: (model, width)."""
    return [(int(record.name[1:]), record.outputs) for record in hub.reader.records()]


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.sampled_from(MODELS), min_size=1, max_size=3)),
    st.tuples(st.just("change"), st.lists(st.sampled_from(MODELS), min_size=1, max_size=2)),
    st.tuples(st.just("remove"), st.lists(st.sampled_from(MODELS), min_size=1, max_size=2)),
    st.tuples(st.just("kill"), st.lists(st.sampled_from(MODELS), min_size=1, max_size=2)),
    st.tuples(st.just("lose"), st.just([0])),
    st.tuples(st.just("compact"), st.just([0])),
)


def act(hub: Hub, action: str, models: list[int], versions: dict[int, int]) -> None:
    layout = HubLayout(hub.folder)
    if action in ("add", "kill", "change"):
        for model in models:
            if action == "change" and model not in versions:
                continue
            if model in versions:
                with Catalog(layout.catalogue, writable=True) as catalogue:
                    catalogue.record_lost(digest_of(model))
                versions[model] += 1
            record(hub, model, versions.setdefault(model, 0))
        if action == "kill":
            return  # before the blocks were made
    elif action == "remove":
        for model in set(models) & set(versions):
            with Catalog(layout.catalogue, writable=True) as catalogue:
                catalogue.remove(f"m{model}")
            layout.responses_of(digest_of(model)).unlink()
            del versions[model]
    elif action == "lose":
        for path in [*block_paths(layout.blocks).values()][:1]:
            path.unlink()
    elif action == "compact":
        compact(hub)
        return
    rebuild(hub)


@settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(ACTIONS, min_size=1, max_size=7))
def test_history_does_not_show(
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, list[int]]],
) -> None:
    folder = tmp_path_factory.mktemp("history")
    hub = empty_hub(world, folder / "hub")
    versions: dict[int, int] = {}
    for action, models in actions:
        act(hub, action, models, versions)
    if not versions:
        return
    once = empty_hub(world, folder / "once")
    for model, _ in positions(hub):
        record(once, model, versions[model])
    rebuild(once)
    compact(once)
    expected = answers(once.folder, world_encoder(world))
    kept = [action for action, _ in actions][-1] != "kill"
    found = answers(hub.folder, world_encoder(world))
    assert found[:-1] == expected[:-1]
    assert kept or "are not kept in the hub" in found[-1]
    rebuild(hub)
    assert answers(hub.folder, world_encoder(world)) == expected
    compact(hub)
    assert answers(hub.folder, world_encoder(world)) == expected
    assert Hub.open(hub.folder).verify() == ()


def test_a_large_hub_is_read_otherwise_and_answers_alike(
    grown: Hub, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(grown.folder, world_encoder(world))
    monkeypatch.setattr(pages, "RESIDENT_BYTES", 0)
    assert answers(grown.folder, world_encoder(world)) == expected
    compact(grown)
    assert answers(grown.folder, world_encoder(world)) == expected


@pytest.fixture
def grown(world: World, tmp_path: Path) -> Hub:
    """A hub that grew model by model."""
    hub = empty_hub(world, tmp_path / "hub")
    for model in MODELS:
        record(hub, model)
        rebuild(hub)
    return hub


def listed(hub: Hub) -> list[tuple[int, int, int]]:
    with Catalog(HubLayout(hub.folder).catalogue) as catalogue:
        return [(each.id, each.models, each.lost_models) for each in read_segments(catalogue)]


def test_adding_writes_what_is_new_and_removing_nothing(grown: Hub) -> None:
    compact(grown)
    layout = HubLayout(grown.folder)

    def files() -> dict[Path, int]:
        return {path: path.stat().st_ino for path in block_paths(layout.blocks).values()}

    before = files()
    with Catalog(layout.catalogue, writable=True) as catalogue:
        catalogue.remove("m3")
    layout.responses_of(digest_of(3)).unlink()
    rebuild(grown)
    assert files() == before
    assert sum(lost for _, _, lost in listed(grown)) == 1
    record(grown, 3, 5)
    rebuild(grown)
    assert before.items() < files().items()
    assert len(files()) == len(before) + 1
    assert sum(models - lost for _, models, lost in listed(grown)) == len(MODELS)


def test_segments_are_merged_in_tiers_and_files_are_those_listed(grown: Hub) -> None:
    found = listed(grown)
    assert 1 < len(found) < len(MODELS)
    assert sorted(number for number, _, _ in found) == [
        *block_paths(HubLayout(grown.folder).blocks)
    ]
    compact(grown)
    assert len(listed(grown)) == 2  # of 134 logits, at most 100 in one
    before = listed(grown)
    compact(grown)
    assert listed(grown) == before


def test_a_full_disk_in_a_merge_leaves_the_segments(
    grown: Hub, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, before = answers(grown.folder, world_encoder(world)), listed(grown)

    def full(*_: object) -> None:
        raise HubError("no space left on device")

    monkeypatch.setattr(segments, "join_blocks", full)
    with pytest.raises(HubError, match="no space"):
        compact(grown)
    assert (listed(grown), answers(grown.folder, world_encoder(world))) == (before, expected)


def test_a_kill_between_file_and_list_leaves_nothing_behind(
    grown: Hub, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(grown.folder, world_encoder(world))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segments, "drop_segments", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(grown)
    files = block_paths(HubLayout(grown.folder).blocks)
    assert set(files) > {number for number, _, _ in listed(grown)}
    assert answers(grown.folder, world_encoder(world)) == expected
    assert Hub.open(grown.folder).verify() == ()
    rebuild(grown)
    assert [*block_paths(HubLayout(grown.folder).blocks)] == sorted(n for n, _, _ in listed(grown))


def test_an_older_hub_is_read_and_its_blocks_are_taken_over(grown: Hub, world: World) -> None:
    compact(grown)
    layout = HubLayout(grown.folder)
    expected = answers(grown.folder, world_encoder(world))
    files = {path: path.stat().st_ino for path in block_paths(layout.blocks).values()}
    make_older(layout.catalogue, 2)
    assert answers(grown.folder, world_encoder(world)) == expected
    rebuild(grown)
    assert {path: path.stat().st_ino for path in block_paths(layout.blocks).values()} == files
    assert answers(grown.folder, world_encoder(world)) == expected
    assert Hub.open(grown.folder).verify() == ()


def test_a_segment_of_other_bytes_is_not_used(grown: Hub, world: World) -> None:
    expected = answers(grown.folder, world_encoder(world))
    paths = [*block_paths(HubLayout(grown.folder).blocks).values()]
    paths[0].write_bytes(paths[-1].read_bytes())
    assert any("another file" in damage.reason for damage in Hub.open(grown.folder).verify())
    found = answers(grown.folder, world_encoder(world))
    assert found[:-1] == expected[:-1]
    assert "are not kept in the hub" in found[-1]
    rebuild(grown)
    assert answers(grown.folder, world_encoder(world)) == expected

"""Hubs whose models saw a share of the probes: what is kept, what is run again, what is found."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from colour_world import MODELS, World, planted
from command_line import lagotto
from lagotto.core.errors import UsageError
from lagotto.hub.descriptors.blocks import SEEN_ONLY
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.hub import Hub
from lagotto.hub.kernels import pages
from lagotto.hub.reader.current_blocks import current_blocks
from lagotto.hub.reports.explain import deciding_probes, write_contact_sheet
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.responses import (
    SeenProbes,
    read_responses,
    write_responses,
)
from lagotto.hub.store.segments import ways_made

SHARE = 24


@pytest.fixture(scope="module")
def shared_hub(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model saw a third of the probes."""
    folder = tmp_path_factory.mktemp("shares") / "hub"
    shutil.copytree(world.empty_hub, folder)
    Hub.open(folder).add([world.models], probes_per_model=SHARE)
    return folder


@pytest.fixture
def shared_copy(shared_hub: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(shared_hub, tmp_path / "hub")


def responses_files(hub: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (hub / "responses").iterdir()}


def test_each_model_saw_its_own_share(shared_hub: Path, world: World) -> None:
    hub, full = Hub.open(shared_hub), Hub.open(world.hub)
    seen = {name: hub.reader.seen_probes(name) for name in MODELS}
    assert {len(probes) for probes in seen.values()} == {SHARE}
    assert len({tuple(probes.tolist()) for probes in seen.values()}) == len(MODELS)
    for name, probes in seen.items():
        shares, whole = hub.reader.observed_responses(name), full.responses(name)
        np.testing.assert_allclose(shares[probes], whole[probes], rtol=1e-4, atol=1e-3)
        assert np.isnan(np.delete(shares, probes, axis=0)).all()


def test_the_same_share_gives_the_same_bytes(
    shared_hub: Path, world: World, tmp_path: Path
) -> None:
    again = shutil.copytree(world.empty_hub, tmp_path / "again")
    Hub.open(again).add([world.models], probes_per_model=SHARE)
    assert responses_files(again) == responses_files(shared_hub)
    for name in ("completion.safetensors", "blocks/000000.safetensors"):
        assert (again / name).read_bytes() == (shared_hub / name).read_bytes()


@pytest.mark.parametrize("made", ["completed", "seen"])
def test_a_large_hub_of_shares_answers_alike(
    shared_copy: Path, world: World, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    folder = shared_copy
    if made == "seen":  # too few models and probes for the guard to believe a prediction
        folder = shutil.copytree(world.empty_hub, shared_copy.parent / "few")
        Hub.open(folder).add([world.models / "plain", world.models / "opencv"], probes_per_model=8)
    with Catalog(HubLayout(folder).catalogue) as catalogue:
        assert (ways_made(catalogue) == {SEEN_ONLY}) == (made == "seen")
    rows = [[repr(hit) for hit in Hub.open(folder).search("red", k=9).hits]]
    monkeypatch.setattr(pages, "RESIDENT_BYTES", 0)
    rows.append([repr(hit) for hit in Hub.open(folder).search("red", k=9).hits])
    assert rows[0] == rows[1]


def test_planted_colours_are_found(shared_hub: Path, world: World) -> None:
    hub = Hub.open(shared_hub, str(world.encoder))
    found = [
        (hit.model, hit.logit) in planted(colour)
        for colour in ("red", "green", "blue", "yellow")
        for hit in hub.search(colour, top=1, k=9).hits
    ]
    assert np.mean(found) >= 0.75


def test_more_probes_keep_the_old_and_run_only_the_new(shared_copy: Path, world: World) -> None:
    for path in HubLayout(shared_copy).responses.iterdir():  # so that old answers are told apart
        old = read_responses(path)
        write_responses(
            path, old.values + 1000, old.header, SeenProbes(old.seen_probes, old.probes)
        )
    before = {name: Hub.open(shared_copy).reader.observed_responses(name) for name in MODELS}
    report = Hub.open(shared_copy).add([world.models], probes_per_model=40)
    assert set(report.extended) == set(MODELS)
    assert (report.done, report.already, report.failures) == ((), 0, ())
    hub = Hub.open(shared_copy)
    for name in MODELS:
        seen = hub.reader.seen_probes(name)
        old = np.flatnonzero(~np.isnan(before[name]).all(axis=1))
        assert len(seen) == 40
        assert set(old.tolist()) < set(seen.tolist())
        np.testing.assert_array_equal(hub.reader.observed_responses(name)[old], before[name][old])
    assert hub.verify() == ()


def test_all_probes_make_an_ordinary_hub(shared_copy: Path, world: World) -> None:
    probes = len(Hub.open(shared_copy).probes)
    Hub.open(shared_copy).add([world.models], probes_per_model=probes)
    assert not HubLayout(shared_copy).completion.exists()
    status = Hub.open(shared_copy).status()
    assert status.completion_skill is None
    assert {model.searched for model in status.models} == {"all"}
    for path in HubLayout(shared_copy).responses.iterdir():
        assert read_responses(path).is_full
    for name in MODELS:
        np.testing.assert_allclose(
            Hub.open(shared_copy).responses(name),
            Hub.open(world.hub).responses(name),
            rtol=1e-4,
            atol=1e-3,
        )


def test_without_a_share_models_that_are_there_are_left_alone(
    shared_copy: Path, world: World
) -> None:
    before = responses_files(shared_copy)
    assert Hub.open(shared_copy).add([world.models]).already == len(MODELS)
    assert Hub.open(shared_copy).add([world.models], probes_per_model=10).already == len(MODELS)
    assert responses_files(shared_copy) == before


def test_full_and_partial_models_in_one_hub(world: World, tmp_path: Path) -> None:
    folder = shutil.copytree(world.empty_hub, tmp_path / "hub")
    Hub.open(folder).add([world.models / "plain", world.models / "opencv"])
    Hub.open(folder).add([world.models], probes_per_model=SHARE)
    status = {model.name: model for model in Hub.open(folder).status().models}
    assert status["plain"].searched == status["opencv"].searched == "all"
    assert status["bytes"].probes_seen == SHARE
    assert status["bytes"].searched in ("completed", "seen")
    assert status["bytes"].why
    hub = Hub.open(folder, str(world.encoder))
    assert len(hub.search("red", top=30).hits) > 10


def test_on_the_seen_part_query_and_descriptor_are_compared_on_the_same_probes(
    world: World, tmp_path: Path
) -> None:
    folder = shutil.copytree(world.empty_hub, tmp_path / "hub")
    Hub.open(folder).add([world.models / "plain", world.models / "opencv"], probes_per_model=8)
    hub = Hub.open(folder, str(world.encoder))
    assert {model.searched for model in hub.status().models} == {"seen"}
    vector = hub.query_vector("red")
    best = vector.values[np.argsort(-vector.values)[:5]].astype(float)
    for rule in ("paper", "default"):
        found = hub.nearest(vector, rule=rule, k=5, top=6, behaviour_only=True).hits
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
        assert (found[0].model, found[0].logit) in planted("red")
        for hit in found:
            seen = hub.reader.seen_probes(hit.model)
            own = seen[np.argsort(-vector.values[seen], kind="stable")[:5]]
            told = standardize(hub.reader.observed_responses(hit.model)[seen]).values[:, hit.logit]
            asked = vector.values[own].astype(float)
            away = np.linalg.norm(told[np.searchsorted(seen, own)] - asked)
            scale = np.sqrt((np.square(best) + 1).sum() / (np.square(asked) + 1).sum())
            assert hit.distance == pytest.approx(away * scale, rel=1e-4)
    shown = deciding_probes(hub.reader, vector, hub.nearest(vector, k=5, top=1), probes=5, hits=1)
    first = hub.nearest(vector, k=5, top=1).hits[0]
    seen = set(hub.reader.seen_probes(first.model).tolist())
    assert [bool(np.isfinite(probe.hits[0])) for probe in shown] == [p.index in seen for p in shown]
    assert not all(probe.index in seen for probe in shown)
    sheet = tmp_path / "sheet.png"
    write_contact_sheet(hub.reader, vector, hub.nearest(vector, k=5, top=2), sheet)
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_a_kill_between_file_and_record_is_mended(shared_copy: Path, world: World) -> None:
    other = shutil.copytree(shared_copy, shared_copy.parent / "other")
    Hub.open(other).add([world.models], probes_per_model=40)
    shutil.copytree(other / "responses", shared_copy / "responses", dirs_exist_ok=True)
    assert Hub.open(shared_copy).verify() != ()
    Hub.open(shared_copy).add([world.models], probes_per_model=SHARE)
    assert Hub.open(shared_copy).verify() == ()
    assert {m.probes_seen for m in Hub.open(shared_copy).status().models} == {40}


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"junk")])
def test_without_its_completion_a_hub_answers_as_before_and_says_so(
    world: World, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    hub = shutil.copytree(world.empty_hub, tmp_path / "hub")
    Hub.open(hub).add([world.models / "channels_last", world.models / "bytes"])
    Hub.open(hub).add([world.models], probes_per_model=40)
    hits = Hub.open(hub, str(world.encoder)).search("red").hits
    damage(hub / "completion.safetensors")
    without = Hub.open(hub, str(world.encoder))
    assert without.search("red").hits == hits
    layout = HubLayout(hub)
    (note,) = current_blocks(layout, without.probe_digest).notes
    assert "completion.safetensors is missing or damaged and was made anew for this search" in note
    (found,) = without.verify()
    assert found.what == str(layout.completion)
    assert lagotto("audit", hub, "--all", "--quiet").code == 0
    assert Hub.open(hub).verify() == ()
    assert current_blocks(layout, without.probe_digest).notes == ()


def test_a_lost_completion_is_made_again(shared_copy: Path, world: World) -> None:
    wanted = Hub.open(shared_copy, str(world.encoder)).search("red").hits
    HubLayout(shared_copy).completion.unlink()
    shutil.rmtree(shared_copy / "blocks")
    assert Hub.open(shared_copy, str(world.encoder)).search("red").hits == wanted
    assert not HubLayout(shared_copy).completion.exists()  # a search writes nothing
    Hub.open(shared_copy, str(world.encoder)).audit_labels()
    assert HubLayout(shared_copy).completion.exists()


@pytest.mark.parametrize("count", [1, 10_000])
def test_a_share_that_cannot_be_is_refused(shared_copy: Path, world: World, count: int) -> None:
    with pytest.raises(UsageError, match="probes per model"):
        Hub.open(shared_copy).add([world.models], probes_per_model=count)

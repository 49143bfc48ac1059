"""A hub that grows: it is the hub of all probes at once, at the cost of the new ones."""

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import colour_world
from catalogue_rows import catalogue_rows, contents
from child_processes import running_command, wait_until
from colour_world import World
from command_line import COMMAND, lagotto
from hub_stub import Repository, StubHub
from lagotto.core.errors import HubError, ProbeError, UsageError
from lagotto.core.progress import Silent
from lagotto.core.temporary import swap
from lagotto.hub.hub import Hub
from lagotto.hub.ingest import known_models
from lagotto.hub.store.lock import hub_lock

MORE = 4
KILL_AT = ("growing", "growing/staging", "growing/responses/*")
"""A run is killed as soon as there is a file more of such a name: at another stage each time."""
RESPONSES = "responses/*.safetensors"


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """New pictures, a copy of one that every hub has, and one that is broken."""
    folder = colour_world.write_pictures(tmp_path_factory.mktemp("more") / "more", MORE, 77_000)
    shutil.copy(world.pictures / "000_red.png", folder / "copy.png")
    (folder / "zz_torn.png").write_bytes(b"torn")
    return folder


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, world: World, more: Path) -> Path:
    """The hub that was made with all probes."""
    folder = tmp_path_factory.mktemp("once") / "hub"
    Hub.create(folder, [world.pictures, more], str(world.encoder)).add(world.models)
    return folder


def files(hub: Path, *patterns: str) -> dict[str, bytes]:
    found = (path for pattern in patterns for path in hub.glob(pattern))
    return {str(path.relative_to(hub)): path.read_bytes() for path in found if path.is_file()}


def assert_same(grown: Path, at_once: Path) -> None:
    everything = (RESPONSES, "blocks/*", "probes/*.json*", "probes/pictures/*/*", "twins.*")
    assert files(grown, *everything) == files(at_once, *everything)
    assert catalogue_rows(grown, ("models", "logits")) == catalogue_rows(
        at_once, ("models", "logits")
    )
    assert Hub.open(grown).verify() == ()
    assert not (grown / "growing").exists()
    assert [path.name for path in grown.parent.iterdir() if path.name.startswith(".")] == []


def test_a_grown_hub_is_the_hub_of_all_probes_at_once(
    hub_copy: Path, more: Path, at_once: Path
) -> None:
    with Hub.open(hub_copy) as hub:
        before = len(hub.probes)
        hub.search("red")
        report = hub.grow(more)
        assert report.probes == len(hub.probes) == before + MORE * len(colour_world.NAMES)
        assert report.probes_before == before
        assert report.extended == tuple(sorted(colour_world.MODELS))
        assert report.unseen == ()
        assert [item.source for item in report.skipped] == ["more/copy.png", "more/zz_torn.png"]
        with Hub.open(at_once) as whole:
            found, expected = hub.search("blue", top=5), whole.search("blue", top=5)
        assert [(h.model, h.logit) for h in found] == [(h.model, h.logit) for h in expected]
        embeddings = np.load(hub_copy / "probes" / "embeddings.npy")
    assert_same(hub_copy, at_once)
    assert np.allclose(embeddings, np.load(at_once / "probes" / "embeddings.npy"), atol=1e-6)


class Counting(Silent):
    """Adds up the pictures of each stage."""

    def __init__(self) -> None:
        self.units: Counter[str] = Counter()

    def start(self, stage: str, total: int, unit: str) -> None:
        self.stage = stage

    def advance(self, units: int, note: str = "") -> None:
        self.units[self.stage] += units


def test_models_see_the_new_probes_only(hub_copy: Path, more: Path) -> None:
    meter = Counting()
    Hub.open(hub_copy).grow(more, progress=meter)
    new = MORE * len(colour_world.NAMES)
    assert meter.units["probing"] == new * len(colour_world.MODELS)
    assert meter.units["embedding probes"] == new


def test_another_reader_sees_the_new_probes(hub_copy: Path, more: Path) -> None:
    other = Hub.open(hub_copy)
    other.search("red")
    before = len(other.probes)
    Hub.open(hub_copy).grow(more, max_probes=3)
    assert len(other.probes) == before + 3
    assert other.responses("plain").shape[0] == before + 3
    assert other.search("red")[0].label == "red"


def reached(process: "subprocess.Popen[str]", hub: Path, pattern: str, before: int) -> bool:
    """Whether there is a file more of a name, or the run is over."""
    return len(list(hub.glob(pattern))) > before or process.poll() is not None


@pytest.mark.thorough
def test_a_killed_run_leaves_the_old_hub_whole_and_is_resumed(
    hub_copy: Path, world: World, more: Path, at_once: Path
) -> None:
    kills, old = 0, files(hub_copy, RESPONSES, "hub.json", "blocks/*")
    for pattern in KILL_AT:
        before = len(list(hub_copy.glob(pattern)))
        command = [*COMMAND, "hub", "grow", hub_copy, "--probes", more, "--quiet"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with running_command(command, **pipes) as process:
            at = partial(reached, process, hub_copy, pattern, before)
            assert wait_until(at, 120)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            process.communicate(timeout=60)
        grew = len(Hub.open(hub_copy).probes) > len(Hub.open(world.hub).probes)
        if grew:
            break
        assert files(hub_copy, RESPONSES, "hub.json", "blocks/*") == old
        assert Hub.open(hub_copy).verify() == ()
    assert kills >= 1
    if not grew:
        Hub.open(hub_copy).grow(more)
    Hub.open(hub_copy).audit_labels()
    assert_same(hub_copy, at_once)


def test_a_run_that_is_killed_behind_its_last_step_is_finished_by_the_next(
    world: World, tmp_path: Path, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grown hub is in its place then; what its searches read is of the old probes."""
    whole, killed = (shutil.copytree(world.hub, tmp_path / name) for name in ("whole", "killed"))
    Hub.open(whole).grow(more)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lagotto.hub.prepare.prepare_searches", stop)
        with pytest.raises(KeyboardInterrupt):
            Hub.open(killed).grow(more)
    assert contents(killed) != contents(whole)
    with pytest.raises(ProbeError, match="new"):
        Hub.open(killed).grow(more)
    assert contents(killed) == contents(whole)


def test_what_a_killed_run_has_probed_is_not_probed_again(
    hub_copy: Path, more: Path, at_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lagotto.hub.ingest.grow.replace_folder", no_space)
        with pytest.raises(HubError, match="No space left"):
            Hub.open(hub_copy).grow(more)
    hub = Hub.open(hub_copy)
    assert any("hub grow was cut off" in note for note in hub.status().notes)
    report = hub.grow(more)
    assert report.resumed == len(colour_world.MODELS)
    assert_same(hub_copy, at_once)


def test_what_was_begun_and_is_damaged_is_named_and_made_anew(
    hub_copy: Path, more: Path, at_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lagotto.hub.ingest.grow.replace_folder", lambda *_: os.unlink("/nowhere"))
        with pytest.raises(HubError):
            Hub.open(hub_copy).grow(more)
    begun = sorted((hub_copy / "growing" / "responses").iterdir())
    begun[0].write_bytes(begun[0].read_bytes()[:-1])
    begun[1].unlink()
    report = Hub.open(hub_copy).grow(more)
    assert report.resumed == len(colour_world.MODELS) - 2
    (note,) = report.notes
    assert note.startswith(f"{begun[0]} was damaged: ")
    assert_same(hub_copy, at_once)


def test_other_pictures_begin_anew_and_verify_drops_what_was_begun(
    hub_copy: Path, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lagotto.hub.ingest.grow.replace_folder", lambda *_: os.unlink("/nowhere"))
    with pytest.raises(HubError):
        Hub.open(hub_copy).grow(more)
    monkeypatch.undo()
    assert Hub.open(hub_copy).grow(more, max_probes=5).resumed == 0
    (hub_copy / "growing").mkdir()
    lagotto("hub", "verify", hub_copy)
    assert not (hub_copy / "growing").exists()


def test_models_whose_files_are_gone_or_changed_are_named_and_stay_searchable(
    world: World, tmp_path: Path, more: Path
) -> None:
    models = shutil.copytree(world.models, tmp_path / "models")
    shutil.copytree(world.empty_hub, tmp_path / "hub")
    hub = Hub.open(tmp_path / "hub")
    hub.add(models)
    shutil.rmtree(models / "plain")
    colour_world.write_classifier(tmp_path / "other", colour_world.Classifier(("red", "blue")))
    shutil.copy(tmp_path / "other" / "model.onnx", models / "opencv" / "model.onnx")
    before = hub.responses("plain").shape[0]
    report = hub.grow(more)
    reasons = {item.model: item.reason for item in report.unseen}
    assert reasons["plain"] == f"{models / 'plain' / 'model.onnx'} is gone"
    assert reasons["opencv"].endswith("has changed since it was probed")
    seen = {model.name: model.probes_seen for model in hub.status().models}
    assert seen["plain"] == seen["opencv"] == before
    assert seen["bytes"] == report.probes
    assert hub.search("magenta", top=30)
    assert hub.verify() == ()
    shutil.copytree(world.models / "plain", models / "plain")
    assert hub.add(models / "plain", probes_per_model=report.probes).extended == ("plain",)
    assert {m.name: m.probes_seen for m in hub.status().models}["plain"] == report.probes


def test_a_copy_of_a_model_stands_in_for_its_file(world: World, tmp_path: Path, more: Path) -> None:
    models = shutil.copytree(world.models / "plain", tmp_path / "a" / "plain").parent
    second = shutil.copytree(world.models / "plain", tmp_path / "b" / "plain").parent
    shutil.copytree(world.empty_hub, tmp_path / "hub")
    hub = Hub.open(tmp_path / "hub")
    hub.add([models])
    hub.add([second])
    shutil.rmtree(models)
    assert hub.grow(more).extended == ("plain",)


def test_without_any_file_the_hub_stays_as_it_was(world: World, tmp_path: Path, more: Path) -> None:
    models = shutil.copytree(world.models / "plain", tmp_path / "plain")
    shutil.copytree(world.empty_hub, tmp_path / "hub")
    hub = Hub.open(tmp_path / "hub")
    hub.add(models)
    shutil.rmtree(models)
    with pytest.raises(UsageError, match=r"no model of .* could see new probes: .* is gone"):
        hub.grow(more)
    assert len(hub.probes) == len(Hub.open(world.empty_hub).probes)


def test_remote_models_are_fetched_again(
    world: World, tmp_path: Path, more: Path, stub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plain", "bytes"):
        data = (world.models / name / "model.onnx").read_bytes()
        config = json.dumps({"id2label": {}}).encode()
        stub.repositories[f"org/{name}"] = Repository({"model.onnx": data, "config.json": config})
    shutil.copytree(world.empty_hub, tmp_path / "hub")
    hub = Hub.open(tmp_path / "hub")
    added = hub.add(["hf:org/plain", "hf:org/bytes"])
    assert added.failures == ()
    stub.repositories["org/bytes"].fault = "gone"
    report = hub.grow(more)
    assert report.extended == ("org/plain",)
    assert [item.model for item in report.unseen] == ["org/bytes"]
    assert "not on the hub" in report.unseen[0].reason
    assert not (tmp_path / "hub" / "fetched").exists()


def test_an_empty_hub_grows_and_so_does_one_by_one_picture(
    world: World, empty_copy: Path, more: Path, tmp_path: Path
) -> None:
    single = tmp_path / "single"
    single.mkdir()
    shutil.copy(more / "000_red.png", single)
    hub = Hub.open(empty_copy)
    before = len(hub.probes)
    assert hub.grow(single).probes == before + 1
    assert hub.add(world.models).failures == ()
    assert hub.search("red")[0].label == "red"


def test_bad_input(hub_copy: Path, world: World, more: Path, tmp_path: Path) -> None:
    hub = Hub.open(hub_copy)
    with pytest.raises(ProbeError, match="none of 73 pictures is new: 72 are probes"):
        hub.grow(world.pictures)
    with pytest.raises(UsageError, match="no probes at"):
        hub.grow(tmp_path / "nowhere")
    with hub_lock(hub_copy), pytest.raises(HubError, match="another process is writing"):
        hub.grow(more)
    broken = next((hub_copy / "responses").iterdir())
    broken.write_bytes(b"damaged")
    with pytest.raises(HubError, match=broken.name):
        hub.grow(more)
    assert not (hub_copy / "growing" / "responses").exists()


def test_too_small_a_disk_is_told_before_the_work(
    hub_copy: Path, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(hub_copy)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(HubError, match="are free; free some, or take fewer new probes"):
        Hub.open(hub_copy).grow(more)


def test_where_names_cannot_be_exchanged_two_renames_do_it(
    hub_copy: Path, more: Path, at_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    Hub.open(hub_copy).grow(more)
    assert_same(hub_copy, at_once)
    hub_copy.rename(hub_copy.with_name(f".{hub_copy.name}.aside"))  # as a kill between them leaves
    assert Hub.open(hub_copy).verify() == ()


def test_the_command_prints_what_became_of_it(hub_copy: Path, more: Path) -> None:
    grow = ("hub", "grow", hub_copy, "--probes", more)
    answer = lagotto(*grow, "--max-probes", "3", "--json").json
    assert answer["probes"] - answer["probes_before"] == 3
    assert len(answer["extended"]) == len(colour_world.MODELS)
    again = lagotto(*grow)
    assert "7 models saw the new ones" in again.out
    assert "pictures set aside" in again.err
    lagotto("hub", "grow", hub_copy, "--probes", more).refused(1, "none of 34 pictures is new")


def test_known_models_read_no_file_that_is_another_model(tmp_path: Path) -> None:
    found, reason = known_models._read(str(tmp_path / "no.onnx"), "0" * 64)
    assert found is None
    assert reason.endswith("is gone")

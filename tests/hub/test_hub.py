"""A hub in Python: made, filled, looked at, emptied."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import colour_world
from colour_world import MODELS, NAMES, World, planted
from lagotto.core.errors import (
    HubError,
    UsageError,
)
from lagotto.encoders.registry import load_encoder
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.store.lock import hub_lock

FEW = ("plain", "opencv")


def files_of(folder: Path) -> dict[Path, bytes]:
    """Every file but the lock and the catalogue, which also logs runs."""
    left_out = ("catalogue.sqlite", ".lock")
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


def without_blocks(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """Files but for the segments, in which models lie as the hub grew."""
    return {path: data for path, data in files.items() if path.parts[0] != "blocks"}


class Recorder:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, str]] = {}
        self.done: dict[str, int] = {}
        self.open: str | None = None

    def start(self, stage: str, total: int, unit: str) -> None:
        assert self.open is None, f"{stage} began before {self.open} was over"
        self.open = stage
        self.stages[stage] = (total, unit)
        self.done[stage] = 0

    def advance(self, units: int, note: str = "") -> None:
        assert self.open is not None
        self.done[self.open] += units

    def finish(self) -> None:
        self.open = None


def test_a_new_hub_has_probes_in_a_seeded_order_and_no_models(world: World) -> None:
    hub = Hub.open(world.empty_hub)
    assert len(hub.probes) == 72
    assert hub.encoder_name == "encoder"
    assert hub.reader.probe_embeddings.shape == (72, len(NAMES))
    np.testing.assert_allclose(np.linalg.norm(hub.reader.probe_embeddings, axis=1), 1, atol=1e-5)
    (aside,) = hub.skipped()
    assert aside.source.endswith("zz_broken.png")
    assert "not a picture" in aside.reason
    status = hub.status()
    assert (status.done, status.failures, status.copies, status.logits) == (0, (), (), 0)
    assert hub.verify() == ()


def test_embeddings_are_in_the_order_of_the_probes(world: World) -> None:
    hub = Hub.open(world.empty_hub)
    for probe, embedding in zip(hub.probes, hub.reader.probe_embeddings, strict=True):
        assert NAMES[int(embedding.argmax())] == Path(probe.source).stem.split("_")[1]
        assert hub.probe_picture(hub.probes.index(probe))[:4] == b"\x89PNG"


def test_the_same_call_makes_the_same_bytes(world: World, tmp_path: Path) -> None:
    for name in ("one", "two", "other"):
        seed = 1 if name == "other" else 0
        Hub.create(tmp_path / name, world.pictures, str(world.encoder), max_probes=20, seed=seed)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    one, other = Hub.open(tmp_path / "one"), Hub.open(tmp_path / "other")
    assert len(one.probes) == 20
    assert one.probe_digest != other.probe_digest


def test_a_hub_with_fewer_probes_than_the_default_k_is_searched_on_all(
    world: World, tmp_path: Path
) -> None:
    recorder = Recorder()
    hub = Hub.create(
        tmp_path / "deep" / "small",
        [world.pictures],
        load_encoder(str(world.encoder)),
        max_probes=24,
        progress=recorder,
    )
    assert recorder.done["embedding probes"] == 24
    report = hub.add([world.models / name for name in FEW], progress=recorder)
    assert report.done == FEW
    assert recorder.open is None
    assert recorder.stages["probing"] == (48, "pictures")
    assert {stage: total for stage, (total, _) in recorder.stages.items()} == recorder.done | {
        "reading probes": recorder.stages["reading probes"][0]
    }
    found = hub.search("red", top=1)
    assert found.k == 24
    assert [(hit.model, hit.logit) for hit in found.hits] == [("plain", 0)]


def test_an_added_model_is_described_as_it_is_run(world: World) -> None:
    status = {model.name: model for model in Hub.open(world.hub).status().models}
    assert tuple(status) == tuple(sorted(MODELS))
    assert {name: model.outputs for name, model in status.items()} == {
        name: len(model.colours) for name, model in MODELS.items()
    }
    assert {name for name, model in status.items() if model.logits_source == "cut"} == {
        "softmaxed",
        "nameless",
    }
    assert status["plain"].source == str(world.models / "plain" / "model.onnx")


def test_responses_are_the_logits_before_any_softmax(world: World) -> None:
    hub = Hub.open(world.hub)
    for name, model in MODELS.items():
        responses = hub.responses(name)
        assert responses.shape == (72, len(model.colours))
        colours = np.array([Path(probe.source).stem.split("_")[1] for probe in hub.probes])
        for logit, colour in enumerate(model.colours):
            own = responses[colours == colour, logit]
            assert own.min() > responses[colours != colour, logit].max()
            descriptor = hub.reader.descriptor(name, logit)
            assert descriptor.mean() == pytest.approx(0, abs=1e-5)
            assert descriptor.std() == pytest.approx(1, abs=1e-5)
    with pytest.raises(UsageError, match="0 to 2"):
        hub.reader.descriptor("plain", 3)
    with pytest.raises(UsageError, match="Did you mean 'plain'"):
        hub.responses("plai")


def test_adding_again_changes_no_byte(world: World, hub_copy: Path) -> None:
    before = files_of(hub_copy)
    times = {path: (hub_copy / path).stat().st_mtime_ns for path in before}
    report = Hub.open(hub_copy).add([world.models])
    assert (report.done, report.failures, report.already, report.copies) == ((), (), 7, ())
    assert files_of(hub_copy) == before
    assert {path: (hub_copy / path).stat().st_mtime_ns for path in before} == times


def test_a_renamed_copy_is_known_and_not_probed(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    before = files_of(hub_copy)
    shutil.copytree(world.models / "bytes", tmp_path / "exp_final_v3")
    hub = Hub.open(hub_copy)
    assert hub.add([tmp_path / "exp_final_v3"]).copies == (("exp_final_v3", "bytes"),)
    assert hub.status().copies == (("exp_final_v3", "bytes"),)
    assert hub.status().done == 7
    assert files_of(hub_copy) == before
    np.testing.assert_array_equal(hub.responses("exp_final_v3"), hub.responses("bytes"))
    with pytest.raises(UsageError, match="copy of 'bytes'"):
        hub.remove("exp_final_v3")


def test_two_models_of_one_name_are_both_kept(world: World, hub_copy: Path, tmp_path: Path) -> None:
    other = colour_world.Classifier(("black", "white"), seed=99)
    colour_world.write_classifier(tmp_path / "plain", other)
    hub = Hub.open(hub_copy)
    (name,) = hub.add([tmp_path / "plain"]).done
    assert name.startswith("plain~")
    assert hub.responses(name).shape == (72, 2)
    assert hub.responses("plain").shape == (72, 3)


def test_a_removed_model_is_gone_until_it_is_added_again(world: World, hub_copy: Path) -> None:
    whole = files_of(hub_copy)
    hub = Hub.open(hub_copy)
    hub.search("red")  # what a search has read must not outlive the model
    hub.remove("plain")
    assert hub.verify() == ()
    assert hub.status().done == 6
    found = hub.search("red", k=9, top=3)
    assert {(hit.model, hit.logit) for hit in found.hits[:2]} == planted("red") - {("plain", 0)}
    with pytest.raises(UsageError, match="no model 'plain'"):
        hub.search(LogitQuery("plain", 0))
    with pytest.raises(UsageError, match="no model 'plain'"):
        hub.remove("plain")
    assert hub.add([world.models]).done == ("plain",)
    assert hub.verify() == ()
    again = files_of(hub_copy)
    made_anew = ("blocks", "rivals.safetensors", "twins.safetensors")
    derived = {path for path in whole if path.parts[0] in made_anew}
    assert without_blocks(again).keys() == without_blocks(whole).keys()
    assert all(again[path] == whole[path] for path in set(whole) - derived)  # order aside
    assert {(h.model, h.logit) for h in hub.search("red", k=9, top=3).hits} == planted("red")


def test_removing_every_model_leaves_an_empty_hub(hub_copy: Path) -> None:
    hub = Hub.open(hub_copy)
    for name in MODELS:
        hub.remove(name)
    assert hub.verify() == ()
    assert not list((hub_copy / "responses").iterdir())
    assert not list((hub_copy / "blocks").iterdir())
    with pytest.raises(UsageError, match="no model yet"):
        hub.search("red")


def test_one_writer_at_a_time(world: World, hub_copy: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from lagotto.hub.store.lock import hub_lock\n"
        "with hub_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    hub = Hub.open(hub_copy)
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(hub_copy)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for write in (lambda: hub.add([world.models]), lambda: hub.remove("plain")):
            with pytest.raises(HubError, match="another process is writing"):
                write()
        assert hub.search("red", k=9).hits  # reading is free
        assert hub.status().done == 7
        assert hub.verify() == ()
    finally:
        process.kill()
        process.communicate()
    assert hub.add([world.models]).already == 7  # the lock went with its process


def test_a_search_during_an_add_finds_all_that_is_done_and_says_so(
    world: World, empty_copy: Path, hub_copy: Path
) -> None:
    """As in the middle of a run: models are done in the catalogue, the blocks not yet made."""
    Hub.open(empty_copy).add([world.models / "plain", world.models / "symmetric"])
    shutil.rmtree(hub_copy / "blocks")
    with hub_lock(hub_copy):
        assert len(Hub.open(hub_copy).search("red", k=9, top=50)) > 0
        shutil.copytree(empty_copy / "blocks", hub_copy / "blocks")
        held = files_of(hub_copy)
        found = Hub.open(hub_copy).search("red", k=9, top=50)
        assert files_of(hub_copy) == held
    assert {hit.model for hit in found.hits} == set(MODELS)
    (note,) = found.notes
    assert "made for this search alone" in note
    Hub.open(hub_copy).audit_labels()
    later = Hub.open(hub_copy).search("red", k=9, top=50)
    assert later.notes == ()
    assert [(h.model, h.logit) for h in later.hits] == [(h.model, h.logit) for h in found.hits]


@pytest.mark.parametrize("derived", ["blocks", "cache", "staging"])
def test_derived_folders_may_be_deleted_at_any_time(
    world: World, hub_copy: Path, derived: str
) -> None:
    whole = files_of(hub_copy)
    shutil.rmtree(hub_copy / derived, ignore_errors=True)
    hub = Hub.open(hub_copy)
    assert hub.verify() == ()
    assert {(h.model, h.logit) for h in hub.search("red", k=9, top=3).hits} == planted("red")
    odd = colour_world.Classifier(("red", "blue"), seed=50)  # needs the cache
    hub.add([colour_world.write_classifier(hub_copy.parent / "odd", odd).parent])
    hub.remove("odd")
    kept = [path for path in without_blocks(whole) if path.parts[0] != "cache"]
    assert files_of(hub_copy).keys() >= {*kept}
    assert all((hub_copy / path).read_bytes() == whole[path] for path in kept)


def test_lost_responses_are_made_again_by_adding(world: World, hub_copy: Path) -> None:
    whole = files_of(hub_copy)
    hub = Hub.open(hub_copy)
    next((hub_copy / "responses").iterdir()).unlink()
    assert len(hub.verify()) == 1
    assert len(hub.add([world.models]).done) == 1
    assert without_blocks(files_of(hub_copy)) == without_blocks(whole)
    shutil.rmtree(hub_copy / "responses")
    assert len(hub.verify()) == 7
    assert len(hub.add([world.models]).done) == 7
    assert without_blocks(files_of(hub_copy)) == without_blocks(whole)
    assert hub.verify() == ()


def test_a_stray_responses_file_is_named_and_cleared(world: World, hub_copy: Path) -> None:
    stray = hub_copy / "responses" / ("0" * 64 + ".safetensors")
    stray.write_bytes(b"left over")
    (damage,) = Hub.open(hub_copy).verify()
    assert str(stray) in damage.what
    Hub.open(hub_copy).add([world.models])
    assert not stray.exists()


def test_a_file_name_that_is_not_utf_8_is_no_obstacle(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    name = b"mod\xff.onnx".decode("utf-8", "surrogateescape")
    (tmp_path / "odd").mkdir()
    try:
        shutil.copy(world.models / "plain" / "model.onnx", tmp_path / "odd" / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    hub = Hub.open(empty_copy)
    assert len(hub.add([tmp_path / "odd", world.models / "opencv"]).done) == 2
    assert hub.add([tmp_path / "odd"]).already == 1
    assert "mod\\xff.onnx" in hub.status().models[0].source

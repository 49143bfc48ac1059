"""What a hub cannot be made of, or used with: refused by name, nothing left behind."""

import shutil
from pathlib import Path

import pytest

from colour_world import World
from lagotto.core.errors import (
    EncoderError,
    HubError,
    LagottoError,
    MismatchError,
    ProbeError,
    UsageError,
)
from lagotto.hub.hub import Hub


def test_a_hub_cannot_be_made_where_something_is(world: World, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "file", "link"):
        with pytest.raises(UsageError, match="exists already"):
            Hub.create(tmp_path / name, world.pictures, str(world.encoder))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "there"]
    assert not list((tmp_path / "there").iterdir())


def _no_tower(world: World, folder: Path) -> tuple[object, str]:
    shutil.copytree(world.encoder, folder / "enc")
    (folder / "enc" / "vision_model.onnx").unlink()
    return world.pictures, str(folder / "enc")


def _no_tokenizer(world: World, folder: Path) -> tuple[object, str]:
    shutil.copytree(world.encoder, folder / "enc")
    (folder / "enc" / "tokenizer.json").unlink()
    return world.pictures, str(folder / "enc")


def _empty_folder(world: World, folder: Path) -> tuple[object, str]:
    (folder / "enc").mkdir()
    return folder / "enc", str(world.encoder)


def _nothing_decodable(world: World, folder: Path) -> tuple[object, str]:
    (folder / "enc").mkdir()
    for name in ("a.png", "b.jpg"):
        (folder / "enc" / name).write_text("no picture")
    return folder / "enc", str(world.encoder)


def _one_picture(world: World, folder: Path) -> tuple[object, str]:
    (folder / "enc").mkdir()
    shutil.copy(world.pictures / "000_red.png", folder / "enc")
    return folder / "enc", str(world.encoder)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (_no_tower, EncoderError, "vision_model.onnx"),
        (_no_tokenizer, EncoderError, "tokenizer.json"),
        (_empty_folder, ProbeError, "no pictures"),
        (_nothing_decodable, ProbeError, "not a picture"),
        (_one_picture, ProbeError, "at least 2"),
        (lambda w, f: (f / "enc", str(w.encoder)), UsageError, "no such"),
        (lambda w, f: (w.pictures, str(f / "enc")), LagottoError, "no such folder"),
        (lambda w, f: ([], str(w.encoder)), UsageError, "no probes given"),
    ],
)
def test_what_a_hub_cannot_be_made_of_leaves_nothing(
    world: World, tmp_path: Path, given: object, error: type[LagottoError], said: str
) -> None:
    probes, encoder = given(world, tmp_path)  # type: ignore[operator]
    with pytest.raises(error, match=said) as raised:
        Hub.create(tmp_path / "hub", probes, encoder)
    assert "\n" not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"enc"}


def test_models_that_are_not_there_are_refused_before_anything_is_written(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    hub = Hub.open(empty_copy)
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "none", tmp_path / "nowhere", world.pictures / "000_red.png"):
        with pytest.raises(UsageError):
            hub.add([world.models, path])
    assert hub.status().pending == 0


def test_what_is_no_hub_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="lagotto hub create"):
        Hub.open(tmp_path / "nowhere")
    with pytest.raises(HubError, match=r"no hub\.json"):
        Hub.open(world.pictures)


def test_a_swapped_probe_set_is_refused_by_both_names(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    other = Hub.create(tmp_path / "other", world.pictures, str(world.encoder), max_probes=30)
    hub = Hub.open(hub_copy)
    shutil.rmtree(hub_copy / "probes")
    shutil.copytree(tmp_path / "other" / "probes", hub_copy / "probes")
    both = f"{other.probe_digest[:12]}.*{hub.probe_digest[:12]}"
    with pytest.raises(MismatchError, match=both):
        hub.add([world.models])
    with pytest.raises(HubError, match=r"embeddings\.npy was altered"):
        hub.search("red")
    assert any(other.probe_digest[:12] in damage.reason for damage in hub.verify())


def test_files_of_another_hub_are_refused(world: World, hub_copy: Path, tmp_path: Path) -> None:
    Hub.create(tmp_path / "other", world.pictures, str(world.encoder), max_probes=30)
    other = Hub.open(tmp_path / "other")
    other.add([world.models / "plain"])
    (foreign,) = (tmp_path / "other" / "responses").iterdir()
    shutil.copy(foreign, hub_copy / "responses" / foreign.name)
    with pytest.raises(HubError, match="probe set"):
        Hub.open(hub_copy).add([world.models / "bytes"])
    assert [damage.what for damage in Hub.open(hub_copy).verify()] == ["responses of plain"]
    shutil.rmtree(hub_copy / "blocks")
    shutil.copytree(tmp_path / "other" / "blocks", hub_copy / "blocks")
    with pytest.raises(HubError, match="probe set"):
        Hub.open(hub_copy).search("red")

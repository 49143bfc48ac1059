"""A hub that is held open answers for the hub as it is, whoever changes it meanwhile."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colour_world import World
from command_line import lagotto
from lagotto.core.errors import LagottoError, UsageError
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.reader.changes import change_mark
from lagotto.hub.store.layout import HubLayout
from lagotto.jobs.worker_limits import Limits

ONE = Limits(workers=1)


def found(hub: Hub, **options: Any) -> list[tuple[str, int, str | None]]:
    hits = hub.search("red", top=30, **options)
    return [(hit.model, hit.logit, hit.label) for hit in hits]


READS: dict[str, Callable[[Hub], object]] = {
    "search": found,
    "paper": lambda hub: found(hub, rule="paper"),
    "behaviour": lambda hub: found(hub, behaviour_only=True),
    "logit": lambda hub: [(h.model, h.logit) for h in hub.search(LogitQuery("bytes", 0), top=9)],
    "cover": lambda hub: [each.model for each in hub.cover(["red", "green"])],
    "duplicates": lambda hub: hub.duplicates(),
    "models": lambda hub: hub.models,
    "status": lambda hub: hub.status().done,
}


@pytest.mark.parametrize(
    "name", ["low_rank", "completion", "rivals", "label_embeddings", "twins", "catalogue"]
)
def test_every_file_that_answers_rest_on_is_in_the_mark(hub_copy: Path, name: str) -> None:
    layout = HubLayout(hub_copy)
    path: Path = getattr(layout, name)
    before = change_mark(layout)
    draft = path.with_name("draft")
    draft.write_bytes(path.read_bytes() if path.exists() else b"made anew")
    draft.rename(path)  # as every writer does
    assert change_mark(layout) != before


@pytest.mark.parametrize("searched_before", [True, False])
def test_what_another_removes_is_gone_at_once(hub_copy: Path, searched_before: bool) -> None:
    held = Hub.open(hub_copy)
    if searched_before:
        assert "plain" in {model for model, _, _ in found(held)}
    Hub.open(hub_copy).remove("plain")
    fresh = Hub.open(hub_copy)
    for name, read in READS.items():
        assert read(held) == read(fresh), name
    with pytest.raises(UsageError, match="plain"):
        held.search(LogitQuery("plain", 0))


def test_what_another_adds_is_found_at_once(world: World, empty_copy: Path) -> None:
    Hub.open(empty_copy).add([world.models / "plain", world.models / "bytes"], limits=ONE)
    held = Hub.open(empty_copy)
    before = found(held)
    Hub.open(empty_copy).add([world.models], limits=ONE)
    after = found(held)
    assert len(after) > len(before)
    fresh = Hub.open(empty_copy)
    for name, read in READS.items():
        assert read(held) == read(fresh), name


def test_another_model_of_the_same_name(world: World, hub_copy: Path, tmp_path: Path) -> None:
    held = Hub.open(hub_copy)
    first = held.responses("plain")
    Hub.open(hub_copy).remove("plain")
    shutil.copytree(world.models / "opencv", tmp_path / "models" / "plain")
    file = next((tmp_path / "models" / "plain").glob("*.onnx"))
    file.write_bytes(file.read_bytes() + b"\xa2\x06\x01x")
    Hub.open(hub_copy).add([tmp_path / "models"], limits=ONE)
    assert found(held) == found(Hub.open(hub_copy))
    assert (held.responses("plain") == Hub.open(hub_copy).responses("plain")).all()
    assert held.responses("plain").shape != first.shape or (held.responses("plain") != first).any()


def test_an_index_that_another_makes_is_used(hub_copy: Path) -> None:
    held = Hub.open(hub_copy)
    with pytest.raises(LagottoError, match="index"):
        held.search("red", low_rank=True)
    assert lagotto("hub", "index", hub_copy).code == 0
    assert len(held.search("red", low_rank=True)) > 0


def test_readers_beside_a_writer_are_never_refused(world: World, empty_copy: Path) -> None:
    """A writer adds and removes; each answer is of models that were there, and no read fails."""
    Hub.open(empty_copy).add([world.models / "plain"], limits=ONE)
    names = {"plain", "bytes", "opencv"}
    failures: list[str] = []
    answers: list[set[str]] = []
    done = threading.Event()

    def read() -> None:
        held = Hub.open(empty_copy)
        while not done.is_set():
            try:
                answers.append({model for model, _, _ in found(held)})
            except Exception as error:
                failures.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    writer = Hub.open(empty_copy)
    try:
        for _ in range(2):
            writer.add([world.models / "bytes", world.models / "opencv"], limits=ONE)
            writer.remove("bytes")
            writer.remove("opencv")
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert set().union(*answers) <= names
    assert names in answers
    held = Hub.open(empty_copy)
    assert {model for model, _, _ in found(held)} == {"plain"}


def test_a_hub_whose_add_was_cut_off_is_searched_whole_and_not_written(
    world: World, hub_copy: Path
) -> None:
    expected = found(Hub.open(world.hub))
    for lost in (sorted((hub_copy / "blocks").iterdir()), []):
        for block in lost:
            block.unlink()
        before = {path: path.stat().st_mtime_ns for path in hub_copy.rglob("*")}
        answer = Hub.open(hub_copy).search("red", top=30)
        assert [(hit.model, hit.logit, hit.label) for hit in answer] == expected
        (note,) = [note for note in answer.notes if "made for this search alone" in note]
        assert "7 models" in note
        assert {path: path.stat().st_mtime_ns for path in hub_copy.rglob("*")} == before
    assert lagotto("audit", hub_copy, "--all").code == 0
    assert not any("this search" in note for note in Hub.open(hub_copy).search("red").notes)


def test_a_hub_that_is_gone_is_one_line(hub_copy: Path) -> None:
    held = Hub.open(hub_copy)
    found(held)
    shutil.rmtree(hub_copy)
    for read in READS.values():
        with pytest.raises(LagottoError) as error:
            read(held)
        assert "\n" not in str(error.value)

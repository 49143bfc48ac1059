"""Standard streams that the caller closed: nothing lands in a file, and no traceback."""

import os
import shutil
from pathlib import Path

import pytest

from colour_world import World
from command_line import Answer, lagotto_process
from lagotto.hub.hub import Hub

QUICK = ("help", "search --json", "classify")
READ_ONLY = {
    "help": ("--help",),
    "version": ("--version",),
    "status": ("hub", "status", "HUB"),
    "verify": ("hub", "verify", "HUB"),
    "search": ("search", "HUB", "red"),
    "search --json": ("search", "HUB", "red", "--json"),
    "describe": ("describe", "HUB", "nameless"),
    "audit": ("audit", "HUB", "--all"),
    "duplicates": ("duplicates", "HUB"),
    "inspect": ("inspect", "MODELS"),
    "cover": ("search", "HUB", "--labels", "red,green"),
    "classify": ("classify", "PICTURES", "--labels", "red,green", "--encoder", "ENCODER"),
}


def run(world: World, hub: Path, words: tuple[str, ...], *closed: int) -> Answer:
    """The command with these streams closed, as a shell's `>&-` leaves them."""
    places = {"HUB": hub, "MODELS": world.models, "PICTURES": world.pictures}
    places["ENCODER"] = world.encoder
    given = [places.get(word, word) for word in words]

    def close() -> None:
        for number in closed:
            os.close(number)

    return lagotto_process(*given, preexec_fn=close)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.thorough) for name in READ_ONLY],
)
def test_a_closed_stdout_is_one_line(world: World, tmp_path: Path, name: str) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(world.hub, hub)
    answer = run(world, hub, READ_ONLY[name], 1)
    assert answer.code == 1
    assert "Traceback" not in answer.err
    last = answer.err.splitlines()[-1]
    assert last.startswith("lagotto: cannot write the answer: stdout is closed; send it to a file")


@pytest.mark.thorough
def test_a_closed_stderr_drops_messages_alone(world: World) -> None:
    whole = run(world, world.hub, READ_ONLY["search --json"])
    answer = run(world, world.hub, READ_ONLY["search --json"], 0, 2)
    assert answer.code == 0
    assert answer.json["hits"] == whole.json["hits"]


@pytest.mark.thorough
def test_work_is_done_and_no_file_takes_what_libraries_print(world: World, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(world.empty_hub, hub)
    answer = run(world, hub, ("hub", "add", "HUB", "MODELS"), 0, 1, 2)
    assert answer.code == 1
    with Hub.open(hub) as filled, Hub.open(world.hub) as expected:
        assert set(filled.models) == set(expected.models)
        assert filled.verify() == ()

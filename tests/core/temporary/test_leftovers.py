"""Temporary files have their owner in their name; those of processes that have ended go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lagotto.core.files import write_atomically
from lagotto.core.temporary import leftovers, owner
from lagotto.core.temporary.leftovers import (
    abandoned_drafts,
    make_draft,
    make_temporary_folder,
    temporary_name,
)
from lagotto.core.temporary.owner import is_abandoned, is_owned, owner_tag


def ended_tag() -> str:
    """The tag of a process that has ended."""
    code = "from lagotto.core.temporary.owner import owner_tag; print(owner_tag())"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


@pytest.fixture
def dead() -> str:
    return ended_tag()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    leftovers.sweep_files.cache_clear()
    leftovers._sweep_temporary.cache_clear()


def test_the_owner_is_told_from_its_name(dead: str) -> None:
    mine = temporary_name("file", 3)
    assert (is_owned(mine), is_abandoned(mine)) == (True, False)
    assert (is_owned(dead), is_abandoned(dead)) == (False, True)
    machine, process, start = owner_tag().split("-")
    reused = f".file.{machine}-{process}-{int(start) - 1}-0.tmp"  # its number was given out again
    assert (is_owned(reused), is_abandoned(reused)) == (False, True)
    for foreign in (f"{int(machine, 16) ^ 1:08x}-{process}-{start}", "file.123-0.tmp", "x.tmp", ""):
        assert (is_owned(foreign), is_abandoned(foreign)) == (False, False)


def test_what_a_killed_process_left_is_removed(
    tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    machine, process, start = owner_tag().split("-")
    elsewhere = f"{int(machine, 16) ^ 1:08x}-{process}-{start}"
    for tag in (dead, owner_tag(), elsewhere):
        (tmp_path / f"lagotto-worker-{tag}-abc").mkdir()
        (tmp_path / f"lagotto-worker-{tag}-abc" / "file").write_text("x")
        (tmp_path / f".page.html.{tag}-1.tmp").write_text("half")
        (tmp_path / f".hub.draft-{tag}-abc").mkdir()
    (tmp_path / f"notes-{dead}").write_text("not a temporary file of ours")
    assert [path.name for path in abandoned_drafts(tmp_path / "hub")] == [f".hub.draft-{dead}-abc"]
    made = make_temporary_folder("work")
    write_atomically(tmp_path / "other", b"x")
    draft = make_draft(tmp_path / "second")
    left = {path.name for path in tmp_path.iterdir()} - {made.name, draft.name, "other"}
    assert left == {f"notes-{dead}"} | {
        name
        for tag in (owner_tag(), elsewhere)
        for name in (
            f"lagotto-worker-{tag}-abc",
            f".page.html.{tag}-1.tmp",
            f".hub.draft-{tag}-abc",
        )
    }


def test_a_link_is_removed_and_not_followed(tmp_path: Path, dead: str) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / f".a.{dead}-1.tmp").symlink_to(tmp_path / "kept")
    write_atomically(tmp_path / "b", b"x")
    assert sorted(os.listdir(tmp_path)) == ["b", "kept"]
    assert (tmp_path / "kept" / "file").exists()


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    name = "n" * 255
    write_atomically(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_another_users_files_stay(
    tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".a.{dead}-1.tmp").write_text("x")
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    write_atomically(tmp_path / "b", b"x")
    assert (tmp_path / f".a.{dead}-1.tmp").exists()


def test_without_a_list_of_processes_a_number_is_asked(
    monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    monkeypatch.setattr(owner, "Path", lambda text: Path("/nowhere") / text.lstrip("/"))
    machine = owner._machine()
    assert not is_abandoned(f"{machine}-{os.getpid()}-0")
    assert is_abandoned(f"{machine}-{dead.split('-')[1]}-0")

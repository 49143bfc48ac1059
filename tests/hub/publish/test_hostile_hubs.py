"""Hubs of strangers: what is forged is refused in one line, and nothing of it stays."""

from pathlib import Path

import pytest

from attack_hubs import HUB_ATTACKS, parts_of
from colour_world import World
from command_line import lagotto
from lagotto.core.errors import HubError
from lagotto.core.progress import Silent
from lagotto.hub.publish.archive import import_archive
from published_world import export


@pytest.fixture(scope="module")
def tar(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(world.hub, tmp_path_factory.mktemp("export") / "hub.tar")


@pytest.mark.parametrize("name", HUB_ATTACKS)
def test_it_is_refused_and_nothing_stays(name: str, tar: Path, tmp_path: Path) -> None:
    forge, told = HUB_ATTACKS[name]
    room, target = tmp_path / "room", tmp_path / "there" / "copy"
    room.mkdir()
    forged = forge(parts_of(tar, room))
    with pytest.raises(HubError) as refusal:
        import_archive(forged, target, Silent())
    text = str(refusal.value)
    assert told in text
    assert "\n" not in text
    assert len(text) < 500
    assert not target.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"room", "there"}
    assert not target.parent.exists() or not [*target.parent.iterdir()]


def test_an_honest_one_is_taken(tar: Path, tmp_path: Path) -> None:
    parts = parts_of(tar, tmp_path)
    assert import_archive(parts.tar(), tmp_path / "copy", Silent()).models == 7


def test_labels_with_markup_are_shown_and_not_obeyed(tar: Path, tmp_path: Path) -> None:
    parts = parts_of(tar, tmp_path)
    label = "\x1b[2J<script>alert(1)</script>"
    forged = parts.with_catalogue(
        f"UPDATE logits SET label = char(27) || '{label[1:]}' WHERE label = 'red'"
    )
    import_archive(forged, tmp_path / "copy", Silent())
    told = lagotto("hub", "status", tmp_path / "copy", "--models")
    assert told.code == 0
    assert "\x1b" not in told.out + told.err
    verified = lagotto("hub", "verify", tmp_path / "copy")
    assert verified.code == 1
    assert "was altered" in verified.out


def test_the_command_says_it_in_one_line(tar: Path, tmp_path: Path) -> None:
    forged = HUB_ATTACKS["a path outside"][0](parts_of(tar, tmp_path))
    told = lagotto("hub", "import", forged, tmp_path / "copy")
    assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)

"""A folder that is drafted: whole in its place, or not there at all."""

from pathlib import Path

import pytest

from lagotto.core.errors import HubError
from lagotto.core.temporary.draft import drafted


def test_a_draft_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new"
    with drafted(target) as draft:
        (draft / "file").write_text("whole")
        assert not target.exists()
    assert (target / "file").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def write_half(folder: Path) -> None:
    (folder / "file").write_text("half")
    raise HubError(f"cannot write {folder / 'file'}")


def test_an_error_names_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new"
    with pytest.raises(HubError) as raised, drafted(target) as draft:
        write_half(draft)
    assert str(raised.value) == f"cannot write {target / 'file'}"
    assert list(tmp_path.iterdir()) == []

"""Who writes to a hub first removes what killed runs left in it and beside it."""

import subprocess
import sys
from pathlib import Path

from lagotto.core.temporary.owner import owner_tag
from lagotto.hub.store.lock import hub_lock


def test_a_writer_sweeps_drafts_of_the_dead_and_leaves_those_of_the_living(hub_copy: Path) -> None:
    code = "from lagotto.core.temporary.owner import owner_tag; print(owner_tag())"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    dead, living = (
        hub_copy.parent / f".{hub_copy.name}.draft-{tag}-abcdefgh"
        for tag in (ended.stdout.strip(), owner_tag())
    )
    for draft in (dead, living):
        draft.mkdir()
        (draft / "file").write_text("half")
    with hub_lock(hub_copy):
        assert not dead.exists()
        assert living.exists()

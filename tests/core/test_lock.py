"""The lock of a folder: who is refused, with what words, and when it is free again."""

import errno
import os
from pathlib import Path

import pytest

from lagotto.core.errors import CaptionError, HubError
from lagotto.core.lock import LOCK_NAME, folder_lock


def test_a_second_holder_is_refused_at_once_and_the_first_lets_go(tmp_path: Path) -> None:
    with folder_lock(tmp_path, "caption store", CaptionError):
        with (
            pytest.raises(CaptionError) as refused,
            folder_lock(tmp_path, "caption store", CaptionError),
        ):
            pass
        who = f": process {os.getpid()}" if Path("/proc/locks").exists() else ""
        assert str(refused.value) == (
            f"another process is writing to caption store {tmp_path}{who}; wait for it, or stop it "
            "and run the command again"
        )
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path, "caption store", CaptionError):
        raise ZeroDivisionError
    with folder_lock(tmp_path, "caption store", CaptionError):
        assert (tmp_path / LOCK_NAME).read_bytes() == b""


def test_a_lock_file_that_cannot_be_written_is_a_folder_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(HubError, match="cannot write"),
        folder_lock(tmp_path / "none", "hub", HubError),
    ):
        pass
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(HubError, match="cannot write"), folder_lock(tmp_path, "hub", HubError):
        pass


class LockOfAnotherHost:
    """A file lock on a network disk without a lock service."""

    def __init__(self, path: Path, thread_local: bool) -> None:
        self.path = path

    def acquire(self, blocking: bool) -> None:
        """Fails as `flock` does there."""
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_folder_that_cannot_be_locked_says_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lagotto.core.lock.FileLock", LockOfAnotherHost)
    with (
        pytest.raises(
            CaptionError, match=r"cannot be locked: No locks .*; keep it on a local disk"
        ),
        folder_lock(tmp_path, "caption store", CaptionError),
    ):
        pass

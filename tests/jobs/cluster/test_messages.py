"""What crosses a cluster is bytes of ours, and comes back as it was."""

import json
import os
from pathlib import Path

import pytest

from lagotto.jobs.base import Failure, Outcome, Task
from lagotto.jobs.cluster.messages import (
    MemberMessage,
    Unseen,
    pack_message,
    pack_task,
    stamp_file,
    unpack_message,
    unpack_task,
)


@pytest.mark.parametrize(
    "message",
    [
        0,
        7,
        Unseen("/data/ü.onnx"),
        Outcome("a", {"list": [1, 2.5, None], "text": 'ü\n"'}, None),
        Outcome("a", None, Failure("crash", "killed by SIGKILL", killed=True)),
    ],
)
def test_messages_come_back(message: MemberMessage) -> None:
    packed = pack_message(message)
    assert isinstance(packed, bytes)
    assert unpack_message(packed) == message


@pytest.mark.parametrize("line", [b"{}", b'{"progress": "1"}', b'{"outcome": {"key": "a"}}'])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of a member"):
        unpack_message(line)


def test_a_task_comes_back_with_the_stamps_of_its_files(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"12345")
    task = Task("a", "somewhere:f", {"n": [1, None]}, (str(model), str(tmp_path / "none")))
    packed = pack_task(task)
    json.loads(packed)
    unpacked, stamps = unpack_task(packed)
    assert unpacked == Task("a", "somewhere:f", {"n": [1, None]})
    assert stamps == (stamp_file(str(model)),)
    assert all(stamp.is_here for stamp in stamps)
    model.write_bytes(b"123456")
    assert not any(stamp.is_here for stamp in stamps)
    model.write_bytes(b"54321")
    os.utime(model, (1, 1))
    assert not any(stamp.is_here for stamp in stamps)

"""A member of a cluster, without the cluster: bytes in, bytes out, a worker process behind it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lagotto.jobs.base import Outcome, Task
from lagotto.jobs.cluster.member import Member, own_versions
from lagotto.jobs.cluster.messages import Unseen, pack_task, unpack_message

pytestmark = pytest.mark.workers

TASKS = Path(__file__).resolve().parents[1] / "tasks"


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    monkeypatch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)
    made = Member(60.0, 1 << 30, None, None)
    yield made
    made.stop()


def work(member: Member, function: str, reads: tuple[str, ...] = (), **payload: object) -> list:
    task = Task("a", f"runner_tasks:{function}", payload, reads)
    return [unpack_message(line) for line in member.work(pack_task(task))]


def test_progress_then_the_outcome(member: Member) -> None:
    *counts, outcome = work(member, "count", times=4, step=5)
    assert sum(counts) == 20
    assert outcome == Outcome("a", {}, None)


def test_one_worker_process_serves_all_tasks_and_none_runs_in_the_member(member: Member) -> None:
    pids = {work(member, "double", number=n)[-1].value["pid"] for n in range(3)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_a_crash_is_the_outcome_and_the_member_goes_on(member: Member) -> None:
    (crashed,) = work(member, "segfault")
    assert crashed.failure.kind == "crash"
    assert not crashed.failure.killed
    assert work(member, "double", number=4)[-1].value["twice"] == 8


def test_a_file_that_is_another_here_is_named_and_nothing_is_run(
    member: Member, tmp_path: Path
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"here")
    task = pack_task(Task("a", "runner_tasks:leave", {}, (str(model),)))
    model.unlink()
    assert [unpack_message(line) for line in member.work(task)] == [Unseen(str(model))]


def test_it_says_what_it_is_and_whether_it_shares_the_folder(tmp_path: Path) -> None:
    mark = tmp_path / "shared-1"
    assert json.loads(Member(1.0, None, None, str(mark)).describe())["shares"] is False
    mark.touch()
    said = json.loads(Member(1.0, None, [str(tmp_path)], str(mark)).describe())
    assert said["shares"] is True
    assert said["versions"] == own_versions()

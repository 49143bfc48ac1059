"""The local runner under tasks that crash, hang, eat memory, talk too much; and under kill -9."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lagotto.jobs
from lagotto.core.errors import LagottoError, UsageError
from lagotto.jobs.base import Outcome, Task
from lagotto.jobs.local import LocalRunner

TASKS = Path(__file__).resolve().parent / "tasks"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _tasks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    with LocalRunner(workers=1, timeout_s=20.0, memory_bytes=256 * MIB) as made:
        yield made


@pytest.fixture
def impatient() -> Iterator[LocalRunner]:
    with LocalRunner(workers=2, timeout_s=0.4, memory_bytes=None) as made:
        yield made


def task(function: str, key: str = "t", **payload: object) -> Task:
    return Task(key, f"runner_tasks:{function}", payload)


def only(outcomes: Iterator[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def failure_of(runner: LocalRunner, function: str, **payload: object) -> tuple[str, str]:
    """Kind and reason of a task's failure, having seen that the next task runs all the same."""
    bad, good = runner.run([task(function, **payload), task("double", number=4)])
    if bad.failure is None:  # two workers: in order of completion
        bad, good = good, bad
    assert bad.failure is not None
    assert bad.value is None
    assert good.value is not None
    assert good.value["twice"] == 8
    return bad.failure.kind, bad.failure.reason


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("segfault", "killed by SIGSEGV"),
        ("abort", "killed by SIGABRT: [31mcannot go on"),
        ("exit_at_once", "exited with code 3"),
        ("close_pipes", "stopped answering"),
    ],
)
def test_crash(runner: LocalRunner, function: str, reason: str) -> None:
    start = time.monotonic()
    assert failure_of(runner, function) == ("crash", reason)
    assert time.monotonic() - start < 8.0


def test_kill_by_someone_else(runner: LocalRunner, tmp_path: Path) -> None:
    def kill_when_busy() -> None:
        wait_until(lambda: any(tmp_path.iterdir()), 10)
        os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    kind, reason = failure_of(runner, "hang", folder=str(tmp_path))
    killer.join()
    assert (kind, reason.startswith("killed by SIGKILL")) == ("crash", True)


@pytest.mark.parametrize("function", ["hang", "hang_deaf"])
def test_hang(impatient: LocalRunner, function: str) -> None:
    start = time.monotonic()
    reason = "no answer within 0.4 s (limit); raise --timeout"
    assert failure_of(impatient, function) == ("timeout", reason)
    assert time.monotonic() - start < 5.0


def test_time_of_starting_up_is_not_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(0.8)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with LocalRunner(1, 0.4, None) as runner:
        assert only(runner.run([task("double", number=1)])).failure is None


def test_memory_in_steps(runner: LocalRunner) -> None:
    kind, reason = failure_of(runner, "grow")
    assert kind == "memory"
    assert reason.startswith("used 0.")
    assert reason.endswith("GiB of memory (limit 0.25 GiB); raise --memory-gb")


def test_memory_at_once_is_refused_by_the_ceiling(runner: LocalRunner) -> None:
    kind, reason = failure_of(runner, "allocate_at_once")
    assert kind == "memory"
    assert "Unable to allocate 8.00 GiB" in reason


def test_memory_is_bounded_while_the_caller_is_busy(runner: LocalRunner) -> None:
    running = runner.run([task("double", number=1), task("grow")])
    next(running)
    time.sleep(1.0)
    failure = next(running).failure
    assert failure is not None
    assert failure.kind == "memory"


@pytest.mark.parametrize("function", ["fail_wrapped_memory", "run_out_in_native_code"])
def test_memory_by_other_signs(runner: LocalRunner, function: str) -> None:
    assert failure_of(runner, function)[0] == "memory"


def test_mapped_files_are_not_charged(runner: LocalRunner, tmp_path: Path) -> None:
    with open(tmp_path / "cache", "wb") as stream:
        stream.truncate(300 * MIB)
    assert only(runner.run([task("read_mapped", file=str(tmp_path / "cache"))])).failure is None


def test_worker_stays_unless_it_keeps_too_much(runner: LocalRunner) -> None:
    tasks = [*(task("keep", mib=1) for _ in range(5)), *(task("keep", mib=150) for _ in range(3))]
    pids = [o.value["pid"] for o in runner.run(tasks) if o.value is not None]
    assert len(pids) == 8
    assert len(set(pids[:6])) == 1
    assert len(set(pids[5:])) == 3


@pytest.mark.parametrize("function", ["recurse", "give_object", "give_too_much"])
def test_errors_that_keep_the_worker(runner: LocalRunner, function: str) -> None:
    before = only(runner.run([task("double", number=1)])).value
    assert failure_of(runner, function)[0] == "error"
    after = only(runner.run([task("double", number=1)])).value
    assert before == after


@pytest.mark.parametrize("text", ["hello\n", "[]\n", '{"value": 3}\n', "[" * 100_000 + "\n", "\n"])
def test_garbled_answer(runner: LocalRunner, text: str) -> None:
    kind, reason = failure_of(runner, "garble", text=text)
    assert kind == "crash"
    assert "garbled" in reason


def test_endless_answer(runner: LocalRunner) -> None:
    assert failure_of(runner, "flood_channel") == ("crash", "its answer was garbled (too long)")


def test_stderr_without_end(runner: LocalRunner) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failure = failure_of(runner, "spam_stderr", mib=100, then_abort=True)
    assert failure == ("crash", "killed by SIGABRT: the last line")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # KiB


def test_stdout_is_no_answer(runner: LocalRunner) -> None:
    assert only(runner.run([task("spam_stdout")])).value == {"honest": True}


def test_stdin_holds_no_tasks(runner: LocalRunner) -> None:
    outcomes = list(runner.run([task("read_stdin"), task("double", number=1)]))
    assert [o.failure for o in outcomes] == [None, None]
    assert outcomes[0].value == {"read": ""}


def test_control_c_is_left_to_the_parent(runner: LocalRunner) -> None:
    assert only(runner.run([task("interrupt_by_signal")])).failure is None


def test_one_thread_a_library(runner: LocalRunner) -> None:
    assert only(runner.run([task("threads")])).value == {"threads": "1"}


def test_files_of_the_current_folder_are_not_imported(
    runner: LocalRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('wrong json')")
    monkeypatch.chdir(tmp_path)
    assert only(runner.run([task("double", number=1)])).failure is None


def test_works_across_threads_that_end() -> None:
    with LocalRunner(2, 20.0, None) as runner:
        running = runner.run(task("double", key=str(n), number=n) for n in range(10))
        outcomes: list[Outcome] = []
        for _ in range(10):
            thread = threading.Thread(target=lambda: outcomes.append(next(running)))
            thread.start()
            thread.join()
            time.sleep(0.01)
        assert next(running, None) is None
        assert [o.failure for o in outcomes] == [None] * 10


def test_idle_worker_that_died_is_replaced(runner: LocalRunner) -> None:
    first = only(runner.run([task("double", number=1)])).value
    assert first is not None
    os.kill(first["pid"], signal.SIGKILL)
    assert wait_until(lambda: not is_running(first["pid"]), 2)
    assert only(runner.run([task("double", number=1)])).failure is None


def test_task_given_to_a_dying_worker_goes_to_another(runner: LocalRunner) -> None:
    """A worker that ends before it took a task up says nothing about that task."""
    first = only(runner.run([task("double", number=1)])).value
    assert first is not None
    os.kill(first["pid"], signal.SIGSTOP)
    end = threading.Timer(0.3, os.kill, (first["pid"], signal.SIGKILL))
    end.start()
    outcome = only(runner.run([task("double", number=2)]))
    end.join()
    assert outcome.failure is None
    assert outcome.value is not None
    assert outcome.value["pid"] != first["pid"]


def test_tasks_after_one_that_closed_where_tasks_come_from(runner: LocalRunner) -> None:
    start = time.monotonic()
    tasks = [task("close_all_but_the_way_back"), *(task("double", number=n) for n in range(3))]
    assert [outcome.failure for outcome in runner.run(tasks)] == [None] * 4
    assert time.monotonic() - start < 15


def test_next_tasks_run_while_the_caller_is_busy(tmp_path: Path) -> None:
    with LocalRunner(2, 20.0, None) as runner:
        hangs = [task("hang", folder=str(tmp_path)) for _ in range(2)]
        running = runner.run([task("double", number=1), *hangs])
        next(running)
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 5)
        running.close()


def test_no_more_workers_than_tasks() -> None:
    with LocalRunner(8, 20.0, None) as runner:
        values = [o.value for o in runner.run([task("double", number=n) for n in range(2)])]
        assert len({value["pid"] for value in values if value is not None}) <= 2
        assert len(runner._pool) <= 2


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    with LocalRunner(2, 20.0, None) as runner:
        running = runner.run(
            [task("double", number=1), *(task("hang", folder=str(tmp_path)) for _ in range(2))]
        )
        next(running)
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 5)
        running.close()
        assert not any(is_running(int(file.name)) for file in tmp_path.iterdir())
        assert only(runner.run([task("double", number=1)])).failure is None


def test_interrupt_in_a_callback_ends_the_workers(tmp_path: Path) -> None:
    def interrupt(key: str, count: int) -> None:
        assert wait_until(lambda: any(tmp_path.iterdir()), 5)
        raise KeyboardInterrupt

    with LocalRunner(2, 20.0, None) as runner:
        tasks = [task("hang", folder=str(tmp_path)), task("count", times=1, step=1)]
        with pytest.raises(KeyboardInterrupt):
            list(runner.run(tasks, interrupt))
        assert not any(is_running(int(file.name)) for file in tmp_path.iterdir())


def test_refused_uses(runner: LocalRunner) -> None:
    for workers, timeout_s, memory_bytes in [(0, 1.0, None), (1, 0.0, None), (1, 1.0, 0)]:
        with pytest.raises(UsageError):
            LocalRunner(workers, timeout_s, memory_bytes)
    running = runner.run([task("double", number=1), task("double", number=2)])
    next(running)
    with pytest.raises(UsageError, match="at work"):
        next(runner.run([]))
    runner.close()
    with pytest.raises(UsageError, match="closed before"):
        next(running)
    with pytest.raises(UsageError, match="is closed"):
        next(runner.run([]))


def test_workers_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; os.write(2, b'no such thing'); os._exit(7)"
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with LocalRunner(2, 20.0, None) as runner, pytest.raises(LagottoError) as caught:
        list(runner.run([task("double", number=1)]))
    said = str(caught.value)
    assert "no worker process took up a task (exited with code 7: no such thing)" in said


def test_workers_run_the_same_lagotto_as_their_parent(tmp_path: Path) -> None:
    (tmp_path / "lagotto").symlink_to(Path(lagotto.jobs.__file__).parents[1])
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from lagotto.jobs.base import Task
        from lagotto.jobs.local import LocalRunner
        with LocalRunner(1, 20.0, None) as runner:
            (outcome,) = runner.run([Task("a", "runner_tasks:where", {{}})])
        print(outcome.value["lagotto"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == str(tmp_path / "lagotto" / "__init__.py")
    assert done.stderr == ""


PARENT = """
    from lagotto.jobs.base import Task
    from lagotto.jobs.local import LocalRunner
    import sys
    runner = LocalRunner(workers=3, timeout_s=60.0, memory_bytes=None)
    names = ["double", "hang", "hang_deaf"]
    tasks = [Task(n, f"runner_tasks:{n}", {"folder": sys.argv[1], "number": 1}) for n in names]
    for outcome in runner.run(tasks):
        print(outcome.value["pid"], flush=True)
"""


@pytest.mark.parametrize(
    ("kill", "sign"),
    [
        (os.kill, signal.SIGKILL),
        (os.kill, signal.SIGTERM),
        (os.kill, signal.SIGINT),
        (os.killpg, signal.SIGKILL),
    ],
)
def test_workers_die_with_their_parent(
    tmp_path: Path, kill: Callable[[int, int], None], sign: signal.Signals
) -> None:
    """Idle, busy, and deaf to everything in native code; the script needs no `__main__` guard."""
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)]
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        idle = int(parent.stdout.readline())
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 10)
        pids = [idle, *(int(file.name) for file in tmp_path.iterdir())]
        assert all(is_running(pid) for pid in pids)
        kill(parent.pid, sign)
        parent.wait(10)
    assert wait_until(lambda: not any(is_running(pid) for pid in pids), 2)


@pytest.mark.parametrize("function", [None, "hang"])
def test_worker_ends_with_its_stdin(tmp_path: Path, function: str | None) -> None:
    """Where the kernel does not end it with its parent, the end of stdin does; busy or not."""
    reader, writer = os.pipe()
    arguments = [str(os.getpid()), str(writer), "0"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "lagotto.jobs.worker", *arguments],
        stdin=subprocess.PIPE,
        pass_fds=(writer,),
    ) as worker:
        assert worker.stdin is not None
        if function is not None:
            body = {"entry": f"runner_tasks:{function}", "payload": {"folder": str(tmp_path)}}
            worker.stdin.write(json.dumps(body).encode() + b"\n")
            worker.stdin.flush()
            assert os.read(reader, 100) == b'{"started": true}\n'
            assert wait_until(lambda: any(tmp_path.iterdir()), 5)
        worker.stdin.close()
        try:
            assert worker.wait(2) == 0
        finally:
            worker.kill()
            os.close(reader)
            os.close(writer)

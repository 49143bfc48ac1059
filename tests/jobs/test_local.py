"""The local runner under tasks that crash, hang, eat memory, talk too much; and under kill -9."""

import json
import os
import re
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
from child_processes import is_running, running_command, wait_until
from lagotto.core.errors import LagottoError, UsageError
from lagotto.jobs.base import Outcome, Task
from lagotto.jobs.local import LocalRunner

TASKS = Path(__file__).resolve().parent / "tasks"
MIB = 1 << 20
PATIENT_S = 120.0
"""For tasks that must not be ended by their time limit, however busy the machine is."""

SHORT_S = 2.0
"""For tasks that never end; one that does its work at once is far below it."""


@pytest.fixture(autouse=True)
def _tasks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)


@pytest.fixture
def runner() -> Iterator[LocalRunner]:
    with LocalRunner(workers=1, timeout_s=PATIENT_S, memory_bytes=256 * MIB) as made:
        yield made


@pytest.fixture
def impatient() -> Iterator[LocalRunner]:
    with LocalRunner(workers=2, timeout_s=SHORT_S, memory_bytes=None) as made:
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
    assert time.monotonic() - start < PATIENT_S / 2


def test_kill_by_someone_else(runner: LocalRunner, tmp_path: Path) -> None:
    def kill_when_busy() -> None:
        assert wait_until(lambda: any(tmp_path.iterdir()))
        os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    kind, reason = failure_of(runner, "hang", folder=str(tmp_path))
    killer.join()
    assert (kind, reason.startswith("killed by SIGKILL")) == ("crash", True)


@pytest.mark.parametrize("function", ["hang", "hang_deaf"])
def test_hang(impatient: LocalRunner, function: str) -> None:
    start = time.monotonic()
    reason = f"no answer within {SHORT_S:g} s (limit); raise --timeout"
    assert failure_of(impatient, function) == ("timeout", reason)
    assert time.monotonic() - start < 45  # the deaf one would end by itself after a minute


def test_time_of_starting_up_is_not_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import time; time.sleep({SHORT_S + 1})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with LocalRunner(1, SHORT_S, None) as runner:
        assert only(runner.run([task("double", number=1)])).failure is None


def test_memory_in_steps(runner: LocalRunner) -> None:
    """The parent sees it: it looks far more often than the task takes to the kernel's ceiling."""
    kind, reason = failure_of(runner, "grow", pause_s=0.02)
    assert kind == "memory"
    words = r"used \d\.\d\d GiB of memory \(limit 0\.25 GiB\); raise --memory-gb"
    assert re.fullmatch(words, reason), reason


def test_memory_at_once_is_refused_by_the_ceiling(runner: LocalRunner) -> None:
    kind, reason = failure_of(runner, "allocate_at_once")
    assert kind == "memory"
    assert "Unable to allocate 8.00 GiB" in reason


def test_memory_is_bounded_while_the_caller_is_busy(runner: LocalRunner, tmp_path: Path) -> None:
    """The kernel sees to it: nobody looks at the worker until its allocation has failed."""
    running = runner.run([task("double", number=1), task("grow", folder=str(tmp_path))])
    next(running)
    assert wait_until(lambda: any(tmp_path.iterdir()))
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
    with LocalRunner(2, PATIENT_S, None) as runner:
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
    assert wait_until(lambda: not is_running(first["pid"]))
    assert only(runner.run([task("double", number=1)])).failure is None


def test_task_given_to_a_dying_worker_goes_to_another(runner: LocalRunner) -> None:
    """A worker that ends before it took a task up says nothing about that task."""
    first = only(runner.run([task("double", number=1)])).value
    assert first is not None
    os.kill(first["pid"], signal.SIGSTOP)
    (worker,) = runner._pool

    def kill_when_given_a_task() -> None:
        assert wait_until(lambda: worker.task is not None)
        os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_when_given_a_task)
    killer.start()
    outcome = only(runner.run([task("double", number=2)]))
    killer.join()
    assert outcome.failure is None
    assert outcome.value is not None
    assert outcome.value["pid"] != first["pid"]


def test_tasks_after_one_that_closed_where_tasks_come_from(runner: LocalRunner) -> None:
    """The next worker gets them, at once: not when the first has failed to start on them."""
    start = time.monotonic()
    tasks = [task("close_all_but_the_way_back"), *(task("double", number=n) for n in range(3))]
    assert [outcome.failure for outcome in runner.run(tasks)] == [None] * 4
    assert time.monotonic() - start < 45  # a worker has 60 s to take a task up


def test_next_tasks_run_while_the_caller_is_busy(tmp_path: Path) -> None:
    with LocalRunner(2, PATIENT_S, None) as runner:
        hangs = [task("hang", folder=str(tmp_path)) for _ in range(2)]
        running = runner.run([task("double", number=1), *hangs])
        next(running)
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        running.close()


def test_no_more_workers_than_tasks() -> None:
    with LocalRunner(8, PATIENT_S, None) as runner:
        values = [o.value for o in runner.run([task("double", number=n) for n in range(2)])]
        assert len({value["pid"] for value in values if value is not None}) <= 2
        assert len(runner._pool) <= 2


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    with LocalRunner(2, PATIENT_S, None) as runner:
        running = runner.run(
            [task("double", number=1), *(task("hang", folder=str(tmp_path)) for _ in range(2))]
        )
        next(running)
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        running.close()
        assert not any(is_running(int(file.name)) for file in tmp_path.iterdir())
        assert only(runner.run([task("double", number=1)])).failure is None


def test_interrupt_in_a_callback_ends_the_workers(tmp_path: Path) -> None:
    def interrupt(key: str, count: int) -> None:
        assert wait_until(lambda: any(tmp_path.iterdir()))
        raise KeyboardInterrupt

    with LocalRunner(2, PATIENT_S, None) as runner:
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
    with LocalRunner(2, PATIENT_S, None) as runner, pytest.raises(LagottoError) as caught:
        list(runner.run([task("double", number=1)]))
    message = str(caught.value)
    assert "no worker process took up a task (exited with code 7: no such thing)" in message


def test_workers_run_the_same_lagotto_as_their_parent(tmp_path: Path) -> None:
    (tmp_path / "lagotto").symlink_to(Path(lagotto.jobs.__file__).parents[1])
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from lagotto.jobs.base import Task
        from lagotto.jobs.local import LocalRunner
        with LocalRunner(1, {PATIENT_S}, None) as runner:
            (outcome,) = runner.run([Task("a", "runner_tasks:where", {{}})])
        print(outcome.value["lagotto"])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = os.environ | {"PYTHONPATH": str(TASKS)}  # no lagotto of the test run's own
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd="/", env=environment
    )
    assert done.stdout.strip() == str(tmp_path / "lagotto" / "__init__.py")
    assert done.stderr == ""


PARENT = """
    from lagotto.jobs.base import Task
    from lagotto.jobs.local import LocalRunner
    import sys
    runner = LocalRunner(workers=3, timeout_s=600.0, memory_bytes=None)
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
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with running_command(command, **quiet) as parent:
        assert parent.stdout is not None
        idle = int(parent.stdout.readline())
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        pids = [idle, *(int(file.name) for file in tmp_path.iterdir())]
        assert all(is_running(pid) for pid in pids)
        kill(parent.pid, sign)
        parent.wait(PATIENT_S)
        assert wait_until(lambda: not any(is_running(pid) for pid in pids), 45)


@pytest.mark.parametrize("function", [None, "hang"])
def test_worker_ends_with_its_stdin(tmp_path: Path, function: str | None) -> None:
    """Where the kernel does not end it with its parent, the end of stdin does; busy or not."""
    reader, writer = os.pipe()
    arguments = [str(os.getpid()), str(writer), "0"]
    command = [sys.executable, "-P", "-m", "lagotto.jobs.worker", *arguments]
    with running_command(command, stdin=subprocess.PIPE, pass_fds=(writer,)) as worker:
        assert worker.stdin is not None
        if function is not None:
            body = {"entry": f"runner_tasks:{function}", "payload": {"folder": str(tmp_path)}}
            worker.stdin.write(json.dumps(body).encode() + b"\n")
            worker.stdin.flush()
            assert os.read(reader, 100) == b'{"started": true}\n'
            assert wait_until(lambda: any(tmp_path.iterdir()))
        worker.stdin.close()
        assert worker.wait(PATIENT_S) == 0
    os.close(reader)
    os.close(writer)

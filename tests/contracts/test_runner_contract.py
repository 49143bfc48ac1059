"""What every runner must do, whatever it runs on: one outcome a task, failures as records."""

import os
import platform
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.jobs.base import Failure, Outcome, Runner, Task
from lagotto.jobs.registry import RUNNERS, load_runner

pytestmark = pytest.mark.workers

TASKS = Path(__file__).resolve().parents[1] / "jobs" / "tasks"


@pytest.fixture(scope="module")
def ray_runner() -> Iterator[Runner]:
    """One for all tests, since a cluster takes some seconds to start."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)
        made = load_runner("ray", workers=2, timeout_s=120.0, memory_bytes=1 << 30)
        list(made.run([Task("first", "runner_tasks:double", {"number": 1})]))
    yield made
    made.close()
    made.close()


@pytest.fixture(params=sorted(RUNNERS))
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setenv("PYTHONPATH", str(TASKS), prepend=os.pathsep)
    if request.param == "ray":
        yield request.getfixturevalue("ray_runner")
        return
    made = load_runner(request.param, workers=2, timeout_s=120.0, memory_bytes=1 << 30)
    yield made
    made.close()


def task(key: str, function: str, **payload: object) -> Task:
    return Task(key, f"runner_tasks:{function}", payload)


def test_is_a_runner(runner: Runner) -> None:
    assert isinstance(runner, Runner)


def test_one_outcome_a_task_whatever_the_order(runner: Runner) -> None:
    outcomes = list(runner.run(task(str(n), "double", number=n) for n in range(50)))
    assert Counter(o.key for o in outcomes) == Counter(str(n) for n in range(50))
    assert all(o.failure is None for o in outcomes)
    assert {o.key: o.value["twice"] for o in outcomes} == {str(n): 2 * n for n in range(50)}


def test_no_tasks_no_outcomes(runner: Runner) -> None:
    assert list(runner.run([])) == []


def test_runs_again(runner: Runner) -> None:
    for n in range(3):
        (outcome,) = runner.run([task("a", "double", number=n)])
        assert outcome.value["twice"] == 2 * n


def test_value_is_the_json_that_was_returned(runner: Runner) -> None:
    payload = {"text": 'ü\n"', "list": [1, 2.5, None, True], "nested": {"a": {}}}
    assert list(runner.run([task("a", "echo", **payload)])) == [Outcome("a", payload, None)]


def test_large_payload_and_value(runner: Runner) -> None:
    text = "ab" * 500_000
    (outcome,) = runner.run([task("a", "echo", text=text)])
    assert outcome.value == {"text": text}


@pytest.mark.parametrize("times", [0, 1, 1000])
def test_progress_adds_up(runner: Runner, times: int) -> None:
    seen: Counter[str] = Counter()
    tasks = [task(key, "count", times=times, step=step) for key, step in [("a", 3), ("b", 5)]]
    outcomes = list(runner.run(tasks, lambda key, n: seen.update({key: n})))
    assert len(outcomes) == 2
    assert seen == +Counter({"a": 3 * times, "b": 5 * times})


@pytest.mark.parametrize(
    ("function", "failure"),
    [
        ("fail_on_purpose", Failure("error", "the file is empty; give a model file")),
        ("fail_by_bug", Failure("error", "ZeroDivisionError: first line")),
        ("leave", Failure("error", "SystemExit: enough")),
        ("interrupt", Failure("error", "KeyboardInterrupt")),
        ("give_list", Failure("error", "TypeError: the task returned list, not a JSON object")),
    ],
)
def test_own_errors_are_recorded(runner: Runner, function: str, failure: Failure) -> None:
    bad, good = runner.run([task("bad", function), task("good", "double", number=1)])
    if bad.key != "bad":
        bad, good = good, bad
    assert bad == Outcome("bad", None, failure)
    assert good.value is not None


@pytest.mark.parametrize("entry", ["nowhere:f", "runner_tasks:nothing", "runner_tasks", ""])
def test_unknown_entry_is_an_error_of_its_task(runner: Runner, entry: str) -> None:
    (outcome,) = runner.run([Task("a", entry, {})])
    assert outcome.failure is not None
    assert outcome.failure.kind == "error"


def test_a_crash_ends_one_task_alone(runner: Runner) -> None:
    tasks = [task(str(n), "segfault" if n % 5 == 0 else "double", number=n) for n in range(20)]
    outcomes = {o.key: o for o in runner.run(tasks)}
    assert len(outcomes) == 20
    for n in range(20):
        failure = outcomes[str(n)].failure
        assert (failure is not None and failure.kind == "crash") == (n % 5 == 0)


def test_tasks_are_drawn_as_needed(runner: Runner) -> None:
    drawn = []

    def endless() -> Iterator[Task]:
        n = 0
        while True:
            drawn.append(n)
            yield task(str(n), "double", number=n)
            n += 1

    running = runner.run(endless())
    for _ in range(5):
        next(running)
    assert len(drawn) <= 5 + 3 * 2
    running.close()


def test_close_twice_and_then_refuse() -> None:
    runner = load_runner("local", workers=1, timeout_s=60.0, memory_bytes=None)
    list(runner.run([]))
    runner.close()
    runner.close()
    with pytest.raises(UsageError, match="closed"):
        list(runner.run([task("a", "double", number=1)]))


def test_tasks_that_fill_a_file_in_place_are_run_too(runner: Runner) -> None:
    tasks = [Task(str(n), "runner_tasks:double", {"number": n}, in_place=n > 2) for n in range(6)]
    outcomes = {o.key: o.value["twice"] for o in runner.run(tasks)}
    assert outcomes == {str(n): 2 * n for n in range(6)}


def test_it_says_where_tasks_run(runner: Runner, request: pytest.FixtureRequest) -> None:
    list(runner.run([task("a", "double", number=1), task("b", "double", number=1)]))
    is_local = request.node.callspec.params["runner"] == "local"
    assert runner.where in ([""] if is_local else [f"{platform.node()} {n}" for n in (1, 2)])


def test_unknown_runner() -> None:
    with pytest.raises(UsageError, match=r"unknown runner 'locl'.*Did you mean 'local'"):
        load_runner("locl", 1, 1.0, None)

"""Laws of the pipe between a worker and its parent: nothing a worker says can hurt."""

import json
import signal

from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import ModelError
from lagotto.jobs.base import Failure
from lagotto.jobs.process import exit_reason, last_line, parse_message, printable_line
from lagotto.jobs.sandbox.limits import hard_ceiling, private_bytes
from lagotto.jobs.worker import is_memory_failure, one_line, run_task

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_message_or_a_value_error(line: bytes) -> None:
    try:
        message = parse_message(line)
    except ValueError:
        return
    assert message is None or isinstance(message, int | dict | Failure)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_a_value_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert parse_message(json.dumps({"value": value}).encode()) == value


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_printable_is_one_line_that_a_terminal_shows(text: str) -> None:
    shown = printable_line(text)
    assert shown.isprintable()
    assert shown == printable_line(shown)


@settings(max_examples=50, deadline=None)
@given(st.binary())
def test_last_words_are_short_and_printable(tail: bytes) -> None:
    words = last_line(tail)
    assert words.isprintable()
    assert len(words) <= 200


def test_last_words_are_the_last_line_that_says_something() -> None:
    assert last_line(b"first\nsecond \x1b[0m\r\n  \n\x00\n") == "second [0m"


def test_exit_reasons() -> None:
    assert exit_reason(-signal.SIGSEGV) == "killed by SIGSEGV"
    assert exit_reason(-63) == "killed by signal 63"
    assert exit_reason(1) == "exited with code 1"


def test_one_line_of_an_error() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert one_line(MuteError()) == "MuteError"
    assert one_line(ValueError("\n  a \nb")) == "ValueError: a"
    assert one_line(ModelError("a\nb")) == "a b"
    assert len(one_line(ValueError("x" * 10_000))) == 500


def test_signs_of_memory() -> None:
    assert is_memory_failure(OSError(12, "Cannot allocate memory"))
    assert is_memory_failure(RuntimeError("Failed to allocate memory for requested buffer"))
    assert not is_memory_failure(ValueError("not that"))
    loop = ValueError("a")
    loop.__cause__ = loop
    assert not is_memory_failure(loop)


def test_a_task_that_cannot_be_read_is_its_own_error() -> None:
    assert json.loads(run_task(b"{}", lambda n: None))["kind"] == "error"


def test_limits() -> None:
    assert hard_ceiling(1 << 30) == 3 << 30
    assert private_bytes(2**22 + 1) is None

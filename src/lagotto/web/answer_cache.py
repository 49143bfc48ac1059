"""Keys and ways to make answers come in; answers go out, each made once and kept for a while."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")

_KEPT = 64


class AnswerCache:
    """Keeps the answers that were used last.

    Threads that ask for the same one at the same time wait for the first of them.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _Answer]) -> _Answer:
        """The answer of a key; what `make` raises is raised, and not kept."""
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        try:
            with turn:
                with self._lock:
                    if key in self._answers:
                        self._answers.move_to_end(key)
                        found: _Answer = self._answers[key]
                        return found
                answer = make()
                with self._lock:
                    self._answers[key] = answer
                    while len(self._answers) > self._kept:
                        self._answers.popitem(last=False)
                return answer
        finally:
            with self._lock:
                if not turn.locked():
                    self._making.pop(key, None)

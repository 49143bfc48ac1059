"""Answers that take seconds come in; the last ones, each for the hub as it is, go out again."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from lagotto.hub.hub import Hub
from lagotto.hub.store.changes import change_mark
from lagotto.hub.store.layout import HubLayout

_Answer = TypeVar("_Answer")
_MOST = 64


class KeptAnswers:
    """Keeps the last answers about a hub; after a change of its models none of them is used."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, hub: Hub, question: Hashable, answer: Callable[[], _Answer]) -> _Answer:
        """The answer to a question, computed where it was not kept for this very hub."""
        key = (hub_version(hub), question)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                kept: _Answer = self._answers[key]
                return kept
        found = answer()
        with self._lock:
            self._answers[key] = found
            while len(self._answers) > _MOST:
                self._answers.popitem(last=False)
        return found


def hub_version(hub: Hub) -> Hashable:
    """Another value after every change of the hub's models."""
    return change_mark(HubLayout(hub.folder))

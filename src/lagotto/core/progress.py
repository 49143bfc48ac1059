"""Steps of long work come in; a caller's display of them goes out. The library prints nothing."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Receives the stages of a long call, one after the other."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; it has `total` units of work, called `unit` ("models", "pictures")."""

    def advance(self, units: int, note: str = "") -> None:
        """`units` more are done; `note` replaces the stage's remark (such as "5/22 models")."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """A Progress that shows nothing."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, units: int, note: str = "") -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""

"""How long work tells its caller that it advances; the library itself prints nothing."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Receives the stages of a long call in order; units are named by the stage."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; it has `total` units of work."""

    def advance(self, units: int, note: str = "") -> None:
        """`units` more are done; `note` replaces the stage's remark (for example "5/22 models")."""

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

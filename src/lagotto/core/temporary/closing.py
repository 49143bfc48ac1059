"""What holds files, threads or processes comes in; it is closed at the end of a `with` block."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

_Held = TypeVar("_Held", bound="Closing")


class Closing(ABC):
    """Something with a `close`, which a `with` block calls at its end."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what is held; safe to call twice."""

    def __enter__(self: _Held) -> _Held:
        """The thing itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

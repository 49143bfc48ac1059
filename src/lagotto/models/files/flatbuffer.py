"""Bytes of a TFLite file come in; the tables of its flatbuffer go out, read within limits.

Every read is checked against the end of the file. So a damaged file raises a ModelError here, and
does not crash native code.
"""

import struct
from dataclasses import dataclass, field

from lagotto.core.errors import ModelError

MAX_TABLE_ELEMENTS = 1_000_000
"""Elements of one list at most."""
MAX_READ = 5_000_000
"""Elements of all lists that are read at most; a list that tables share counts every time."""

_SIZES = {"b": 1, "B": 1, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}


@dataclass(slots=True)
class ElementBudget:
    """Counts down the list elements that may still be read from a file."""

    left: int = MAX_READ

    def take(self, count: int) -> None:
        """Subtracts `count` elements; raises ModelError if none are left."""
        self.left -= count
        if self.left < 0:
            raise ModelError(f"the TFLite file has lists of over {MAX_READ:,} in all; no model has")


@dataclass(frozen=True, slots=True)
class FlatTable:
    """A table at byte `position`. Fields are numbered by slot, in the order of the schema."""

    data: bytes
    position: int
    budget: ElementBudget = field(default_factory=ElementBudget, compare=False)

    def integer(self, slot: int, form: str) -> int:
        """A scalar field, `form` as in the struct module; 0 if absent."""
        at = self._field(slot)
        return _read(self.data, at, form) if at else 0

    def table(self, slot: int) -> "FlatTable | None":
        """A field that is a table, None if absent."""
        at = self._field(slot)
        return FlatTable(self.data, self._jump(at), self.budget) if at else None

    def vector(self, slot: int, form: str) -> tuple[int, int]:
        """(position of the first element, length) of a vector field; (0, 0) if absent."""
        at = self._field(slot)
        if not at:
            return 0, 0
        start = self._jump(at)
        length = _read(self.data, start, "I")
        if form != "B" and length > MAX_TABLE_ELEMENTS:
            raise ModelError(f"the TFLite file has a list of {length}; it is not a model")
        if length * _SIZES[form] > len(self.data) - start - 4:
            raise damaged(start)
        return start + 4, length

    def integers(self, slot: int, form: str) -> tuple[int, ...]:
        """The elements of a vector of whole numbers."""
        start, length = self.vector(slot, form)
        self.budget.take(length)
        return struct.unpack_from(f"<{length}{form}", self.data, start)

    def tables(self, slot: int) -> list["FlatTable"]:
        """The elements of a vector of tables."""
        start, length = self.vector(slot, "I")
        self.budget.take(length)
        positions = range(start, start + 4 * length, 4)
        return [FlatTable(self.data, self._jump(position), self.budget) for position in positions]

    def text(self, slot: int) -> str:
        """A string field, "" if absent."""
        start, length = self.vector(slot, "B")
        self.budget.take(length)
        return self.data[start : start + length].decode("utf-8", errors="replace")

    def _jump(self, at: int) -> int:
        return at + _read(self.data, at, "I")

    def _field(self, slot: int) -> int:
        """The position of a field, 0 if the table does not have it."""
        directory = self.position - _read(self.data, self.position, "i")
        offset = 4 + 2 * slot
        if offset + 2 > _read(self.data, directory, "H"):
            return 0
        inner = _read(self.data, directory + offset, "H")
        return self.position + inner if inner else 0


def root_table(data: bytes) -> FlatTable:
    """The root table of a file."""
    return FlatTable(data, _read(data, 0, "I"))


def damaged(position: int) -> ModelError:
    """The error for a file that cannot be read at a position."""
    return ModelError(
        f"not a TFLite file, or cut short (unreadable at byte {position}); "
        "download or export the model again"
    )


def _read(data: bytes, at: int, form: str) -> int:
    if not 0 <= at <= len(data) - _SIZES[form]:
        raise damaged(at)
    value: int = struct.unpack_from(f"<{form}", data, at)[0]
    return value

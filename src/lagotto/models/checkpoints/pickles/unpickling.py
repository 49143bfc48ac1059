"""The bytes of a pickle come in; inert values go out, and nothing that it names is imported.

The opcodes of protocols 0 to 5 are those of Python's `pickletools`. Only REDUCE, NEWOBJ, NEWOBJ_EX,
INST, OBJ, BUILD and the persistent ids ask for something outside; they are answered with records.
"""

import re
import struct
from collections.abc import Callable
from mmap import mmap
from typing import Protocol, runtime_checkable

from lagotto.models.checkpoints.pickles.inert import (
    DICT,
    GlobalName,
    InertTensor,
    Record,
    UnreadableError,
    UnreadTensor,
    Value,
)

MAX_OPERATIONS = 5_000_000
"""Opcodes of one pickle; a checkpoint of a thousand layers has about 100,000."""

MAX_OPEN = 2_000
"""Containers that are open at once; Python's own pickler gives up at about 1,000."""

MAX_NUMBER_BYTES = 1024
_MAX_NAME_BYTES = 1_000
_MAX_DIGITS = 1_000
_DAMAGED = "its pickle is damaged; download or save it again"
_CUT = "it is cut short; download or save it again"
_PROTOCOL = 5
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0"}


@runtime_checkable
class Builder(Protocol):
    """Answers what a pickle asks for beyond plain containers."""

    def call(self, function: GlobalName, arguments: tuple[Value, ...]) -> Value:
        """The value that stands for the result of a call."""

    def persistent(self, identity: Value) -> Value:
        """The value that stands for something that is kept outside the pickle."""


def unpickle(
    data: bytes | mmap, builder: Builder, start: int = 0, most: int | None = None
) -> tuple[Value, int]:
    """The value of a pickle, and the position after its end.

    Args:
        data: Holds the pickle from `start` on.
        builder: Gives records for calls and persistent ids.
        start: Where the pickle begins.
        most: How many operations it may have; MAX_OPERATIONS by default.

    Raises:
        UnreadableError: It is damaged, or beyond the bounds of this file.
    """
    reader = _Reader(data, start, builder)
    try:
        return reader.run(MAX_OPERATIONS if most is None else most), reader.position
    except (IndexError, KeyError, ValueError, OverflowError, struct.error) as error:
        raise UnreadableError(_DAMAGED) from error


class _Reader:
    def __init__(self, data: bytes | mmap, start: int, builder: Builder) -> None:
        self.position = start
        self._data = data
        self._builder = builder
        self._stack: list[Value] = []
        self._marks: list[list[Value]] = []
        self._memo: dict[int, Value] = {}

    def run(self, most: int) -> Value:
        """The value at the end of the pickle."""
        for _ in range(most):
            code = self._take(1)
            if code == b".":
                return self._stack.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise UnreadableError(_DAMAGED)
            operation(self)
        raise UnreadableError(
            f"its pickle has more than {most:,} operations; save the state dict alone"
        )

    # ------------------------------------------------------------------------- reading bytes

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise UnreadableError(_CUT)
        piece = self._data[self.position : end]
        self.position = end
        return piece

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self, longest: int | None = None) -> bytes:
        end = self._data.find(b"\n", self.position)
        if end < 0:
            raise UnreadableError(_CUT)
        if longest is not None and end - self.position > longest:
            raise UnreadableError(_DAMAGED)
        line = self._data[self.position : end]
        self.position = end + 1
        return line

    # ----------------------------------------------------------------------------- the stack

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        if len(self._marks) >= MAX_OPEN:
            raise UnreadableError(
                f"its pickle is nested more than {MAX_OPEN:,} deep; save the state dict alone"
            )
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Value]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _tuple(self, size: int) -> None:
        items = tuple(self._stack[-size:])
        if len(items) < size:
            raise UnreadableError(_DAMAGED)
        self._stack[-size:] = [items]

    def _dict(self, items: list[Value]) -> Record:
        return Record(DICT, pairs=list(zip(items[::2], items[1::2], strict=True)))

    def _append(self, items: list[Value]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Record):
            target.add_items(items)
        else:
            raise UnreadableError(_DAMAGED)

    def _set_items(self, items: list[Value]) -> None:
        target = self._stack[-1]
        if not isinstance(target, Record):
            raise UnreadableError(_DAMAGED)
        target.add_pairs(list(zip(items[::2], items[1::2], strict=True)))

    # ------------------------------------------------------------------------ names and calls

    def _global(self, module: bytes, name: bytes) -> GlobalName:
        text = f"{module.decode()}.{name.decode()}"
        return GlobalName(
            text.replace("__builtin__.", "builtins.").replace("copy_reg.", "copyreg.")
        )

    def _named(self) -> None:
        self._push(self._global(self._line(_MAX_NAME_BYTES), self._line(_MAX_NAME_BYTES)))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise UnreadableError(_DAMAGED)
        if len(name) + len(module) > _MAX_NAME_BYTES:
            raise UnreadableError(_DAMAGED)
        self._push(self._global(module.encode(), name.encode()))

    def _call(self, function: Value, arguments: Value) -> Value:
        if not isinstance(arguments, tuple):
            raise UnreadableError(_DAMAGED)
        if not isinstance(function, GlobalName):
            return Record("", (function, *arguments))
        return self._builder.call(function, arguments)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._push(self._call(function, arguments))

    def _new_with_keywords(self) -> None:
        keywords = self._stack.pop()
        arguments, function = self._stack.pop(), self._stack.pop()
        made = self._call(function, arguments)
        if isinstance(made, Record):
            made.add_state(keywords)
        self._push(made)

    def _instance(self) -> None:
        name = self._global(self._line(_MAX_NAME_BYTES), self._line(_MAX_NAME_BYTES))
        self._push(self._call(name, tuple(self._pop_mark())))

    def _object(self) -> None:
        function, *arguments = self._pop_mark()
        self._push(self._call(function, tuple(arguments)))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Record):
            target.add_state(state)
        elif not isinstance(target, InertTensor | UnreadTensor):
            raise UnreadableError(_DAMAGED)

    def _persistent(self, identity: Value) -> None:
        self._push(self._builder.persistent(identity))

    # ------------------------------------------------------------------------- plain values

    def _text(self, size_bytes: int) -> None:
        self._push(str(self._take(self._number(size_bytes)), "utf-8", "surrogatepass"))

    def _bytes(self, size_bytes: int) -> None:
        self._push(self._take(self._number(size_bytes)))

    def _old_text(self, data: bytes) -> None:
        """A text of Python 2, which may be bytes."""
        try:
            self._push(data.decode())
        except UnicodeDecodeError:
            self._push(data)

    def _quoted(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b'"', b"'"):
            raise UnreadableError(_DAMAGED)
        self._old_text(_ESCAPE.sub(_unescaped, line[1:-1]))

    def _integer_text(self) -> None:
        line = self._line(_MAX_DIGITS)
        self._push(line == b"01" if line in (b"00", b"01") else int(line))

    def _long_text(self) -> None:
        self._push(int(self._line(_MAX_DIGITS).strip().removesuffix(b"L")))

    def _long(self, size_bytes: int) -> None:
        size = self._number(size_bytes)
        if size > MAX_NUMBER_BYTES:
            raise UnreadableError(
                f"its pickle has a number of {size:,} bytes; at most {MAX_NUMBER_BYTES:,} are read"
            )
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _protocol(self) -> None:
        protocol = self._number(1)
        if protocol > _PROTOCOL:
            raise UnreadableError(
                f"its pickle has protocol {protocol}; at most {_PROTOCOL} is read: save it with "
                "torch.save, without pickle_protocol"
            )

    def _frame(self) -> None:
        if self.position + self._number(8) > len(self._data):
            raise UnreadableError(_CUT)

    def _outside(self) -> None:
        raise UnreadableError(
            "its pickle keeps a part of it in another place (an extension or a buffer), which is "
            "not read; save it with torch.save"
        )


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes.fromhex(found[1].decode())
    if found[2]:
        return bytes([int(found[2], 8) & 255])
    return _ESCAPED.get(found[3], found[3] if found[3] in b"\\'\"" else b"\\" + found[3])


_OPERATIONS: dict[bytes, Callable[[_Reader], object]] = {
    b"(": _Reader._mark,
    b"0": _Reader._pop,
    b"1": _Reader._pop_mark,
    b"2": lambda r: r._push(r._stack[-1]),
    b"F": lambda r: r._push(float(r._line(_MAX_DIGITS))),
    b"G": lambda r: r._push(struct.unpack(">d", r._take(8))[0]),
    b"I": _Reader._integer_text,
    b"J": lambda r: r._push(int.from_bytes(r._take(4), "little", signed=True)),
    b"K": lambda r: r._push(r._number(1)),
    b"M": lambda r: r._push(r._number(2)),
    b"L": _Reader._long_text,
    b"\x8a": lambda r: r._long(1),
    b"\x8b": lambda r: r._long(4),
    b"N": lambda r: r._push(None),
    b"\x88": lambda r: r._push(True),
    b"\x89": lambda r: r._push(False),
    b"S": _Reader._quoted,
    b"T": lambda r: r._old_text(r._take(r._number(4))),
    b"U": lambda r: r._old_text(r._take(r._number(1))),
    b"V": lambda r: r._push(str(r._line(), "raw-unicode-escape")),
    b"X": lambda r: r._text(4),
    b"\x8c": lambda r: r._text(1),
    b"\x8d": lambda r: r._text(8),
    b"B": lambda r: r._bytes(4),
    b"C": lambda r: r._bytes(1),
    b"\x8e": lambda r: r._bytes(8),
    b"\x96": lambda r: r._bytes(8),
    b"]": lambda r: r._push([]),
    b"}": lambda r: r._push(Record(DICT)),
    b")": lambda r: r._push(()),
    b"\x8f": lambda r: r._push([]),
    b"a": lambda r: r._append([r._stack.pop()]),
    b"e": lambda r: r._append(r._pop_mark()),
    b"\x90": lambda r: r._append(r._pop_mark()),
    b"\x91": lambda r: r._push(r._pop_mark()),
    b"l": lambda r: r._push(r._pop_mark()),
    b"d": lambda r: r._push(r._dict(r._pop_mark())),
    b"t": lambda r: r._push(tuple(r._pop_mark())),
    b"\x85": lambda r: r._tuple(1),
    b"\x86": lambda r: r._tuple(2),
    b"\x87": lambda r: r._tuple(3),
    b"s": lambda r: r._set_items([r._stack.pop(), r._stack.pop()][::-1]),
    b"u": lambda r: r._set_items(r._pop_mark()),
    b"p": lambda r: r._put(int(r._line(20))),
    b"q": lambda r: r._put(r._number(1)),
    b"r": lambda r: r._put(r._number(4)),
    b"\x94": lambda r: r._put(len(r._memo)),
    b"g": lambda r: r._push(r._memo[int(r._line(20))]),
    b"h": lambda r: r._push(r._memo[r._number(1)]),
    b"j": lambda r: r._push(r._memo[r._number(4)]),
    b"c": _Reader._named,
    b"\x93": _Reader._stack_global,
    b"R": _Reader._reduce,
    b"\x81": _Reader._reduce,
    b"\x92": _Reader._new_with_keywords,
    b"i": _Reader._instance,
    b"o": _Reader._object,
    b"b": _Reader._build,
    b"P": lambda r: r._persistent(r._line(_MAX_NAME_BYTES).decode()),
    b"Q": lambda r: r._persistent(r._stack.pop()),
    b"\x80": _Reader._protocol,
    b"\x95": _Reader._frame,
    b"\x82": _Reader._outside,
    b"\x83": _Reader._outside,
    b"\x84": _Reader._outside,
    b"\x97": _Reader._outside,
    b"\x98": _Reader._outside,
}

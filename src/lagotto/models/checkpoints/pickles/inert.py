"""What a pickle says comes in; values without behaviour, which stand for its objects, go out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

_T = TypeVar("_T")
_STATE_PARTS = 2  # a dict, and one of slots


class UnreadableError(Exception):
    """Why a checkpoint is not read: a clause that follows the name of the file."""


Value: TypeAlias = object
"""A number, text, bytes, list, tuple, or one of the classes of this file."""


@dataclass(frozen=True, slots=True, eq=False)
class GlobalName:
    """A class or function that a pickle names, "torch.nn.modules.conv.Conv2d"; never imported."""

    name: str


@dataclass(slots=True, eq=False)
class Record:
    """An object of any class: what it was made of and what was put into it.

    Dicts are records too, with the name "dict". Their pairs are kept as a list, in the order of the
    file: no value of a stranger is hashed or compared.

    Args:
        name: Its class.
        arguments: What its class was called with.
        states: What was set as its state, usually once.
        items: Entries, where it is a kind of list or set.
        pairs: Keys with their values, where it is a kind of dict.
    """

    name: str
    arguments: tuple[Value, ...] = ()
    states: Sequence[Value] = ()
    items: Sequence[Value] = ()
    pairs: Sequence[tuple[Value, Value]] = ()

    @property
    def is_dict(self) -> bool:
        """Whether it is a plain or ordered dict."""
        return self.name == DICT

    def attributes(self) -> dict[str, Value]:
        """Its attributes by name, as its states set them; the last one counts."""
        found: dict[str, Value] = {}
        for state in self.states:
            parts = state if isinstance(state, tuple) else (state,)
            for part in parts[:_STATE_PARTS]:
                if isinstance(part, Record):
                    found |= text_pairs(part.pairs)
        return found

    def entries(self) -> dict[str, Value]:
        """Its pairs whose key is a text; without any, its attributes."""
        return text_pairs(self.pairs) or self.attributes()

    def add_state(self, state: Value) -> None:
        """Sets a state, beside what was set before."""
        self.states = _extended(self.states, [state])

    def add_items(self, items: list[Value]) -> None:
        """Appends entries."""
        self.items = _extended(self.items, items)

    def add_pairs(self, pairs: list[tuple[Value, Value]]) -> None:
        """Sets keys to values."""
        self.pairs = _extended(self.pairs, pairs)


def _extended(sequence: Sequence[_T], more: list[_T]) -> list[_T]:
    """The list itself with more in it; the empty default becomes a list."""
    if not isinstance(sequence, list):
        return [*sequence, *more]
    sequence.extend(more)
    return sequence


DICT = "dict"


def text_pairs(pairs: Sequence[tuple[Value, Value]]) -> dict[str, Value]:
    """The pairs whose key is a text; of two with one key the last."""
    return {key: value for key, value in pairs if isinstance(key, str)}


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Bytes beside the pickle that tensors are cut from.

    Args:
        key: Its name in the file.
        dtype: The type of its values; "" if they are bytes whose type each tensor says.
        count: How many values it says it has.
        location: The device that it was on: "cpu", "cuda:0", "meta", ...
        start: The first value of it, where it is a view of another storage of that key.
    """

    key: str
    dtype: str
    count: int
    location: str = "cpu"
    start: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class InertTensor:
    """A tensor as a pickle states it, unchecked: a storage, an offset, sizes and strides."""

    storage: Storage
    dtype: str
    offset: Value
    shape: Value
    strides: Value


@dataclass(frozen=True, slots=True, eq=False)
class UnreadTensor:
    """A tensor of a kind that is not read; `kind` says which, for example "a sparse tensor"."""

    kind: str


AnyTensor: TypeAlias = InertTensor | UnreadTensor


def inner_values(value: Value) -> Iterator[Value]:
    """The values that a value holds directly."""
    if isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, Record):
        yield from value.arguments
        yield from value.states
        yield from value.items
        for key, item in value.pairs:
            yield key
            yield item

"""The settings of a layer come in; the values asked for, checked, go out."""

import math
from collections.abc import Mapping
from typing import NoReturn

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonValue

_SHOWN = 60
_MOST = 1 << 31


class LayerSettings:
    """The settings of a layer.

    Every value is of the type asked for and within bounds, or a ModelError names the layer, the
    setting, its value, and what is allowed. Only settings that the table lists may be asked for.
    """

    def __init__(self, owner: str, values: Mapping[str, JsonValue], listed: frozenset[str]) -> None:
        self._owner = owner
        self._values = values
        self._listed = listed

    def raw(self, key: str) -> JsonValue:
        """The value as it is; None if it is absent."""
        if key not in self._listed:
            raise KeyError(f"{self._owner}: {key} is not in the table of layers")
        return self._values.get(key)

    def refuse(self, key: str, allowed: str) -> NoReturn:
        """Raises ModelError for the value of a setting."""
        shown = ascii(self._values.get(key))[:_SHOWN]
        raise ModelError(f"{self._owner}: {key} is {shown}; allowed: {allowed}")

    def flag(self, key: str, default: bool) -> bool:
        """True or False."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(key, "true, false")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = scalar(self.raw(key))
        if value is None and self.raw(key) is None and default is not None:
            return default
        if value is None:
            self.refuse(key, "a number")
        return value

    def optional_number(self, key: str) -> float | None:
        """A finite number; None if it is absent."""
        return None if self.raw(key) is None else self.number(key)

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int:
        """A whole number of at least `least`."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        if not _is_whole(value) or not isinstance(value, int) or not least <= value < _MOST:
            self.refuse(key, f"a whole number from {least}")
        return value

    def choice(self, key: str, default: str, *allowed: str) -> str:
        """One of some words."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.refuse(key, ", ".join(allowed))
        return value

    def sizes(self, key: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """`count` whole numbers from 1; a single one stands for all."""
        value = self.raw(key)
        if value is None and default is not None:
            return (default,) * count
        items = value if isinstance(value, list) else [value] * count
        whole = [item for item in items if _is_whole(item) and isinstance(item, int)]
        if len(items) != count or len(whole) != count or not all(0 < x < _MOST for x in whole):
            self.refuse(key, f"{count} whole numbers from 1")
        return tuple(whole)

    def integers(self, key: str) -> tuple[int, ...] | None:
        """Whole numbers, also below zero; None if absent. A single one is a list of one."""
        value = self.raw(key)
        if value is None:
            return None
        items = value if isinstance(value, list) else [value]
        whole = [item for item in items if _is_whole(item) and isinstance(item, int)]
        if len(whole) != len(items) or not all(-_MOST < item < _MOST for item in whole):
            self.refuse(key, "whole numbers")
        return tuple(whole)

    def pairs(self, key: str, count: int) -> tuple[tuple[int, int], ...]:
        """Before and after, for `count` axes; Keras lets one number stand for more."""
        value = self.raw(key)
        if _is_whole(value):
            value = [[value, value]] * count
        elif isinstance(value, list) and count == 1 and all(map(_is_whole, value)):
            value = [value]
        elif isinstance(value, list) and all(map(_is_whole, value)):
            value = [[item, item] for item in value]
        result = []
        for item in value if isinstance(value, list) else []:
            if isinstance(item, list) and len(item) == 2:
                before, after = item
                if isinstance(before, int) and isinstance(after, int) and min(before, after) >= 0:
                    result.append((before, after))
        if len(result) != count or not isinstance(value, list) or len(value) != count:
            self.refuse(key, f"whole numbers from 0 before and after, for {count} axes")
        return tuple(result)


def scalar(value: JsonValue) -> float | None:
    """A finite number as Keras writes it: plain, or {"class_name": "__numpy__", ...}; else None."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

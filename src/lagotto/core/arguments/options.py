"""Keywords that a caller wrote come in; a frozen dataclass of options goes out."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest

_Options = TypeVar("_Options")


def with_keywords(options: _Options, keywords: Mapping[str, Any]) -> _Options:
    """Options with some fields replaced.

    Args:
        options: A frozen dataclass whose own checks run again on the new values.
        keywords: New values by field name.

    Returns:
        The options themselves if there are no keywords, else a new instance.

    Raises:
        UsageError: If a keyword names no field; the message suggests the nearest one.
    """
    if not keywords:
        return options
    known = [field.name for field in fields(options)]  # type: ignore[arg-type]  # a dataclass
    for name in keywords:
        if name not in known:
            raise UsageError(
                f"unknown option {name!r}; known: {', '.join(known)}.{suggest(name, known)}"
            )
    return replace(options, **keywords)  # type: ignore[type-var]

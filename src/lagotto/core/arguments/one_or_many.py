"""One path, picture or name, or many of them, come in; a tuple of one type goes out."""

from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from lagotto.core.errors import UsageError

PathLike: TypeAlias = Path | str
OnePathOrMany: TypeAlias = PathLike | Iterable[PathLike]
"""A path, or any iterable of paths: a list, a tuple, a set, a generator."""

OneNameOrMany: TypeAlias = PathLike | Iterable[str]
"""Names: a comma list or a file of names in one string, such a file as a Path, or any iterable."""

_PATHS = "give a path (str or pathlib.Path), or a list of paths"
_Item = TypeVar("_Item")


def as_paths(given: OnePathOrMany, what: str) -> tuple[Path, ...]:
    """The paths of an argument that takes one or many.

    A set has no order, so its paths are sorted.

    Args:
        given: A str, a Path, or an iterable of them.
        what: What the paths lead to, in the plural, for messages: "probes".

    Returns:
        At least one path, in the order given.

    Raises:
        UsageError: If nothing is given, or something that is no path.

    Example:
        >>> [path.name for path in as_paths("models/", "models")]
        ['models']
    """
    return tuple(Path(item) for item in as_sources(given, what))


def as_path(given: PathLike, what: str) -> Path:
    """The one path of an argument that takes one; UsageError for anything else."""
    if not isinstance(given, PathLike) or not str(given):
        text = "an empty path" if given == "" else describe_type(given)
        raise UsageError(f"{what}: {text} given; give one path (str or pathlib.Path)")
    return Path(given)


def as_sources(given: OnePathOrMany, what: str) -> tuple[PathLike, ...]:
    """As `as_paths`, with strings left as they are: a string may name a model on a remote hub."""
    return collect(given, PathLike, what, _PATHS, _check_path)


def collect(
    given: Any,
    item_type: Any,
    what: str,
    allowed: str,
    check: Callable[[Any, str], None] | None = None,
) -> tuple[Any, ...]:
    """The items of an argument that takes one item or an iterable of them.

    Raises UsageError, one line that ends in `allowed`, for an empty iterable, for a mapping, bytes
    or anything else that is neither an item nor iterable, and for an item of another type.
    """
    if isinstance(given, item_type):
        items: tuple[Any, ...] = (given,)
    else:
        items = tuple(iterate(given, what, allowed))
    for number, item in enumerate(items):
        if not isinstance(item, item_type):
            raise UsageError(f"{what}: item {number} is {describe_type(item)}; {allowed}")
        if check is not None:
            check(item, what)
    if not items:
        raise UsageError(f"no {what} given; {allowed}")
    return items


def iterate(given: Any, what: str, allowed: str) -> Iterable[Any]:
    """The argument as an iterable, a set sorted by its texts; UsageError for what is none."""
    if isinstance(given, Mapping | bytes | bytearray | memoryview | type) or not isinstance(
        given, Iterable
    ):
        raise UsageError(f"{what}: {describe_type(given)} given; {allowed}")
    return sorted(given, key=str) if isinstance(given, Set) else given


def describe_type(value: Any) -> str:
    """What a value is, for a message: "the number 3", "None", "of type dict"."""
    if value is None:
        return "None"
    if isinstance(value, bool | int | float):
        return f"the number {value!r}" if not isinstance(value, bool) else repr(value)
    return f"of type {type(value).__name__}"


def _check_path(item: PathLike, what: str) -> None:
    if not str(item):
        raise UsageError(f"{what}: an empty path given; {_PATHS}")

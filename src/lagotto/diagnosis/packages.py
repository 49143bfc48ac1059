"""The metadata of the installation come in; the packages that are there, and not, go out."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import takewhile

DISTRIBUTION = "lagotto"

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w., -]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_OF_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w.-]+)['"]""")
_LOWER_BOUND = re.compile(r">=\s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package that Lagotto uses.

    `version` is the installed one, None without one; `at_least` is the lowest that will do, "" if
    any does. `extra` is the extra that it belongs to, "" for a package that is always needed.
    """

    name: str
    version: str | None
    at_least: str
    extra: str

    @property
    def is_old(self) -> bool:
        """Whether the package is there and older than the lowest version that will do."""
        return self.version is not None and release(self.version) < release(self.at_least)

    @property
    def words(self) -> str:
        """The name with the version, and what is wrong with it."""
        if self.version is None:
            return f"{self.name} missing"
        old = f" (needs {self.at_least})" if self.is_old else ""
        return f"{self.name} {self.version}{old}"


@dataclass(frozen=True, slots=True)
class ExtraState:
    """An extra with its packages; `pip` is the line that installs what is missing, else ""."""

    name: str
    packages: tuple[PackageState, ...]
    pip: str


def release(text: str) -> tuple[int, ...]:
    """The numbers of a version for a comparison, without zeros at the end.

    Example:
        >>> release("2.10.0rc1") > release("2.9")
        True
    """
    numbers = []
    for part in text.partition("+")[0].split("."):
        digits = "".join(takewhile(str.isdigit, part))
        if digits:
            numbers.append(int(digits))
        if digits != part:
            break
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def read_packages() -> tuple[PackageState, ...] | None:
    """Every package that Lagotto declares, in order; None if it is not installed as a package.

    Nothing is imported: the versions are those of the installed metadata.
    """
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return None
    found = []
    for line in lines:
        parsed = _REQUIREMENT.match(line)
        if parsed is None or parsed[1] == DISTRIBUTION:
            continue
        bound = _LOWER_BOUND.search(parsed[2])
        extra = _OF_EXTRA.search(parsed[3] or "")
        found.append(
            PackageState(
                name=parsed[1],
                version=installed_version(parsed[1]),
                at_least=bound[1] if bound else "",
                extra=extra[1] if extra else "",
            )
        )
    return tuple(found)


def installed_version(name: str) -> str | None:
    """The version of an installed distribution, None if there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def group_extras(packages: tuple[PackageState, ...]) -> tuple[ExtraState, ...]:
    """The extras in the order of their names, each with its packages."""
    extras = []
    for name in sorted({package.extra for package in packages if package.extra}):
        own = tuple(package for package in packages if package.extra == name)
        is_whole = all(package.version is not None and not package.is_old for package in own)
        extras.append(ExtraState(name, own, "" if is_whole else f"pip install 'lagotto[{name}]'"))
    return tuple(extras)

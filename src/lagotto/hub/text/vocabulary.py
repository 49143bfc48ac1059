"""A text file of a user in, its names out: a vocabulary, or labels, one a line."""

from pathlib import Path

from lagotto.core.errors import UsageError

_LARGEST_BYTES = 8 << 20


def read_vocabulary(file: Path) -> tuple[str, ...]:
    """The names in a text file, one a line, each once; raises UsageError if there is none."""
    return _without_repeats(list(read_lines(file, "vocabulary")))


def read_lines(file: Path, what: str) -> tuple[str, ...]:
    """The lines of a text file without its last empty ones; `what` names its role in errors.

    Raises UsageError if it cannot be read, is larger than 8 MB or holds no line.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{what} {str(file)!r} cannot be read: {error.strerror}; give a text file, "
            "one name a line"
        ) from error
    if len(data) > _LARGEST_BYTES:
        raise UsageError(
            f"{what} {str(file)!r} is larger than {_LARGEST_BYTES >> 20} MB; give one name a line"
        )
    lines = data.decode("utf-8-sig", "replace").rstrip().splitlines()
    if not lines:
        raise UsageError(f"{what} {str(file)!r} holds no name; write one a line")
    return tuple(line.strip() for line in lines)


def _without_repeats(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))

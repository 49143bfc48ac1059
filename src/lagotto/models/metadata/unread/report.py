"""Models that are not read come in; one line for each format and reason goes out."""

from collections.abc import Iterable
from pathlib import PurePath

from lagotto.models.metadata.unread.recognition import UnreadFile

_MOST_NAMES = 3


def unread_heading(items: Iterable[UnreadFile]) -> str:
    """The number of models that are not read, "" for none."""
    count = len(tuple(items))
    return f"{count:,} {'file' if count == 1 else 'files'} not read" if count else ""


def unread_lines(items: Iterable[UnreadFile]) -> tuple[str, ...]:
    """The models by format and reason, in the order of the first of each.

    Example:
        >>> unread_lines([UnreadFile("/m/a.mnn", "MNN model", "is of MNN", "export it to ONNX")])
        ('a.mnn (MNN model) is of MNN; export it to ONNX',)
    """
    groups: dict[tuple[str, str], list[UnreadFile]] = {}
    for item in items:
        groups.setdefault((item.format, item.reason), []).append(item)
    return tuple(
        f"{_names(group)} ({form}){':' if len(group) > 1 else ''}"
        f"{' each' if len(group) > 1 else ''} {reason}; {group[0].recipe}"
        for (form, reason), group in groups.items()
    )


def _names(group: list[UnreadFile]) -> str:
    """The names of the first files; with their folders where names repeat."""
    paths = [PurePath(item.file) for item in group]
    has_twins = len({path.name for path in paths}) < len(paths)
    shown = [
        f"{path.parent.name}/{path.name}" if has_twins else path.name
        for path in paths[:_MOST_NAMES]
    ]
    rest = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")

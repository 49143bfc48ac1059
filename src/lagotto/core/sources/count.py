"""What a reader did with each file or row comes in; one count in which nothing is missing goes out.

Every reader of folders, tars and tables ends with taken + skipped + passed over = seen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lagotto.core.types import JsonObject

_ARCHIVES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_WAYS_OUT = {
    **{ending: f"unpack the {ending} first" for ending in _ARCHIVES},
    ".arrow": "of a dataset that save_to_disk wrote, make a parquet file: "
    "datasets.load_from_disk(FOLDER).to_parquet(FILE)",
    ".tfrecord": "write the .tfrecord as parquet, or as a .tar of webdataset",
}
_KINDS_IN_TEXT = 6
_KINDS_IN_JSON = 50
_OTHER = "of other kinds"


@dataclass(frozen=True, slots=True)
class SourceCount:
    """How many items of a source were taken, skipped and passed over.

    An item is a file of a folder, a row of a table or a sample of a tar. `taken` items were used.
    `skipped` ones were to be used and could not be; each has a reason elsewhere. `passed_over` has
    the number of the others by kind, such as ".txt" or "hidden file".
    """

    taken: int = 0
    skipped: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """All items of the source."""
        return self.taken + self.skipped + sum(self.passed_over.values())

    def __str__(self) -> str:
        """The count in one line, with the most frequent kinds of what was passed over.

        >>> str(SourceCount(7, 1, {".txt": 2}))
        '10 seen: 7 taken, 1 skipped, 2 passed over (2 .txt)'
        """
        text = f"{self.seen:,} seen: {self.taken:,} taken, {self.skipped:,} skipped"
        kinds = _most_frequent(self.passed_over, _KINDS_IN_TEXT)
        if not kinds:
            return f"{text}, none passed over"
        listed = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
        return f"{text}, {sum(kinds.values()):,} passed over ({listed})"

    def as_json(self) -> JsonObject:
        """The numbers by name; `passed_over` by kind, the most frequent first."""
        return {
            "seen": self.seen,
            "taken": self.taken,
            "skipped": self.skipped,
            "passed_over": {**_most_frequent(self.passed_over, _KINDS_IN_JSON)},
        }


def told(count: SourceCount) -> str:
    """The end of a message that a place holds nothing to read: what it holds, and the way out.

    >>> told(SourceCount(passed_over={".zip": 1}))
    ' (1 seen: 0 taken, 0 skipped, 1 passed over (1 .zip)); unpack the .zip first'
    >>> told(SourceCount())
    ''
    """
    held = f" ({count})" if count.seen else ""
    return held + way_out(count.passed_over)


def way_out(endings: Iterable[str]) -> str:
    """What makes files of some endings readable, as the end of a message; "" if nothing is known.

    >>> way_out([".json"]), way_out([".zip"])
    ('', '; unpack the .zip first')
    """
    ways = dict.fromkeys(_WAYS_OUT[ending] for ending in sorted(endings) if ending in _WAYS_OUT)
    return "".join(f"; {way}" for way in ways)


def _most_frequent(kinds: Mapping[str, int], most: int) -> dict[str, int]:
    """The kinds by falling number, then by name; those beyond `most` together at the end."""
    ranked = sorted((item for item in kinds.items() if item[1]), key=lambda item: (-item[1], item))
    shown = dict(ranked[:most])
    if len(ranked) > most:
        shown[_OTHER] = sum(number for _, number in ranked[most:])
    return shown


def add_counts(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums, by kind, of several counts of what was passed over."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)

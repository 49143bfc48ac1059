"""The files under the folders that a user gave come in; one count with no file missing goes out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lagotto.core.types import JsonObject
from lagotto.models.metadata.unread.file_names import is_of_training

LINK_OUT, HIDDEN_FILE, HIDDEN_FOLDER = "link out of the folder", "hidden file", "hidden folder"
CLOSED = "folder that this user may not read"
FOREIGN, BELOW = "model.json of another tool", "below a folder with a model.json"
BESIDE, PARTLY = "beside a model.json", "incomplete download"
TRAINING = "state or log of a training"
OTHER_FORM = "another form of a model there"
OLDER = "another version of a model there"
AGAIN = "another path to the same model"
NO_ENDING = "without an ending"

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst", ".mar")
_PARTS = (".part", ".crdownload", ".incomplete", ".download", ".tmp", ".aria2")
_MOST_KINDS_IN_TEXT = 8
_MOST_KINDS = 100


@dataclass(frozen=True, slots=True)
class FileCount:
    """What became of the files under the paths that a user gave.

    `models` were found, `facts` are files that describe them or hold their weights. `passed_over`
    has the number of the others by kind: the ending, or why they were not looked at.
    """

    models: int = 0
    facts: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """All files; a hidden folder counts as one."""
        return self.models + self.facts + sum(self.passed_over.values())

    def __str__(self) -> str:
        """The count in one line.

        >>> str(FileCount(1, 2, {".md": 1}))
        '4 files seen: 1 model, 2 that belong to it, 1 passed over (1 .md)'
        """
        plural = "model" if self.models == 1 else "models"
        owner = "it" if self.models == 1 else "them"
        text = f"{self.seen:,} files seen: {self.models:,} {plural}"
        if self.facts:
            text += f", {self.facts:,} that belong to {owner}"
        total = sum(self.passed_over.values())
        if not total:
            return f"{text}, none passed over"
        ranked = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{count:,} {kind}" for kind, count in ranked[:_MOST_KINDS_IN_TEXT]]
        rest = sum(count for _, count in ranked[_MOST_KINDS_IN_TEXT:])
        kinds += [f"{rest:,} others"] if rest else []
        return f"{text}, {total:,} passed over ({', '.join(kinds)})"

    @property
    def hints(self) -> tuple[str, ...]:
        """What to do about models among the files that were passed over."""
        hints = []
        if ".lite" in self.passed_over:
            hints.append(f"{self._listed(['.lite'])}: call a TFLite model .tflite")
        archives = [kind for kind in self.passed_over if kind in _ARCHIVES]
        if archives:
            hints.append(f"{self._listed(archives)}: unpack it if a model is in it")
        if PARTLY in self.passed_over:
            hints.append(f"{self._listed([PARTLY])}: download it again")
        if LINK_OUT in self.passed_over:
            hints.append(
                f"{self._listed([LINK_OUT])}: not followed; give the folder where it leads"
            )
        if CLOSED in self.passed_over:
            hints.append(f"{self._listed([CLOSED])}: let this user list and open it")
        return tuple(hints)

    def as_json(self) -> JsonObject:
        """The numbers by name, `passed_over` by kind, the most frequent first, and the hints."""
        ranked = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        return {
            "seen": self.seen,
            "models": self.models,
            "facts": self.facts,
            "passed_over": dict(ranked[:_MOST_KINDS]),
            "hints": list(self.hints),
        }

    def _listed(self, kinds: Iterable[str]) -> str:
        ranked = sorted(kinds, key=lambda kind: (-self.passed_over[kind], kind))
        return ", ".join(f"{self.passed_over[kind]:,} {kind}" for kind in ranked)


def sum_counts(counts: Iterable[FileCount]) -> FileCount:
    """The sum of some counts."""
    models = facts = 0
    kinds: Counter[str] = Counter()
    for count in counts:
        models, facts = models + count.models, facts + count.facts
        kinds.update(count.passed_over)
    return FileCount(models, facts, dict(kinds))


def kind_of(file: Path) -> str:
    """The kind under which a file that is passed over is counted: its ending in lower case."""
    if is_of_training(file.name):
        return TRAINING
    ending = file.suffix.lower()
    if ending in _PARTS:
        return PARTLY
    return ending if 1 < len(ending) <= 16 and ending.isprintable() else NO_ENDING

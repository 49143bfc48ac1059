"""Ranked logits and known answers → Top-1 and Top-5 accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lagotto.core.errors import UsageError
from lagotto.core.files import read_json
from lagotto.core.types import JsonObject

LogitName: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TruthQuery:
    """A text and the (model, logit) pairs that answer it.

    `relevant` logits carry the same name, `acceptable` ones a narrower name that also answers.
    """

    text: str
    kind: str
    relevant: frozenset[LogitName]
    acceptable: frozenset[LogitName] = frozenset()

    @property
    def correct(self) -> frozenset[LogitName]:
        """Every logit that answers the query."""
        return self.relevant | self.acceptable


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of queries with a correct logit first, and among the first five."""

    queries: int
    top1: float
    top5: float


def read_truth(path: Path) -> tuple[TruthQuery, ...]:
    """The queries of a truth file: `{"queries": [{"text", "kind", "relevant", "acceptable"}]}`.

    Raises UsageError for a file that is missing or not of that form.
    """
    content = read_json(path, "truth file", UsageError)
    queries = content.get("queries")
    if not isinstance(queries, list) or not queries:
        raise UsageError(f'truth file {path} has no list "queries" with at least one entry')
    return tuple(_read_query(path, position, entry) for position, entry in enumerate(queries))


def _read_query(path: Path, position: int, entry: object) -> TruthQuery:
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise UsageError(f'truth file {path}, query {position}: needs a "text"')
    return TruthQuery(
        text=entry["text"],
        kind=str(entry.get("kind", "")),
        relevant=_read_logits(path, position, entry, "relevant"),
        acceptable=_read_logits(path, position, entry, "acceptable"),
    )


def _read_logits(path: Path, position: int, entry: JsonObject, key: str) -> frozenset[LogitName]:
    pairs = entry.get(key, [])
    names = set()
    for pair in pairs if isinstance(pairs, list) else [None]:
        match pair:
            case [str(model), int(logit)]:
                names.add((model, logit))
            case _:
                raise UsageError(
                    f'truth file {path}, query {position}: "{key}" is a list of [model, logit]'
                )
    return frozenset(names)


def accuracy(
    ranked: Sequence[Sequence[LogitName]], correct: Sequence[frozenset[LogitName]]
) -> Accuracy:
    """Top-1 and Top-5 accuracy of rankings (best first) against the correct logits of each query.

    Raises UsageError if there are no queries or the two differ in length.
    """
    if not ranked or len(ranked) != len(correct):
        raise UsageError(
            f"{len(ranked)} rankings for {len(correct)} queries; need one each, and at least one"
        )
    found = [
        [name in good for name in names[:5]] for names, good in zip(ranked, correct, strict=True)
    ]
    return Accuracy(
        queries=len(found),
        top1=sum(any(row[:1]) for row in found) / len(found),
        top5=sum(any(row) for row in found) / len(found),
    )

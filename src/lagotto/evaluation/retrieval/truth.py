"""A truth file and ranked logits come in; Top-1 and Top-5 accuracy go out."""

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
    """A text query and its right logits, as (model, logit) pairs.

    `relevant` logits have the same name, `acceptable` ones a narrower name that is right too.
    """

    text: str
    kind: str
    relevant: frozenset[LogitName]
    acceptable: frozenset[LogitName] = frozenset()

    @property
    def correct(self) -> frozenset[LogitName]:
        """All right logits of the query."""
        return self.relevant | self.acceptable


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The shares of queries with a right logit first, and among the first five."""

    queries: int
    top1: float
    top5: float


def read_truth(path: Path) -> tuple[TruthQuery, ...]:
    """Reads a truth file: `{"queries": [{"text", "kind", "relevant", "acceptable"}]}`.

    Raises:
        UsageError: The file is missing or has another form.
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
    """Top-1 and Top-5 accuracy of rankings.

    Args:
        ranked: The ranked logits of each query, best first.
        correct: The right logits of each query.

    Raises:
        UsageError: There are no queries, or the two have different lengths.
    """
    if not ranked or len(ranked) != len(correct):
        raise UsageError(
            f"{len(ranked)} rankings for {len(correct)} queries; need one each, and at least one"
        )
    is_correct = [
        [name in good for name in names[:5]] for names, good in zip(ranked, correct, strict=True)
    ]
    return Accuracy(
        queries=len(is_correct),
        top1=sum(any(row[:1]) for row in is_correct) / len(is_correct),
        top5=sum(any(row) for row in is_correct) / len(is_correct),
    )

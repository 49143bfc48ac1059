"""The queries that a user gives, and the query vector that a search compares with descriptors."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_paths, describe_type
from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.hub.query.boolean import SINGLE, Expression
from lagotto.hub.text.matching import NOBODY, Named


@dataclass(frozen=True, slots=True, init=False)
class TextQuery:
    """A concept in words, or several joined by AND, OR and NOT (see boolean.py).

    Args:
        text: The words, for example "dog AND NOT wolf".
        template: The prompt, with one {} for each concept; None: the encoder's own.
        pictures: Example pictures, one path or many: a logit has to answer words and pictures.

    Example:
        >>> TextQuery("dog", pictures="dog.jpg").pictures[0].name
        'dog.jpg'
    """

    text: str
    template: str | None
    pictures: tuple[Path, ...]

    def __init__(
        self, text: str, template: str | None = None, pictures: OnePathOrMany = ()
    ) -> None:
        if not isinstance(text, str):
            raise UsageError(f"text: {describe_type(text)} given; give words in one str")
        nothing = isinstance(pictures, tuple | list) and not pictures
        files = () if nothing else as_paths(pictures, "example pictures")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "pictures", files)


@dataclass(frozen=True, slots=True)
class LogitQuery:
    """A logit of a model of the hub, by its name, or of a model file outside it, by its path."""

    model: str
    index: int

    @classmethod
    def parse(cls, text: str) -> "LogitQuery":
        """The query that MODEL:INDEX names; raises UsageError for another form.

        Example:
            >>> LogitQuery.parse("exp_final_v3:7")
            LogitQuery(model='exp_final_v3', index=7)
        """
        model, colon, index = text.rpartition(":")
        is_number = index.isascii() and index.isdecimal() and len(index) <= 9
        if not colon or not model or not is_number:
            raise UsageError(
                f"{text!r} does not name a logit; write MODEL:INDEX, for example exp_final_v3:7"
            )
        return cls(model, int(index))


@dataclass(frozen=True, slots=True, init=False)
class ImageQuery:
    """Example pictures of the concept; a logit is sought that recognises what they share.

    Args:
        files: One path or many.

    Raises:
        UsageError: If there is no path, or something that is none.
    """

    files: tuple[Path, ...]

    def __init__(self, files: OnePathOrMany) -> None:
        object.__setattr__(self, "files", as_paths(files, "example pictures"))


AnyQuery: TypeAlias = TextQuery | LogitQuery | ImageQuery


def as_query(given: AnyQuery | str | Path) -> AnyQuery:
    """The query that an argument stands for: a str is words, a Path an example picture."""
    match given:
        case str():
            return TextQuery(given)
        case Path():
            return ImageQuery(given)
        case TextQuery() | LogitQuery() | ImageQuery():
            return given
    raise UsageError(
        f"query: {describe_type(given)} given; give words in one str, a TextQuery, an ImageQuery, "
        "a LogitQuery, or the Path of an example picture"
    )


@dataclass(frozen=True, slots=True)
class ConceptQuery:
    """One concept, in words or pictures, as the default rule compares it with logits.

    `weights` say how much each probe counts, and sum to 1. `direction` is where the concept lies in
    the encoder's space, less what all background words have in common. `text` is the concept in
    words, "" for pictures. `probe_coverage` is the highest posterior of the concept on any probe
    (see probe_coverage.py; 0 for pictures). `named` are the logits whose published labels match
    `text`.
    """

    weights: Float32[np.ndarray, " probes"]
    direction: Float32[np.ndarray, " dim"]
    text: str = ""
    probe_coverage: float = 0.0
    named: Named = NOBODY


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query as a search compares it with descriptors.

    `values` are the standardized responses that a logit which recognizes the query would have on
    the probes: the paper's query. `concepts` and `expression` are the same query for the default
    rule; a known logit has no concepts and is compared by distance. `itself` is the (model name,
    logit) that hits leave out.
    """

    query: Query
    values: Float32[np.ndarray, " probes"]
    itself: tuple[str, int] | None = None
    notes: tuple[str, ...] = ()
    concepts: tuple[ConceptQuery, ...] = ()
    expression: Expression = SINGLE

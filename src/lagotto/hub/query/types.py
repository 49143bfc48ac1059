"""What is asked of a hub, and what a search compares: queries, evidence, query vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.types import Query
from lagotto.hub.query.boolean import SINGLE, Expression
from lagotto.hub.text.matching import NOBODY, Named


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A concept in words, or several joined by AND, OR and NOT (see logic.py).

    `template` has one {} for each concept (default: the encoder's own). `pictures` are examples
    that the words are joined with: a logit has to answer both.
    """

    text: str
    template: str | None = None
    pictures: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class LogitQuery:
    """An output of a model of the hub, by name, or of a model file outside it, by path."""

    model: str
    index: int

    @classmethod
    def parse(cls, text: str) -> "LogitQuery":
        """From MODEL:INDEX; raises UsageError for another form."""
        model, colon, index = text.rpartition(":")
        if not colon or not model or not index.isdecimal() or len(index) > 9:
            raise UsageError(
                f"{text!r} does not name a logit; write MODEL:INDEX, for example exp_final_v3:7"
            )
        return cls(model, int(index))


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """One or more example pictures of the concept."""

    files: tuple[Path, ...]


AnyQuery: TypeAlias = TextQuery | LogitQuery | ImageQuery


@dataclass(frozen=True, slots=True)
class ConceptQuery:
    """What a concept in words or pictures says of the probes, and where it is in their space.

    `weights` sum to 1 over the probes. `text` is the concept in words, "" if it has none, and
    `coverage` how surely any probe shows it (see probe_coverage.py; 0 for pictures); `named` are
    the logits that are called so, where names are asked too.
    """

    weights: Float32[np.ndarray, " probes"]
    direction: Float32[np.ndarray, " dim"]
    text: str = ""
    coverage: float = 0.0
    named: Named = NOBODY


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query as standardised values over the probes, ready to be compared with descriptors.

    `values` are what a logit that answers it would give: the paper's query. `concepts` and
    `expression` are the same query as the default rule asks it; a known logit has none, and is
    compared by distance. `itself` is the (model name, logit) that must not be found again.
    """

    query: Query
    values: Float32[np.ndarray, " probes"]
    itself: tuple[str, int] | None = None
    notes: tuple[str, ...] = ()
    concepts: tuple[ConceptQuery, ...] = ()
    expression: Expression = SINGLE

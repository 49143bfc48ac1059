"""Stage 4d of hub search: concepts joined by AND, OR and NOT, as text and as scores.

`dog AND NOT wolf`: capitals are operators, NOT binds tightest, then AND, then OR; parentheses
group. A score becomes a degree of truth by a logistic curve, degrees are joined as independent
probabilities, and the result is a score again: one concept alone keeps its score exactly.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64

from lagotto.core.errors import UsageError

_TOKEN = re.compile(r"\(|\)|\bAND\b|\bOR\b|\bNOT\b")


@dataclass(frozen=True, slots=True)
class Term:
    """One concept: its place among the concepts of the query."""

    place: int


@dataclass(frozen=True, slots=True)
class Negation:
    """What does not show `part`."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Junction:
    """What shows all `parts` (AND), or any of them (OR)."""

    every: bool
    parts: tuple["Expression", ...]


Expression: TypeAlias = Term | Negation | Junction

SINGLE = Term(0)
"""A query of one concept."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """The concepts that a text names, in order, and how they are joined."""

    concepts: tuple[str, ...]
    expression: Expression


def parse_concepts(text: str) -> ParsedQuery:
    """The concepts of a text; without operators the whole text is one.

    Raises UsageError for operators without a concept, or parentheses that do not match.

    >>> parse_concepts("dog AND NOT wolf").concepts
    ('dog', 'wolf')
    >>> parse_concepts("black (and white) cat").concepts
    ('black (and white) cat',)
    """
    if not re.search(r"\b(AND|OR|NOT)\b", text):
        return ParsedQuery((text.strip(),), SINGLE)
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over words and operators."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        last = 0
        for match in _TOKEN.finditer(text):
            self._tokens += [text[last : match.start()].strip(), match[0]]
            last = match.end()
        self._tokens.append(text[last:].strip())
        self._tokens = [token for token in self._tokens if token]
        self._concepts: list[str] = []

    def parse(self) -> ParsedQuery:
        """The whole text, or UsageError."""
        expression = self._joined("OR")
        if self._tokens:
            raise self._wrong(f"{self._tokens[0]!r} is not expected there")
        return ParsedQuery(tuple(self._concepts), expression)

    def _joined(self, operator: str) -> Expression:
        parts = [self._operand(operator)]
        while self._tokens and self._tokens[0] == operator:
            self._tokens.pop(0)
            parts.append(self._operand(operator))
        return parts[0] if len(parts) == 1 else Junction(operator == "AND", tuple(parts))

    def _operand(self, operator: str) -> Expression:
        return self._joined("AND") if operator == "OR" else self._single()

    def _single(self) -> Expression:
        token = self._tokens.pop(0) if self._tokens else ""
        if token == "NOT":
            return Negation(self._single())
        if token == "(":
            inside = self._joined("OR")
            if not self._tokens or self._tokens.pop(0) != ")":
                raise self._wrong("a parenthesis is not closed")
            return inside
        if token in ("", "AND", "OR", ")"):
            raise self._wrong("a concept is missing" + (f" before {token!r}" if token else ""))
        if token not in self._concepts:
            self._concepts.append(token)
        return Term(self._concepts.index(token))

    def _wrong(self, reason: str) -> UsageError:
        return UsageError(
            f"query {self._text!r}: {reason}; write concepts joined by AND, OR, NOT and "
            "parentheses, for example: dog AND NOT wolf (lower case is plain text)"
        )


def join_scores(
    expression: Expression, scores: Float[np.ndarray, "concepts n"], threshold: float
) -> Float64[np.ndarray, " n"]:
    """The scores of an expression from those of its concepts.

    `threshold` is the score at which a concept is as likely as not. Joined as probabilities
    1 / (1 + exp(threshold - score)): NOT p is 1 - p, AND the product, OR its dual.
    """
    true, false = _degrees(expression, scores.astype(np.float64) - threshold)
    return np.asarray(true - false + threshold)


_Degrees: TypeAlias = tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]


def _degrees(expression: Expression, scores: Float64[np.ndarray, "concepts n"]) -> _Degrees:
    """log p and log (1 - p); kept apart so that neither end loses its digits."""
    if isinstance(expression, Term):
        row = scores[expression.place]
        return -np.logaddexp(0.0, -row), -np.logaddexp(0.0, row)
    if isinstance(expression, Negation):
        true, false = _degrees(expression.part, scores)
        return false, true
    parts = [_degrees(part, scores) for part in expression.parts]
    if expression.every:
        true = np.sum([part[0] for part in parts], axis=0)
        return true, _log_rest(true)
    false = np.sum([part[1] for part in parts], axis=0)
    return _log_rest(false), false


def _log_rest(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """log (1 - exp(value)) for values up to zero, without losing digits at either end."""
    bounded = np.minimum(values, -1e-300)
    with np.errstate(divide="ignore"):
        small, large = np.log(-np.expm1(bounded)), np.log1p(-np.exp(bounded))
    return np.asarray(np.where(bounded > -0.693, small, large))

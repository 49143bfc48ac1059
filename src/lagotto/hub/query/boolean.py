"""A text with AND, OR and NOT comes in; its concepts, and the scores of the whole query, go out.

In `dog AND NOT wolf` the words in capitals are operators. NOT binds tightest, then AND, then OR;
parentheses group. A logistic curve turns a score into a probability, probabilities are joined as
independent ones, and the result is turned back into a score. One concept alone keeps its score.
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
    """One concept, by its index among the concepts of the query."""

    index: int


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of `part`."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Junction:
    """All `parts` (AND, `every` is true), or any of them (OR)."""

    every: bool
    parts: tuple["Expression", ...]


Expression: TypeAlias = Term | Negation | Junction

SINGLE = Term(0)
"""The expression of a query with one concept."""


def sought_terms(expression: Expression, *, negated: bool = False) -> tuple[int, ...]:
    """The indexes of the concepts that an answer has to recognize, ascending, each once.

    Example:
        >>> sought_terms(parse_concepts("dog AND NOT (wolf OR NOT fox)").expression)
        (0, 2)
    """
    if isinstance(expression, Term):
        return () if negated else (expression.index,)
    if isinstance(expression, Negation):
        return sought_terms(expression.part, negated=not negated)
    parts = [sought_terms(part, negated=negated) for part in expression.parts]
    return tuple(sorted({index for part in parts for index in part}))


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """The concepts of a text, in order, each once, and how they are joined."""

    concepts: tuple[str, ...]
    expression: Expression


def parse_concepts(text: str) -> ParsedQuery:
    """The concepts of a text and how they are joined; without operators the whole text is one.

    Args:
        text: Concepts in words; AND, OR and NOT in capitals are operators.

    Returns:
        The concepts and the expression that joins them.

    Raises:
        UsageError: An operator lacks a concept, or parentheses do not match.

    Example:
        >>> parse_concepts("dog AND NOT wolf").concepts
        ('dog', 'wolf')
        >>> parse_concepts("black (and white) cat").concepts
        ('black (and white) cat',)
    """
    if not re.search(r"\b(AND|OR|NOT)\b", text):
        return ParsedQuery((text.strip(),), SINGLE)
    return _Parser(text).parse()


class _Parser:
    """A parser by recursive descent over words and operators."""

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
        """Parses the whole text, or raises UsageError."""
        expression = self._parse_operands("OR")
        if self._tokens:
            raise self._error(f"{self._tokens[0]!r} is not expected there")
        return ParsedQuery(tuple(self._concepts), expression)

    def _parse_operands(self, operator: str) -> Expression:
        """Operands joined by one operator."""
        parts = [self._parse_operand(operator)]
        while self._tokens and self._tokens[0] == operator:
            self._tokens.pop(0)
            parts.append(self._parse_operand(operator))
        return parts[0] if len(parts) == 1 else Junction(operator == "AND", tuple(parts))

    def _parse_operand(self, operator: str) -> Expression:
        return self._parse_operands("AND") if operator == "OR" else self._parse_single()

    def _parse_single(self) -> Expression:
        """A concept, a negation or a parenthesis."""
        token = self._tokens.pop(0) if self._tokens else ""
        if token == "NOT":
            return Negation(self._parse_single())
        if token == "(":
            inside = self._parse_operands("OR")
            if not self._tokens or self._tokens.pop(0) != ")":
                raise self._error("a parenthesis is not closed")
            return inside
        if token in ("", "AND", "OR", ")"):
            raise self._error("a concept is missing" + (f" before {token!r}" if token else ""))
        if token not in self._concepts:
            self._concepts.append(token)
        return Term(self._concepts.index(token))

    def _error(self, reason: str) -> UsageError:
        return UsageError(
            f"query {self._text!r}: {reason}; write concepts joined by AND, OR, NOT and "
            "parentheses, for example: dog AND NOT wolf (lower case is plain text)"
        )


def join_scores(
    expression: Expression, scores: Float[np.ndarray, "concepts n"], threshold: float
) -> Float64[np.ndarray, " n"]:
    """The scores of an expression from those of its concepts.

    A score stands for the probability p = 1 / (1 + exp(threshold - score)). NOT gives 1 - p, AND
    the product, OR one minus the product of the opposites.

    Args:
        expression: How the concepts are joined.
        scores: One row a concept, in the order of the query.
        threshold: The score at which a concept is as likely as not.

    Returns:
        One score for each column.
    """
    true, false = _log_probabilities(expression, scores.astype(np.float64) - threshold)
    return np.asarray(true - false + threshold)


_LogProbabilities: TypeAlias = tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]


def _log_probabilities(
    expression: Expression, scores: Float64[np.ndarray, "concepts n"]
) -> _LogProbabilities:
    """log p and log (1 - p); both, so that neither end loses its digits."""
    if isinstance(expression, Term):
        row = scores[expression.index]
        return -np.logaddexp(0.0, -row), -np.logaddexp(0.0, row)
    if isinstance(expression, Negation):
        true, false = _log_probabilities(expression.part, scores)
        return false, true
    parts = [_log_probabilities(part, scores) for part in expression.parts]
    if expression.every:
        true = np.sum([part[0] for part in parts], axis=0)
        return true, _log_complement(true)
    false = np.sum([part[1] for part in parts], axis=0)
    return _log_complement(false), false


def _log_complement(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """log (1 - exp(value)) of values up to zero, exact at both ends."""
    bounded = np.minimum(values, -1e-300)
    with np.errstate(divide="ignore"):
        small, large = np.log(-np.expm1(bounded)), np.log1p(-np.exp(bounded))
    return np.asarray(np.where(bounded > -0.693, small, large))

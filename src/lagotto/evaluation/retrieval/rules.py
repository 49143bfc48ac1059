"""A table of logits comes in; every ranking rule over it, by name, goes out."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.evaluation.retrieval.batch_rules import NamedRows, default_scores
from lagotto.evaluation.retrieval.keyword import KeywordIndex
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.paper_rules import (
    full_query,
    model_level,
    paper_rule,
)
from lagotto.evaluation.retrieval.queries import Queries
from lagotto.hub.index.scoring import DEFAULT_K
from lagotto.hub.text.matching import (
    OPENLY,
    find_named,
    name_words,
)

DEFAULT_RULE = "default"
PAPER = "paper"
KEYWORD = "keyword"
BEHAVIOUR = "behaviour"


LabelTrustFunction: TypeAlias = Callable[[str, int], float]
"""The trust in a logit's label, from the name of its model and its index."""


def trust_all(_model: str, _logit: int) -> float:
    """The same trust in every published label."""
    return OPENLY


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that scores every logit for each query; minus infinity excludes a logit.

    `by_name` rules read labels and model names; they need text queries.
    """

    name: str
    score: Callable[[Queries], Float32[np.ndarray, "queries logits"]]
    by_name: bool = False

    def answers(self, queries: Queries) -> bool:
        """Whether the rule can score queries of this kind."""
        return not self.by_name or queries.are_texts


def rules_of(
    table: LogitTable,
    k: int,
    *,
    behaviour_only: bool = False,
    trust: LabelTrustFunction = trust_all,
) -> tuple[Rule, ...]:
    """Every rule over a table, the default first.

    Args:
        table: The logits.
        k: The probes that the paper's rule compares; at most the number of probes.
        behaviour_only: Leave out the rules that read names.
        trust: The trust of the default rule in published labels. The rule "behaviour" is the
            default without labels.
    """
    k_used = min(k, len(table.embeddings))
    name_index = None if behaviour_only else NameIndex(table, trust)
    rules = (
        Rule(DEFAULT_RULE, lambda queries: _default(queries, table, name_index)),
        Rule(PAPER, lambda queries: paper_rule(queries.values, table, k_used)),
        Rule("full-query", lambda queries: full_query(queries.values, table)),
        Rule("model-level", lambda queries: model_level(queries.values, table)),
    )
    if behaviour_only:
        return rules
    keywords = KeywordIndex(table)
    return (
        *rules,
        Rule(BEHAVIOUR, lambda queries: _default(queries, table, None)),
        Rule(KEYWORD, lambda queries: keywords.scores(queries.names), by_name=True),
    )


class NameIndex:
    """An inverted index from words to the labels of a table, as a hub's search uses it."""

    def __init__(self, table: LogitTable, trust: LabelTrustFunction) -> None:
        self._columns = table.columns()
        self._firsts = table.firsts
        self._trust = trust
        self._by_word: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for (model, logit), column in self._columns.items():
            label = table.labels[column]
            for word in sorted(name_words(label or "")):
                self._by_word[word].append((model, logit, label or ""))

    def match_names(self, texts: Sequence[str]) -> NamedRows:
        """The logits whose labels match each text."""
        rows = [
            find_named(
                text, self._logits_of_words, lambda *key: self._columns.get(key), self._trust
            )
            for text in texts
        ]
        return NamedRows(rows, self._firsts)

    def _logits_of_words(self, words: Sequence[str]) -> list[tuple[str, int, str]]:
        return list(dict.fromkeys(entry for word in words for entry in self._by_word.get(word, ())))


def _default(
    queries: Queries, table: LogitTable, name_index: NameIndex | None
) -> Float32[np.ndarray, "queries logits"]:
    """The default rule of a search; a logit query is compared on all probes."""
    if not queries.are_texts:
        return full_query(queries.values, table)
    k_used = min(DEFAULT_K, len(table.embeddings))
    named_rows = None if name_index is None else name_index.match_names(queries.names)
    return default_scores(table.space, queries.concepts, table.descriptors, k_used, named_rows)

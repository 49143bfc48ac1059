"""Layer 3: every rule that ranks logits, by name: ours, the paper's and its baselines, keywords."""

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
from lagotto.hub.index.scoring import SEARCH_CONFIG
from lagotto.hub.text.matching import (
    OPENLY,
    find_named,
    name_words,
)

DEFAULT_RULE = "default"
PAPER = "paper"
KEYWORD = "keyword"
BEHAVIOUR = "behaviour"


LabelBelief: TypeAlias = Callable[[str, int], float]
"""How far the label of a logit, by its model's name and number, is believed."""


def believe_all(_model: str, _logit: int) -> float:
    """Every label as published, until a query contradicts it."""
    return OPENLY


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to score every logit for each question: higher is better, minus infinity is no answer.

    `by_name` rules read labels and model names; they answer texts only.
    """

    name: str
    score: Callable[[Queries], Float32[np.ndarray, "queries logits"]]
    by_name: bool = False

    def answers(self, questions: Queries) -> bool:
        """Whether the rule can answer such questions at all."""
        return not self.by_name or questions.are_texts


def rules_of(
    table: LogitTable, k: int, *, behaviour_only: bool = False, trust: LabelBelief = believe_all
) -> tuple[Rule, ...]:
    """Every rule over a table, the default first; with `behaviour_only` those that read no names.

    `k` is the paper's: how many probes it compares, at most all that there are. The default reads
    published labels as a search does, as far as `trust` believes them; "behaviour" is the same rule
    without them.
    """
    used = min(k, len(table.embeddings))
    index = None if behaviour_only else NameIndex(table, trust)
    rules = (
        Rule(DEFAULT_RULE, lambda asked: _default(asked, table, index)),
        Rule(PAPER, lambda asked: paper_rule(asked.values, table, used)),
        Rule("full-query", lambda asked: full_query(asked.values, table)),
        Rule("model-level", lambda asked: model_level(asked.values, table)),
    )
    if behaviour_only:
        return rules
    keywords = KeywordIndex(table)
    return (
        *rules,
        Rule(BEHAVIOUR, lambda asked: _default(asked, table, None)),
        Rule(KEYWORD, lambda asked: keywords.scores(asked.names), by_name=True),
    )


class NameIndex:
    """The logits of a table by the words of their labels, as a search of a hub finds them."""

    def __init__(self, table: LogitTable, trust: LabelBelief) -> None:
        self._columns = table.columns()
        self._firsts = table.firsts
        self._trust = trust
        self._by_word: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for (model, logit), column in self._columns.items():
            label = table.labels[column]
            for word in sorted(name_words(label or "")):
                self._by_word[word].append((model, logit, label or ""))

    def named(self, texts: Sequence[str]) -> NamedRows:
        """For each text the logits that are called so."""
        rows = [
            find_named(text, self._labelled, lambda *key: self._columns.get(key), self._trust)
            for text in texts
        ]
        return NamedRows(rows, self._firsts)

    def _labelled(self, words: Sequence[str]) -> list[tuple[str, int, str]]:
        return list(dict.fromkeys(each for word in words for each in self._by_word.get(word, ())))


def _default(
    asked: Queries, table: LogitTable, index: NameIndex | None
) -> Float32[np.ndarray, "queries logits"]:
    """What a search does unless it is told otherwise: a known logit is compared on all probes."""
    if not asked.are_texts:
        return full_query(asked.values, table)
    used = min(SEARCH_CONFIG.k, len(table.embeddings))
    named = None if index is None else index.named(asked.names)
    return default_scores(table.space, asked.concepts, table.descriptors, used, named)

"""A table of logits in, every rule that ranks them out: ours, the paper's, and baselines."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from lagotto.core.text.names import label_word_sets
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
from lagotto.hub.text.matching import OPENLY, Named, find_named
from lagotto.hub.text.meaning import LabelEmbeddings

DEFAULT_RULE = "default"
PAPER = "paper"
KEYWORD = "keyword"
BEHAVIOUR = "behaviour"


LabelTrustFunction: TypeAlias = Callable[[str, int], float]
"""How far the label of a logit, by its model's name and number, is believed."""


def trust_all(_model: str, _logit: int) -> float:
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
    table: LogitTable,
    k: int,
    *,
    behaviour_only: bool = False,
    trust: LabelTrustFunction = trust_all,
    meanings: LabelEmbeddings | None = None,
) -> tuple[Rule, ...]:
    """Every rule over a table, the default first.

    Args:
        table: the logits to rank.
        k: how many probes the paper's rule compares, at most all that there are.
        behaviour_only: leave out the rules that read names.
        trust: how far the default rule believes a published label. "behaviour" is the same rule
            without labels.
        meanings: the labels as vectors, to match them by meaning too; None to match words alone.
    """
    used = min(k, len(table.embeddings))
    index = None if behaviour_only else NameIndex(table, trust, meanings)
    rules = (
        Rule(DEFAULT_RULE, lambda batch: _default(batch, table, index)),
        Rule(PAPER, lambda batch: paper_rule(batch.values, table, used)),
        Rule("full-query", lambda batch: full_query(batch.values, table)),
        Rule("model-level", lambda batch: model_level(batch.values, table)),
    )
    if behaviour_only:
        return rules
    keywords = KeywordIndex(table)
    return (
        *rules,
        Rule(BEHAVIOUR, lambda batch: _default(batch, table, None)),
        Rule(KEYWORD, lambda batch: keywords.scores(batch.names), by_name=True),
    )


class NameIndex:
    """The logits of a table by their labels, as a search of a hub finds them."""

    def __init__(
        self, table: LogitTable, trust: LabelTrustFunction, meanings: LabelEmbeddings | None = None
    ) -> None:
        self._columns = table.columns()
        self._firsts = table.firsts
        self._trust = trust
        self._mean = table.space.background_mean
        self._meanings = meanings
        self._by_word: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        self._by_label: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for (model, logit), column in self._columns.items():
            label = table.labels[column]
            words = frozenset().union(*label_word_sets(label or ""))
            for word in sorted(words):
                self._by_word[word].append((model, logit, label or ""))
            self._by_label[label or ""].append((model, logit, label or ""))

    def named(self, texts: Sequence[str], concepts: Float32[np.ndarray, "texts dim"]) -> NamedRows:
        """For each text, given with its unit embedding, the logits that are named so."""
        rows = [self._named(*query) for query in zip(texts, concepts - self._mean, strict=True)]
        return NamedRows(rows, self._firsts)

    def _named(self, text: str, direction: Float32[np.ndarray, " dim"]) -> Named:
        similar = {} if self._meanings is None else self._meanings.likeness(direction)

        def labelled(words: Sequence[str]) -> list[tuple[str, int, str]]:
            alike = [row for label in similar for row in self._by_label.get(label, ())]
            return [*self._labelled(words), *alike]

        return find_named(text, labelled, self._column, self._trust, similar)

    def _column(self, model: str, logit: int) -> int | None:
        return self._columns.get((model, logit))

    def _labelled(self, words: Sequence[str]) -> list[tuple[str, int, str]]:
        return list(dict.fromkeys(each for word in words for each in self._by_word.get(word, ())))


def _default(
    batch: Queries, table: LogitTable, index: NameIndex | None
) -> Float32[np.ndarray, "queries logits"]:
    """The default rule of a search; a known logit is compared on all probes."""
    if not batch.are_texts:
        return full_query(batch.values, table)
    used = min(SEARCH_CONFIG.k, len(table.embeddings))
    named = None if index is None else index.named(batch.names, batch.concepts)
    return default_scores(table.space, batch.concepts, table.descriptors, used, named)

"""Layer 3: every rule that ranks logits, by name: ours, the paper's and its baselines, keywords."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.evaluation.keyword import KeywordIndex
from lagotto.evaluation.logit_table import LogitTable
from lagotto.evaluation.paper_rules import full_query, model_level, paper
from lagotto.evaluation.questions import Questions
from lagotto.hubsearch.rules import DEFAULT_K, default_scores

DEFAULT = "default"
PAPER = "paper"
KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to score every logit for each question: higher is better, minus infinity is no answer.

    `by_name` rules read labels and model names; they answer texts only.
    """

    name: str
    score: Callable[[Questions], Float32[np.ndarray, "queries logits"]]
    by_name: bool = False

    def answers(self, questions: Questions) -> bool:
        """Whether the rule can answer such questions at all."""
        return not self.by_name or questions.are_texts


def rules_of(table: LogitTable, k: int, *, behaviour_only: bool = False) -> tuple[Rule, ...]:
    """Every rule over a table, the default first; with `behaviour_only` those that read no names.

    `k` is the paper's: how many probes it compares, at most all that there are.
    """
    used = min(k, len(table.embeddings))
    rules = (
        Rule(DEFAULT, lambda asked: _default(asked, table)),
        Rule(PAPER, lambda asked: paper(asked.values, table, used)),
        Rule("full-query", lambda asked: full_query(asked.values, table)),
        Rule("model-level", lambda asked: model_level(asked.values, table)),
    )
    if behaviour_only:
        return rules
    index = KeywordIndex(table)
    return (*rules, Rule(KEYWORD, lambda asked: index.scores(asked.names), by_name=True))


def _default(asked: Questions, table: LogitTable) -> Float32[np.ndarray, "queries logits"]:
    """What a search does unless it is told otherwise: a known logit is compared on all probes."""
    if not asked.are_texts:
        return full_query(asked.values, table)
    used = min(DEFAULT_K, len(table.embeddings))
    return default_scores(table.space, asked.concepts, table.descriptors, used)

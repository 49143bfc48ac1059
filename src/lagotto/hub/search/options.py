"""The choices of a caller come in; checked options of one search go out."""

from dataclasses import dataclass
from typing import TypedDict

from lagotto.core.arguments.one_or_many import describe_type
from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.hub.index.scoring import RULE_NAMES, RuleName


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a hub is searched; `Hub.search` takes them as one value or as keywords.

    Attributes:
        top: How many hits, at most.
        k: How many probes decide; None: 50, or all probes of a smaller hub, of the rule
            "full-query", and of a known logit by the default rule.
        by_model: Keep only the best logit of each model.
        rule: "default", "paper" (ProbeLog's distance) or "full-query" (its baseline).
        behaviour_only: Do not read published labels, but for those of reference models; hits still
            show them.
        references: Let reference models teach (True, or None where there are any), or not (False).
        with_references: Show the outputs of reference models among the hits too.
        low_rank: Go through the hub's index wherever it can serve (True), never (False), or where
            it is quicker (None).

    Raises:
        UsageError: For an unknown rule, `top` below 1, or a value of another type.

    Example:
        >>> SearchOptions(top=5).top
        5
    """

    top: int = 10
    k: int | None = None
    by_model: bool = False
    rule: str = "default"
    behaviour_only: bool = False
    low_rank: bool | None = None
    references: bool | None = None
    with_references: bool = False

    def __post_init__(self) -> None:
        _check_number("top", self.top)
        if self.top < 1:
            raise UsageError(f"top {self.top} was asked for; give 1 or more")
        if self.k is not None:
            _check_number("k", self.k)
        for name in ("by_model", "behaviour_only", "with_references"):
            _check_switch(name, getattr(self, name), "True or False")
        for name in ("low_rank", "references"):
            if getattr(self, name) is not None:
                _check_switch(name, getattr(self, name), "True, False or None")
        _ = self.rule_name

    @property
    def rule_name(self) -> RuleName:
        """The rule, as the search rooms name it."""
        for rule in RULE_NAMES:
            if rule == self.rule:
                return rule
        raise UsageError(
            f"no rule {self.rule!r}; choose one of {', '.join(RULE_NAMES)}."
            f"{suggest(str(self.rule), RULE_NAMES)}"
        )


class SearchKeywords(TypedDict, total=False):
    """The fields of `SearchOptions` as keywords, each with the same meaning."""

    top: int
    k: int | None
    by_model: bool
    rule: str
    behaviour_only: bool
    low_rank: bool | None
    references: bool | None
    with_references: bool


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"option {name}: {describe_type(value)} given; give a whole number")


def _check_switch(name: str, value: object, allowed: str) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"option {name}: {describe_type(value)} given; give {allowed}")

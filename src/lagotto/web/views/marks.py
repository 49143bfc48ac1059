"""Verdicts and probabilities come in; the short words that a page says of them go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lagotto.core.types import Hits
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.query.probe_weights import LEAST_COVERAGE
from lagotto.web.views.addresses import labels_href

Tone: TypeAlias = Literal["good", "open", "bad", "plain"]

_LIKELY = 0.7
_UNLIKELY = 0.3
"""Presence below which a search says that the hub hardly knows the concept; as its notes do."""
_LEAST_PROBABILITY = 1e-4

_VERDICTS: dict[str, tuple[Tone, str]] = {
    "fits": ("good", "label list fits"),
    "another order fits": ("bad", "another order fits"),
    "contradicted": ("bad", "behaviour contradicts"),
    "wrong count": ("bad", "wrong number of labels"),
    "cannot be judged": ("open", "label not judged"),
    "no labels": ("plain", "no labels"),
}


@dataclass(frozen=True, slots=True)
class LabelMark:
    """What the audit says of a label: a tone, a word or two, and a sentence."""

    tone: Tone
    text: str
    why: str


def label_mark(trust: LabelTrust, model: str, logit: int, label: str | None) -> LabelMark | None:
    """The mark of an output's published label; None where it has none."""
    if label is None:
        return None
    audit = trust.audit_of(model)
    if audit is None:
        return LabelMark("open", "label not audited", "Run lagotto audit HUB --all to audit it.")
    if logit in audit.misplaced and audit.verdict == "fits":
        return LabelMark(
            "bad", "label seems misplaced", "The list fits, but this label not its output."
        )
    tone, text = verdict_mark(audit.verdict)
    return LabelMark(tone, text, f"The audit of this model's label list: {audit.verdict}.")


def verdict_mark(verdict: str) -> tuple[Tone, str]:
    """The tone and the words of a verdict of an audit."""
    return _VERDICTS.get(verdict, ("open", verdict))


@dataclass(frozen=True, slots=True)
class Belief:
    """What a hub believes of a concept, in a line; `way_on` leads to classifying without a model.

    `presence` and `coverage` are probabilities, None where a search does not know them.
    """

    tone: Tone
    headline: str
    detail: str
    presence: float | None
    coverage: float | None
    way_on: str | None = None


def few(probability: float) -> str:
    """A small probability as people read it.

    Example:
        >>> few(0.0213), few(6e-11)
        ('0.02', 'below 0.0001')
    """
    return f"{probability:.1g}" if probability >= _LEAST_PROBABILITY else "below 0.0001"


def belief_of(hits: Hits, words: str, pictures: Sequence[str] = ()) -> Belief:
    """The line above the hits of a search."""
    presence, covered = hits.presence, hits.coverage
    way_on = labels_href("/classify", [words] if words else [], pictures)
    if not len(hits):
        return Belief(
            "bad", "Nothing was found.", "The hub has no searchable output.", None, None, way_on
        )
    if presence is None:
        best = hits[0].p_value
        detail = (
            ""
            if best is None
            else f"A score as good as the best is an accident with probability {few(best)}."
        )
        in_words = hits.query.kind == "text"
        headline = "The best matches." if in_words else "The outputs that answer most alike."
        return Belief("plain", headline, detail, None, None)
    if presence >= _LIKELY:
        tone: Tone = "good"
        headline, detail = "The hub knows this.", "Some output very likely recognises it."
    elif presence >= _UNLIKELY:
        tone, headline = "open", "The hub may know this."
        detail = "Look at the pictures before you trust a hit."
    else:
        tone, headline = "bad", "Probably no output knows this."
        detail = "The hits below are its nearest relatives."
    if covered is not None and covered < LEAST_COVERAGE:
        detail += " No probe clearly shows it, so the evidence is thin: ask by a picture too."
    known = presence >= _LIKELY
    return Belief(tone, headline, detail, presence, covered, None if known else way_on)

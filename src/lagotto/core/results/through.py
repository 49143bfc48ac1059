"""A labelled output that a hit behaves like comes in; one line that says the way goes out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Through:
    """A believed labelled output that a hit behaves like, so that its label counts for the hit.

    Attributes:
        model: The model whose label it is.
        logit: The output that the label was published for.
        label: The label.
        probability: How likely the hit recognises the same concept.
        belief: Why the label is believed: "reference", or "list fits" where the audit says so.
    """

    model: str
    logit: int
    label: str
    probability: float
    belief: str

    def __str__(self) -> str:
        reason = f"{self.belief}; the same concept with probability {self.probability:.2f}"
        return f"through {self.model}:{self.logit} `{self.label}` (believed: {reason})"

"""A concept and the probes in, how surely any probe shows the concept out.

A hub only knows how its models answer its probes. If no probe shows a concept, its hits rest on
pictures that merely resemble it, and the user is told so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.hub.query.probe_weights import LEAST_COVERAGE, ProbeSpace, weigh_texts


def coverage(space: ProbeSpace, concept: Float32[np.ndarray, " dim"]) -> float:
    """The highest posterior of the concept, among the background words, on any probe.

    `concept` is the unit embedding of its prompt. 1/2 is full coverage of a concept that is a word
    of the background itself, for it is then there twice.
    """
    return float(weigh_texts(space, concept[None])[1][0])


def coverage_note(text: str, probe_coverage: float) -> str | None:
    """What the user is told of a concept that the probes hardly show; None if they show it."""
    if probe_coverage >= LEAST_COVERAGE:
        return None
    return (
        f"no probe of this hub clearly shows {text!r} (the surest does so with probability "
        f"{probe_coverage:.2f}), so the hits rest on pictures that resemble it; ask with --image, "
        "in other words, or add pictures that show it: lagotto hub grow HUB --probes PICTURES"
    )


@dataclass(frozen=True, slots=True)
class VocabularyCoverage:
    """How many of the `words` common nouns the probes show, as surely as LEAST_COVERAGE."""

    shown: int
    words: int

    @property
    def is_low(self) -> bool:
        """True where most words are not shown: more probes would help searches most."""
        return 2 * self.shown < self.words


def vocabulary_coverage(space: ProbeSpace) -> VocabularyCoverage:
    """The coverage of the background words, each among all others.

    The posterior is that of a search for the word, which counts it twice: p / (1 + p), if p is its
    posterior among the background words alone.
    """
    logits = space.logit_scale * space.background_cosines
    own = np.exp(logits - space.background_scores[0])
    highest = own.max(axis=1)
    return VocabularyCoverage(int((highest / (1 + highest) >= LEAST_COVERAGE).sum()), len(highest))

"""A concept and the probes in, how surely any probe shows the concept out.

A hub only knows how its models answer its probes. If no probe shows a concept, its hits rest on
pictures that merely resemble it, and the user is told so.
"""

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
        "in other words, or make a hub whose probes show it"
    )

"""Stage 4g of hub search: a concept and the probes → how surely any probe shows it.

A hub only knows how its models answer its probes. Where none of them shows the concept, its hits
rest on pictures that merely resemble it, and the user is told.
"""

import numpy as np
from jaxtyping import Float32

from lagotto.hub.query.probe_weights import ProbeSpace, weigh_texts

COVERED = 0.1
"""Coverage below which the probes hardly show a concept; chosen in docs/results.md."""


def coverage(space: ProbeSpace, concept: Float32[np.ndarray, " dim"]) -> float:
    """The highest posterior of the concept, among the background words, on any probe.

    `concept` is the unit embedding of its prompt. 1/2 is full coverage of a concept that is a word
    of the background itself, for it then stands twice.
    """
    return float(weigh_texts(space, concept[None])[1][0])


def coverage_note(text: str, covered: float) -> str | None:
    """What to tell the user of a concept that the probes hardly show; None if they do."""
    if covered >= COVERED:
        return None
    return (
        f"no probe of this hub clearly shows {text!r} (the surest does so with probability "
        f"{covered:.2f}), so the hits rest on pictures that resemble it; ask with --image, in "
        "other words, or make a hub whose probes show it"
    )

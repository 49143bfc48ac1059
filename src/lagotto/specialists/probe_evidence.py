"""What a model answered on the hub's probes → what that says of a set of labels, once for a query.

The user's pictures grow as they are looked at; the probes do not. What a model says of them is
kept here, so that matching it again with more pictures costs no second look at its responses.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.vectors import softmax
from lagotto.specialists.model_runs import finite


@dataclass(frozen=True, slots=True)
class View:
    """Label logits of some pictures by the encoder, each label's mean over them taken off.

    What an encoder thinks of a label in general says nothing about a picture.
    """

    logits: Float64[np.ndarray, "pictures labels"]

    @classmethod
    def of(cls, logits: Float64[np.ndarray, "pictures labels"]) -> "View":
        """The view that plain logits (scale x cosine) give."""
        return cls(logits - logits.mean(axis=0))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A model's raw responses on the probes that it saw, and what the encoder says of those.

    `norms` are the logarithms of the sums that turn a probe's responses into shares, `excess` what
    the function of that name makes of all of them.
    """

    responses: Float32[np.ndarray, "seen outputs"]
    seen: View
    norms: Float64[np.ndarray, " seen"]
    excess: Float64[np.ndarray, "labels outputs"]

    @classmethod
    def of(
        cls,
        responses: Float32[np.ndarray, "seen outputs"],
        probed: View,
        probes: Int64[np.ndarray, " seen"] | None = None,
    ) -> "Behaviour":
        """Of responses on `probes`, one row for each; None: on all that the encoder was shown."""
        seen = probed if probes is None else View.of(probed.logits[probes])
        answers = finite(responses)
        shares = softmax(answers)
        norms = answers.max(axis=1) - np.log(shares.max(axis=1))
        return cls(responses, seen, norms, excess(softmax(seen.logits), shares))

    def answers(self, outputs: Int64[np.ndarray, " chosen"]) -> Float64[np.ndarray, "seen chosen"]:
        """The logits of some outputs, all finite."""
        return finite(self.responses[:, outputs])

    def shares(self, outputs: Int64[np.ndarray, " chosen"]) -> Float64[np.ndarray, "seen chosen"]:
        """The softmaxed logits of some outputs; the others have what is left."""
        return np.asarray(np.exp(self.answers(outputs) - self.norms[:, None]))


def excess(
    view: Float64[np.ndarray, "pictures labels"], shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "labels outputs"]:
    """By how much the share of each output goes up where each label is likely, in pictures: the
    first-order gain in log likelihood if the output is that label."""
    usual = np.maximum(view.mean(axis=0), 1e-12)
    return np.asarray((view / usual - 1).T @ shares)

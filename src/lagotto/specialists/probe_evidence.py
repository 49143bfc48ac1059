"""A model's responses to the hub's probes come in; evidence about a set of labels goes out.

The evidence depends on the probes alone, not on the user's pictures. It is computed once a model
and query, and reused each time the model is matched on more pictures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.vectors import softmax
from lagotto.specialists.model_runs import replace_nonfinite


@dataclass(frozen=True, slots=True)
class EncoderView:
    """Label logits of some pictures by the encoder, centred: each label's mean is subtracted.

    The mean logit of a label over all pictures carries no information about a single picture.
    """

    logits: Float64[np.ndarray, "pictures labels"]

    @classmethod
    def of(cls, logits: Float64[np.ndarray, "pictures labels"]) -> "EncoderView":
        """Centres plain logits (scale x cosine)."""
        return cls(logits - logits.mean(axis=0))


@dataclass(frozen=True, slots=True)
class ProbeEvidence:
    """A model's raw responses to the probes that it answered, and the encoder's view of those.

    `log_normalizers` are the log-sum-exp of each probe's responses. `first_order_gain` is that
    function's value for the encoder's view and the softmaxed responses.
    """

    responses: Float32[np.ndarray, "seen outputs"]
    view: EncoderView
    log_normalizers: Float64[np.ndarray, " seen"]
    first_order_gain: Float64[np.ndarray, "labels outputs"]

    @classmethod
    def of(
        cls,
        responses: Float32[np.ndarray, "seen outputs"],
        probe_view: EncoderView,
        probes: Int64[np.ndarray, " seen"] | None = None,
    ) -> "ProbeEvidence":
        """The evidence of one model.

        Args:
            responses: Raw responses, one row a probe that the model answered.
            probe_view: The encoder's view of all probes.
            probes: The probe of each row; None if the model answered all probes, in order.
        """
        view = probe_view if probes is None else EncoderView.of(probe_view.logits[probes])
        logits = replace_nonfinite(responses)
        shares = softmax(logits)
        log_normalizers = logits.max(axis=1) - np.log(shares.max(axis=1))
        return cls(responses, view, log_normalizers, first_order_gain(softmax(view.logits), shares))

    def logits(self, outputs: Int64[np.ndarray, " some"]) -> Float64[np.ndarray, "seen some"]:
        """The logits of some outputs, all finite."""
        return replace_nonfinite(self.responses[:, outputs])

    def shares(self, outputs: Int64[np.ndarray, " some"]) -> Float64[np.ndarray, "seen some"]:
        """The softmaxed logits of some outputs; the softmax is over all outputs."""
        return np.asarray(np.exp(self.logits(outputs) - self.log_normalizers[:, None]))


def first_order_gain(
    posterior: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
) -> Float64[np.ndarray, "labels outputs"]:
    """The gain in log-likelihood, to first order in the weight, if an output is a label.

    Args:
        posterior: The encoder's label probabilities for each picture.
        shares: The model's softmaxed logits for each picture.

    Returns:
        For each label and output, the sum over pictures of share times (posterior / prior - 1).
    """
    prior = np.maximum(posterior.mean(axis=0), 1e-12)
    return np.asarray((posterior / prior - 1).T @ shares)

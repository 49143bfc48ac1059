"""How well names fit the outputs of a model: text evidence × responses → corrected scores.

Describing a model, auditing its labels and covering a label set all read this one matrix. A plain
score has hubs on both sides: words that fit any output, and outputs that any word fits. So a score
is counted in standard deviations, first of an output's scores over common words, then of a name's
over outputs of many models.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from lagotto.core.zscore import float64_moments, zscore
from lagotto.hub.query.probe_weights import ProbeSpace

_SURE_NAMES = 2.0
_SURE_OUTPUTS = 1.5
"""How steeply a probe's weight grows with a name's, or an output's, standard deviations there."""


_OUTPUTS_CENTRED = 5


@dataclass(frozen=True, slots=True)
class TextEvidence:
    """Where on the probes the encoder sees each name: log posteriors, standardised by name.

    `weights` are the shares of the probes in a name's evidence; a row sums to 1.
    """

    standing: Float32[np.ndarray, "names probes"]
    weights: Float32[np.ndarray, "names probes"]


def text_evidence(space: ProbeSpace, concepts: Float[np.ndarray, "names dim"]) -> TextEvidence:
    """The posterior of each name on each probe, against common words, as evidence.

    `concepts` are unit embeddings of prompts. A probe speaks for a name where the encoder prefers
    the name to the words of the background, not where the cosine is high: for some names it is
    high on any probe.
    """
    posterior = space.log_posterior(concepts)
    standing = zscore(posterior, *float64_moments(posterior, axis=1))
    steep = _SURE_NAMES * standing
    weights = np.exp(steep - steep.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return TextEvidence(standing, weights)


def standardized_responses(
    responses: Float[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """Responses minus their mean over the outputs of each probe, standardised by output.

    The mean over the outputs is what a probe raises in all of them, which a softmax ignores; with
    fewer than five it would be the answer itself for the most part, and stays. Flawed outputs
    (constant, or not finite anywhere) become zeros.
    """
    wide = responses.astype(np.float64)
    flawed = ~np.isfinite(wide).all(axis=0)
    wide[:, flawed] = 0.0
    noise = 4 * float(np.finfo(np.float32).eps) * np.abs(wide).max(axis=0, initial=0.0)
    flawed |= wide.std(axis=0) <= noise
    if (~flawed).sum() >= _OUTPUTS_CENTRED:
        wide -= wide[:, ~flawed].mean(axis=1, keepdims=True)
    wide -= wide.mean(axis=0)
    spread = wide.std(axis=0)
    flawed |= spread <= noise
    wide[:, flawed] = 0.0
    return (wide / np.where(flawed, 1.0, spread)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Reference:
    """What scores are measured against: common words, and outputs of many models."""

    words: TextEvidence
    outputs: Float32[np.ndarray, "probes outputs"]


def fit(
    names: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    reference: Reference,
) -> Float32[np.ndarray, "names logits"]:
    """How well each name fits each output, in standard deviations above what is usual for both.

    Two readings are averaged: the outputs' responses on the name's own probes, and the name's
    standing on the output's own probes.
    """
    total = np.zeros((len(names.standing), standardized.shape[1]), np.float32)
    for reading in (_on_names_probes, _on_outputs_probes):
        words = float64_moments(reading(reference.words, standardized), axis=0)
        here = zscore(reading(names, standardized), *words)
        elsewhere = here
        if reference.outputs is not standardized:
            words = float64_moments(reading(reference.words, reference.outputs), axis=0)
            elsewhere = zscore(reading(names, reference.outputs), *words)
        total += zscore(here, *float64_moments(elsewhere, axis=1))
    return total / 2


def _on_names_probes(
    names: TextEvidence, standardized: Float32[np.ndarray, "probes logits"]
) -> Float32[np.ndarray, "names logits"]:
    return np.asarray(names.weights @ standardized)


def _on_outputs_probes(
    names: TextEvidence, standardized: Float32[np.ndarray, "probes logits"]
) -> Float32[np.ndarray, "names logits"]:
    shares = np.exp(_SURE_OUTPUTS * (standardized - standardized.max(axis=0)))
    return np.asarray(names.standing @ (shares / shares.sum(axis=0)))

"""Names and a model's responses in, how well each name fits each output out.

Describing a model, auditing its labels and covering a label set all read this one matrix. Plain
scores have hubs on both sides: some words fit any output, and any word fits some outputs. So scores
become z-scores twice: over common words for each output, then over the outputs of many models for
each name.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32

from lagotto.core.zscore import ROUNDINGS, float64_moments, zscore
from lagotto.hub.query.probe_weights import ProbeSpace

_SURE_NAMES = 2.0
_SURE_OUTPUTS = 1.5
"""How steeply a probe's weight grows with a name's, or an output's, standard deviations there."""


_OUTPUTS_CENTRED = 5


@dataclass(frozen=True, slots=True)
class TextEvidence:
    """Where on the probes the encoder sees each name.

    Attributes:
        zscores: log posteriors of the names on the probes, standardized by name.
        weights: the share of each probe in a name's evidence; a row sums to 1.
    """

    zscores: Float32[np.ndarray, "names probes"]
    weights: Float32[np.ndarray, "names probes"]


def text_evidence(space: ProbeSpace, concepts: Float[np.ndarray, "names dim"]) -> TextEvidence:
    """The posterior of each name on each probe, against common words, as evidence.

    A probe is evidence for a name if the encoder prefers the name to the background words there. A
    high cosine alone is none: some names have it on any probe.

    Args:
        space: the probes and the background words in the encoder's space.
        concepts: unit embeddings of the names' prompts, [names, dim].
    """
    posterior = space.log_posterior(concepts)
    zscores = zscore(posterior, *float64_moments(posterior, axis=1))
    steep = _SURE_NAMES * zscores
    weights = np.exp(steep - steep.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return TextEvidence(zscores, weights)


def standardized_responses(
    responses: Float[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """Responses minus their mean over the outputs of each probe, standardized by output.

    The mean over the outputs is what a probe raises in all of them, which a softmax ignores. Of
    fewer than five outputs it would be most of the answer itself, and is kept. Invalid outputs
    (constant, or not finite somewhere) become zeros.
    """
    wide = responses.astype(np.float64)
    invalid = ~np.isfinite(wide).all(axis=0)
    wide[:, invalid] = 0.0
    noise = ROUNDINGS * float(np.finfo(np.float32).eps) * np.abs(wide).max(axis=0, initial=0.0)
    invalid |= wide.std(axis=0) <= noise
    if (~invalid).sum() >= _OUTPUTS_CENTRED:
        wide -= wide[:, ~invalid].mean(axis=1, keepdims=True)
    wide -= wide.mean(axis=0)
    spread = wide.std(axis=0)
    invalid |= spread <= noise
    wide[:, invalid] = 0.0
    return (wide / np.where(invalid, 1.0, spread)).astype(np.float32)


class OutputPool:
    """Outputs of some models of a hub, that names are scored on in every fit to one of its models.

    What all names and all models share is computed once: the weight of each probe in each output,
    the moments of the common words there, and the words' own scores.
    """

    def __init__(self, words: TextEvidence, outputs: Float32[np.ndarray, "probes outputs"]) -> None:
        self._words = words
        self._outputs = outputs

    def scores(self, names: TextEvidence) -> "_Scores":
        """Both readings of names on the outputs, in standard deviations over the common words."""
        return self._word_scores if names is self._words else self._standardized(self._read(names))

    def _read(self, names: TextEvidence) -> "_Scores":
        on_names = np.asarray(names.weights @ self._outputs)
        return on_names, np.asarray(names.zscores @ self._probe_shares)

    def _standardized(self, scores: "_Scores") -> "_Scores":
        on_names, on_outputs = (
            zscore(raw, *moments) for raw, moments in zip(scores, self._word_moments, strict=True)
        )
        return on_names, on_outputs

    @cached_property
    def _probe_shares(self) -> Float32[np.ndarray, "probes outputs"]:
        return _probe_shares(self._outputs)

    @cached_property
    def _word_readings(self) -> "_Scores":
        return self._read(self._words)

    @cached_property
    def _word_moments(self) -> "tuple[_Moments, _Moments]":
        on_names, on_outputs = self._word_readings
        return float64_moments(on_names, axis=0), float64_moments(on_outputs, axis=0)

    @cached_property
    def _word_scores(self) -> "_Scores":
        return self._standardized(self._word_readings)


@dataclass(frozen=True)
class Reference:
    """What scores are measured against: common words, and outputs of many models.

    `outputs` are a model's own; `columns` of the `pool` are outputs of other models, None for none.
    """

    words: TextEvidence
    outputs: Float32[np.ndarray, "probes outputs"]
    pool: OutputPool | None = None
    columns: Bool[np.ndarray, " pooled"] | None = None

    @cached_property
    def own(self) -> OutputPool:
        """The model's own outputs, for every set of names that is fitted to them."""
        return OutputPool(self.words, self.outputs)


def fit(
    names: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    reference: Reference,
) -> Float32[np.ndarray, "names logits"]:
    """How well each name fits each output, in standard deviations above what is usual for both.

    Two readings are averaged: the outputs' responses on the name's own probes, and the name's
    z-scores on the output's own probes.

    Args:
        names: the names' evidence on the probes.
        standardized: the model's responses, as `standardized_responses` gives them.
        reference: the words and the outputs that scores are measured against.

    Returns:
        The fits, [names, logits]; 0 is what is usual.
    """
    scores = compared = reference.own.scores(names)
    if reference.outputs is not standardized:
        scores = OutputPool(reference.words, standardized).scores(names)
    pooled = None if reference.pool is None else reference.pool.scores(names)
    total = np.zeros((len(names.zscores), standardized.shape[1]), np.float32)
    for reading in range(2):
        over = compared[reading]
        if pooled is not None:
            over = np.concatenate([over, pooled[reading][:, reference.columns]], axis=1)
        total += zscore(scores[reading], *float64_moments(over, axis=1))
    return total / 2


def _probe_shares(
    standardized: Float32[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """How much each probe counts for each output: most where its response is highest."""
    shares = np.exp(_SURE_OUTPUTS * (standardized - standardized.max(axis=0)))
    return np.asarray(shares / shares.sum(axis=0))


_Scores = tuple[Float32[np.ndarray, "names logits"], Float32[np.ndarray, "names logits"]]
"""Names on outputs by both readings: on the names' own probes, and on the outputs' own probes."""

_Moments = tuple[Float32[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]
"""Means and standard deviations, as `float64_moments` gives them."""

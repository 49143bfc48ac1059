"""How well names fit the outputs of a model: text evidence × responses → corrected scores.

Describing a model, auditing its labels and covering a label set all read this one matrix. A plain
score has hubs on both sides: words that fit any output, and outputs that any word fits. So a score
is counted in standard deviations, first of an output's scores over common words, then of a name's
over outputs of many models.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

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
    standing = _standardize_rows(space.log_posterior(concepts))
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
        return on_names, np.asarray(names.standing @ self._probe_shares)

    def _standardized(self, scores: "_Scores") -> "_Scores":
        on_names, on_outputs = map(_apply, scores, self._word_moments)
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
        return _moments(on_names, axis=0), _moments(on_outputs, axis=0)

    @cached_property
    def _word_scores(self) -> "_Scores":
        return self._standardized(self._word_readings)


@dataclass(frozen=True, slots=True)
class Reference:
    """What scores are measured against: common words, and outputs of many models.

    `outputs` are a model's own; `columns` of the `pool` are outputs of other models, None for none.
    """

    words: TextEvidence
    outputs: Float32[np.ndarray, "probes outputs"]
    pool: OutputPool | None = None
    columns: Bool[np.ndarray, " pooled"] | None = None


def fit(
    names: TextEvidence,
    standardized: Float32[np.ndarray, "probes logits"],
    reference: Reference,
) -> Float32[np.ndarray, "names logits"]:
    """How well each name fits each output, in standard deviations above what is usual for both.

    Two readings are averaged: the outputs' responses on the name's own probes, and the name's
    standing on the output's own probes.
    """
    scores = OutputPool(reference.words, standardized).scores(names)
    compared = scores
    if reference.outputs is not standardized:
        compared = OutputPool(reference.words, reference.outputs).scores(names)
    pooled = None if reference.pool is None else reference.pool.scores(names)
    total = np.zeros((len(names.standing), standardized.shape[1]), np.float32)
    for reading in range(2):
        usual = compared[reading]
        if pooled is not None:
            usual = np.concatenate([usual, pooled[reading][:, reference.columns]], axis=1)
        total += _apply(scores[reading], _moments(usual, axis=1))
    return total / 2


def _probe_shares(
    standardized: Float32[np.ndarray, "probes logits"],
) -> Float32[np.ndarray, "probes logits"]:
    """How much each probe counts for each output: most where its response is highest."""
    shares = np.exp(_SURE_OUTPUTS * (standardized - standardized.max(axis=0)))
    return np.asarray(shares / shares.sum(axis=0))


_Scores = tuple[Float32[np.ndarray, "names logits"], Float32[np.ndarray, "names logits"]]
"""Names on outputs by both readings: on the names' own probes, and on the outputs' own probes."""

_Moments = tuple[Float64[np.ndarray, "one many"], Float64[np.ndarray, "one many"]]


def _moments(scores: Float[np.ndarray, "names logits"], axis: int) -> _Moments:
    """Mean and standard deviation along an axis, which is kept; a spread of zero becomes one."""
    mean = scores.mean(axis=axis, keepdims=True, dtype=np.float64)
    spread = scores.std(axis=axis, keepdims=True, dtype=np.float64)
    return mean, np.where(spread > 1e-9, spread, 1.0)


def _apply(
    scores: Float[np.ndarray, "names logits"], moments: _Moments
) -> Float32[np.ndarray, "names logits"]:
    mean, spread = moments
    return ((scores - mean.astype(np.float32)) / spread.astype(np.float32)).astype(np.float32)


def _standardize_rows(
    values: Float[np.ndarray, "names probes"],
) -> Float32[np.ndarray, "names probes"]:
    return _apply(values.astype(np.float32), _moments(values, axis=1))

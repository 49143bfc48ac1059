"""Labels and models come in; which output of a model is which label, with the evidence, goes out.

There are three kinds of evidence; none needs a labelled picture. First, the user's pictures, seen
by encoder and model. Second, the hub's probes, for which the hub stores the model's responses.
Third, published names, unless the pictures contradict them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import VoteFit, fit_votes, information
from lagotto.specialists.probe_evidence import (
    EncoderView,
    ProbeEvidence,
    first_order_gain,
)

MIN_NAME_AGREEMENT = 0.5
"""A list of published names is accepted if the agreement of the outputs that it gives to labels is
at least this share of the agreement of the best assignment."""

MIN_AGREEING_LISTS = 0.5
"""No list of names is accepted unless this share of the lists that name a label is accepted."""

MIN_INFORMATION, MIN_INFORMATION_NAMED = 0.25, 0.1
"""The share of the encoder's information that a model of all labels must explain, above chance; the
second value applies if accepted names cover all labels."""

MIN_LABEL_SHARE = 0.5
"""The mean share of the labels' outputs in all outputs, for a model of all labels."""

MIN_LABEL_AGREEMENT, MIN_AGREEING_LABELS = 0.1, 0.5
"""A model of all labels has at least the first agreement on at least the second share of them."""

MIN_PAIR_AGREEMENT, MIN_NAMED_PAIR_AGREEMENT, MIN_PAIR_PROBE_CORRELATION = 0.25, 0.15, 0.2
"""A single label is matched if its output has the first agreement on the pictures and the third
correlation on the probes; with an accepted name the second agreement suffices."""

MIN_LOG_LIKELIHOOD_GAIN = 5.0
"""The gain in nats, over all pictures, that a match must reach."""

PERMUTATIONS = 3
"""Random orders of the pictures that estimate what a model explains by chance."""

_PROBE_TEMPERATURES = (1.0, 0.5)
_FORCED_SCORE = 1e6


@dataclass(frozen=True, slots=True)
class SpecialistCandidate:
    """A model of the hub: its logits on the user's pictures and its evidence on the probes.

    `named_outputs` has the output that names give to each label, or -1. The names are those that
    the model publishes; or all are `borrowed`: labels of other models, whose outputs behave alike.
    """

    model: str
    logits: Float64[np.ndarray, "pictures outputs"]
    probe_evidence: ProbeEvidence
    named_outputs: Int64[np.ndarray, " labels"]
    borrowed: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The labels that a model knows, and the evidence.

    `explained_information` is the share of the encoder's information that the model explains;
    `explainable_information` is the share under the best-fitting outputs, ignoring names.
    `agreement` (-1 to 1, on the pictures) and `probe_correlation` have one value a label, nan for
    a label that the model does not know. `named_labels` are the labels whose output is published
    under their name. `name_agreement` is how far the pictures agree with the published names,
    relative to the best assignment (nan if no published name matches a label).
    """

    model: str
    fit: VoteFit
    covers_all_labels: bool
    explained_information: float
    explainable_information: float
    agreement: Float64[np.ndarray, " labels"]
    probe_correlation: Float64[np.ndarray, " labels"]
    named_labels: tuple[int, ...]
    name_agreement: float


def match_all(candidates: Sequence[SpecialistCandidate], view: EncoderView) -> list[Match]:
    """Matches each model with the labels; models without a reliable match are left out.

    If the pictures contradict most of the lists that name a label, all names are ignored. Borrowed
    names are not counted beside published ones: they would count a list as often as it was lent.
    """
    agreements = [_name_agreement(candidate, view) for candidate in candidates]
    named = [not np.isnan(agreement) for agreement in agreements]
    own = [
        has_name and not candidate.borrowed
        for has_name, candidate in zip(named, candidates, strict=True)
    ]
    published = list(compress(agreements, own if any(own) else named))
    agreeing = sum(agreement >= MIN_NAME_AGREEMENT for agreement in published)
    behaviour_only = not published or agreeing < MIN_AGREEING_LISTS * len(published)
    matches = [match(candidate, view, behaviour_only=behaviour_only) for candidate in candidates]
    return [item for item in matches if item is not None]


def _name_agreement(candidate: SpecialistCandidate, view: EncoderView) -> float:
    """The relative agreement of a model's published names with the pictures; nan without names."""
    if (candidate.named_outputs < 0).all():
        return float("nan")
    table = label_output_agreement(softmax(view.logits), softmax(candidate.logits))
    return _accepted_names(candidate.named_outputs, table)[1]


def match(
    candidate: SpecialistCandidate, view: EncoderView, *, behaviour_only: bool = False
) -> Match | None:
    """Matches a model with the labels.

    Args:
        candidate: The model.
        view: The encoder's view of the pictures.
        behaviour_only: Compare published names, but do not use them.

    Returns:
        The match; None if the model knows no label reliably.
    """
    shares = softmax(candidate.logits)
    table = label_output_agreement(softmax(view.logits), shares)
    fixed, name_agreement = _accepted_names(candidate.named_outputs, table)
    if behaviour_only:
        fixed = np.full_like(fixed, -1)
    outputs, fit = _best_outputs(candidate.probe_evidence, shares, view, fixed)
    known = np.flatnonzero(outputs >= 0)
    agreement = np.full(len(outputs), np.nan)
    agreement[known] = table[known, outputs[known]]
    probe_correlation = _probe_correlations(candidate.probe_evidence, outputs)
    scale = len(shares) * max(information(softmax(view.logits)), 1e-9)
    explainable = fit.log_likelihood_gain / scale
    if (fixed >= 0).any():
        free = _best_outputs(candidate.probe_evidence, shares, view, np.full_like(fixed, -1))
        explainable = max(explainable, free[1].log_likelihood_gain / scale)
    complete = (
        _covers_all_labels(outputs, fixed, agreement, shares)
        and fit.log_likelihood_gain >= MIN_LOG_LIKELIHOOD_GAIN
    )
    named = fixed >= 0
    if complete:
        chance = _gain_by_chance(shares, view, fixed) / scale
        minimum = MIN_INFORMATION_NAMED if named.all() else MIN_INFORMATION
        complete = fit.log_likelihood_gain / scale - chance >= minimum * (1 - chance)
    if complete:
        accepted = outputs
    else:
        enough = (named & (agreement >= MIN_NAMED_PAIR_AGREEMENT)) | (
            (agreement >= MIN_PAIR_AGREEMENT) & (probe_correlation >= MIN_PAIR_PROBE_CORRELATION)
        )
        accepted = np.where(enough, outputs, -1)
        if not enough.any():
            return None
        fit = fit_votes(view.logits, shares, accepted)
        if fit.log_likelihood_gain < MIN_LOG_LIKELIHOOD_GAIN:
            return None
    known_labels = accepted >= 0
    return Match(
        candidate.model,
        fit,
        complete,
        fit.log_likelihood_gain / scale,
        explainable,
        np.where(known_labels, agreement, np.nan),
        np.where(known_labels, probe_correlation, np.nan),
        tuple(np.flatnonzero(named & known_labels).tolist()),
        name_agreement,
    )


def label_output_agreement(
    posterior: Float64[np.ndarray, "pictures labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
) -> Float64[np.ndarray, "labels outputs"]:
    """The agreement of each label with each output over the pictures, at most 1.

    It is Dice's coefficient, corrected for chance like Cohen's kappa: 1 if label and output have
    equal probabilities on all pictures, 0 if they are independent.

    Args:
        posterior: The encoder's label probabilities for each picture.
        shares: The model's softmaxed logits for each picture.
    """
    both = posterior.T @ shares / len(posterior)
    label, output = posterior.mean(axis=0)[:, None], shares.mean(axis=0)[None]
    total = np.maximum(label + output, 1e-12)
    chance = 2 * label * output / total
    return np.asarray((2 * both / total - chance) / np.maximum(1 - chance, 1e-12))


def _accepted_names(
    outputs: Int64[np.ndarray, " labels"], table: Float64[np.ndarray, "labels outputs"]
) -> tuple[Int64[np.ndarray, " labels"], float]:
    """(outputs, relative agreement): the outputs that names give to labels, all -1 if the pictures
    contradict the list."""
    no_outputs = np.full_like(outputs, -1)
    rows = np.flatnonzero(outputs >= 0)
    if not len(rows):
        return no_outputs, float("nan")
    named_agreement = float(table[rows, outputs[rows]].sum())
    best = best_assignment(table[rows])
    best_agreement = float(table[rows, best].clip(min=0)[best >= 0].sum())
    relative_agreement = named_agreement / max(best_agreement, 1e-9)
    is_accepted = named_agreement > 0 and relative_agreement >= MIN_NAME_AGREEMENT
    return (outputs if is_accepted else no_outputs), relative_agreement


def _best_outputs(
    evidence: ProbeEvidence,
    shares: Float64[np.ndarray, "pictures outputs"],
    view: EncoderView,
    fixed: Int64[np.ndarray, " labels"],
) -> tuple[Int64[np.ndarray, " labels"], VoteFit]:
    """The assignment of outputs to labels with the highest gain on pictures and probes.

    Two are tried: the best by the pictures alone, and the best by pictures and probes. `fixed` has
    the outputs of labels that are not free, -1 for the free ones.
    """
    by_pictures = first_order_gain(softmax(view.logits), shares)
    best: tuple[float, Int64[np.ndarray, " labels"], VoteFit] | None = None
    for scores in (by_pictures, by_pictures + evidence.first_order_gain):
        outputs = best_assignment(_force_outputs(scores, fixed))
        fit = fit_votes(view.logits, shares, outputs)
        gain = fit.log_likelihood_gain + _gain_on_probes(evidence, outputs)
        if best is None or gain > best[0]:
            best = gain, outputs, fit
    assert best is not None
    return best[1], best[2]


def _gain_on_probes(evidence: ProbeEvidence, outputs: Int64[np.ndarray, " labels"]) -> float:
    known = np.flatnonzero(outputs >= 0)
    columns = np.full_like(outputs, -1)
    columns[known] = np.arange(len(known))
    shares = evidence.shares(outputs[known])
    return fit_votes(evidence.view.logits, shares, columns, _PROBE_TEMPERATURES).log_likelihood_gain


def _gain_by_chance(
    shares: Float64[np.ndarray, "pictures outputs"],
    view: EncoderView,
    fixed: Int64[np.ndarray, " labels"],
) -> float:
    """The mean log-likelihood gain, in nats, if the answers are assigned to random pictures.

    It is large if there are few pictures and many outputs to choose from.
    """
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(PERMUTATIONS):
        shuffled = shares[rng.permutation(len(shares))]
        scores = first_order_gain(softmax(view.logits), shuffled)
        outputs = best_assignment(_force_outputs(scores, fixed))
        fit = fit_votes(view.logits, shuffled, outputs, _PROBE_TEMPERATURES)
        gains.append(fit.log_likelihood_gain)
    return float(np.mean(gains))


def _force_outputs(
    scores: Float64[np.ndarray, "labels outputs"], fixed: Int64[np.ndarray, " labels"]
) -> Float64[np.ndarray, "labels outputs"]:
    """The scores, changed so that the best assignment gives each fixed label its output."""
    rows = np.flatnonzero(fixed >= 0)
    if not len(rows):
        return scores
    forced = scores.copy()
    forced[rows] = -_FORCED_SCORE
    forced[:, fixed[rows]] = -_FORCED_SCORE
    forced[rows, fixed[rows]] = _FORCED_SCORE
    return forced


def _probe_correlations(
    evidence: ProbeEvidence, outputs: Int64[np.ndarray, " labels"]
) -> Float64[np.ndarray, " labels"]:
    """The correlation over the probes of each known label's logit with its output's."""
    correlations = np.full(len(outputs), np.nan)
    known = np.flatnonzero(outputs >= 0)
    output_logits = evidence.logits(outputs[known])
    output_logits = output_logits - output_logits.mean(axis=0)
    logits = evidence.view.logits
    label_logits = logits[:, known] - logits[:, known].mean(axis=0)
    spread = np.sqrt((output_logits**2).sum(axis=0) * (label_logits**2).sum(axis=0))
    correlations[known] = (output_logits * label_logits).sum(axis=0) / np.maximum(spread, 1e-12)
    return correlations


def _covers_all_labels(
    outputs: Int64[np.ndarray, " labels"],
    fixed: Int64[np.ndarray, " labels"],
    agreement: Float64[np.ndarray, " labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
) -> bool:
    """Whether the model knows every label, and gives little share to other outputs."""
    if (outputs < 0).any() or float(shares[:, outputs].sum(axis=1).mean()) < MIN_LABEL_SHARE:
        return False
    return bool(
        (fixed >= 0).all() or (agreement > MIN_LABEL_AGREEMENT).mean() >= MIN_AGREEING_LABELS
    )

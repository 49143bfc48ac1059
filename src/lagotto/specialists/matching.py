"""Labels and a model → which output is which label, and what speaks for it.

Three kinds of evidence, all without a label: the user's pictures, seen by encoder and model; the
hub's probes, of which the hub keeps the model's responses; and published names, as far as the
pictures do not contradict them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.likelihood import VoteFit, fit_votes, information
from lagotto.specialists.probe_evidence import (
    Behaviour,
    View,
    excess,
)

NAMES_AGREE = 0.5
"""Published names are believed if the pictures agree with them at least this much, relative to
the outputs that they agree with most."""

LISTS_AGREE = 0.5
"""No published names are believed unless that part of the lists that name a label agree."""

WHOLE_AGREES, WHOLE_NAMED_AGREES = 0.25, 0.1
"""What a model of all labels must explain of the encoder's view, of what chance leaves to explain;
less if names say the same."""

WHOLE_SHARE = 0.5
"""What a model of all labels must say of them, of all that it says."""

SEEN, SEEN_BY_MOST = 0.1, 0.5
"""A model of all labels agrees by SEEN on at least that part of them."""

PAIR_AGREES, NAMED_PAIR_AGREES, PAIR_ON_PROBES = 0.25, 0.15, 0.2
"""A single label is believed if its output agrees by so much on the pictures, and correlates by
so much on the probes; if the names say it too, a lower agreement will do."""

FEWEST_LOG_GAIN = 5.0

PERMUTATIONS = 3
"""How often the pictures are put in another order to see what chance explains."""

_PROBE_TEMPERS = (1.0, 0.5)
_SURE = 1e6


@dataclass(frozen=True, slots=True)
class SpecialistCandidate:
    """A model of the hub: its logits on the user's pictures, how it behaves on the probes, and the
    output that its published names give to each label, -1 where they give none."""

    model: str
    logits: Float64[np.ndarray, "pictures outputs"]
    behaviour: Behaviour
    named: Int64[np.ndarray, " labels"]


@dataclass(frozen=True, slots=True)
class Match:
    """A model and what was found of it. `whole`: it knows all labels.

    `explains` is the share of the encoder's information that it explains, `could_explain` what it
    would under the outputs that fit best, whatever names say. `agreement` (-1 to 1) and `on_probes`
    (a correlation) have one value a label, nan where it knows none. `named` are labels whose output
    is published under their name, `names_agree` how far the pictures agree with published names
    (nan: none was published, or none fits).
    """

    model: str
    fit: VoteFit
    whole: bool
    explains: float
    could_explain: float
    agreement: Float64[np.ndarray, " labels"]
    on_probes: Float64[np.ndarray, " labels"]
    named: tuple[int, ...]
    names_agree: float


def match_all(candidates: Sequence[SpecialistCandidate], seen: View) -> list[Match]:
    """What each model knows of the labels, those left out that know nothing that can be believed.

    Where behaviour contradicts most of the lists that name a label, no list is believed.
    """
    lists = [_names_agree(each, seen) for each in candidates]
    said = [agree for agree in lists if not np.isnan(agree)]
    agreeing = sum(agree >= NAMES_AGREE for agree in said)
    behaviour_only = not said or agreeing < LISTS_AGREE * len(said)
    found = (match(each, seen, behaviour_only=behaviour_only) for each in candidates)
    return [each for each in found if each is not None]


def _names_agree(candidate: SpecialistCandidate, seen: View) -> float:
    """How far a model's published names agree with the pictures; nan if they name no label."""
    if (candidate.named < 0).all():
        return float("nan")
    table = view_agreement(softmax(seen.logits), softmax(candidate.logits))
    return _believed_names(candidate.named, table)[1]


def match(
    candidate: SpecialistCandidate, seen: View, *, behaviour_only: bool = False
) -> Match | None:
    """What the model knows of the labels; None if nothing that can be believed.

    With `behaviour_only` published names are compared, not believed.
    """
    shares = softmax(candidate.logits)
    table = view_agreement(softmax(seen.logits), shares)
    fixed, names_agree = _believed_names(candidate.named, table)
    if behaviour_only:
        fixed = np.full_like(fixed, -1)
    outputs, fit = _best_outputs(candidate.behaviour, shares, seen, fixed)
    known = np.flatnonzero(outputs >= 0)
    pairs = np.full(len(outputs), np.nan)
    pairs[known] = table[known, outputs[known]]
    on_probes = _correlations(candidate.behaviour, outputs)
    scale = len(shares) * max(information(softmax(seen.logits)), 1e-9)
    best = fit.nats / scale
    if (fixed >= 0).any():
        free = _best_outputs(candidate.behaviour, shares, seen, np.full_like(fixed, -1))
        best = max(best, free[1].nats / scale)
    whole = _is_whole(outputs, fixed, pairs, shares) and fit.nats >= FEWEST_LOG_GAIN
    named = fixed >= 0
    if whole:
        chance = _by_chance(shares, seen, fixed) / scale
        least = WHOLE_NAMED_AGREES if named.all() else WHOLE_AGREES
        whole = fit.nats / scale - chance >= least * (1 - chance)
    if whole:
        kept = outputs
    else:
        enough = (named & (pairs >= NAMED_PAIR_AGREES)) | (
            (pairs >= PAIR_AGREES) & (on_probes >= PAIR_ON_PROBES)
        )
        kept = np.where(enough, outputs, -1)
        if not enough.any():
            return None
        fit = fit_votes(seen.logits, shares, kept)
        if fit.nats < FEWEST_LOG_GAIN:
            return None
    there = kept >= 0
    return Match(
        candidate.model,
        fit,
        whole,
        fit.nats / scale,
        best,
        np.where(there, pairs, np.nan),
        np.where(there, on_probes, np.nan),
        tuple(np.flatnonzero(named & there).tolist()),
        names_agree,
    )


def view_agreement(
    view: Float64[np.ndarray, "pictures labels"], shares: Float64[np.ndarray, "pictures outputs"]
) -> Float64[np.ndarray, "labels outputs"]:
    """How far each label and each output are said of the same pictures: Dice's coefficient of the
    two, corrected for chance as Cohen's kappa is: 1 for the same, 0 for no relation."""
    both = view.T @ shares / len(view)
    label, output = view.mean(axis=0)[:, None], shares.mean(axis=0)[None]
    total = np.maximum(label + output, 1e-12)
    chance = 2 * label * output / total
    return np.asarray((2 * both / total - chance) / np.maximum(1 - chance, 1e-12))


def _believed_names(
    outputs: Int64[np.ndarray, " labels"], table: Float64[np.ndarray, "labels outputs"]
) -> tuple[Int64[np.ndarray, " labels"], float]:
    """The outputs that names give to labels, none of them if the pictures contradict the list."""
    nothing = np.full_like(outputs, -1)
    rows = np.flatnonzero(outputs >= 0)
    if not len(rows):
        return nothing, float("nan")
    said = float(table[rows, outputs[rows]].sum())
    best = best_assignment(table[rows])
    most = float(table[rows, best].clip(min=0)[best >= 0].sum())
    agree = said / max(most, 1e-9)
    return (outputs if said > 0 and agree >= NAMES_AGREE else nothing), agree


def _best_outputs(
    behaviour: Behaviour,
    shares: Float64[np.ndarray, "pictures outputs"],
    seen: View,
    fixed: Int64[np.ndarray, " labels"],
) -> tuple[Int64[np.ndarray, " labels"], VoteFit]:
    """Of two assignments, by the pictures alone and by pictures and probes, the likelier on both.

    Labels that are `fixed` keep their outputs.
    """
    by_pictures = excess(softmax(seen.logits), shares)
    found: tuple[float, Int64[np.ndarray, " labels"], VoteFit] | None = None
    for scores in (by_pictures, by_pictures + behaviour.excess):
        outputs = best_assignment(_with_fixed(scores, fixed))
        fit = fit_votes(seen.logits, shares, outputs)
        nats = fit.nats + _nats_on_probes(behaviour, outputs)
        if found is None or nats > found[0]:
            found = nats, outputs, fit
    assert found is not None
    return found[1], found[2]


def _nats_on_probes(behaviour: Behaviour, outputs: Int64[np.ndarray, " labels"]) -> float:
    known = np.flatnonzero(outputs >= 0)
    columns = np.full_like(outputs, -1)
    columns[known] = np.arange(len(known))
    shares = behaviour.shares(outputs[known])
    return fit_votes(behaviour.seen.logits, shares, columns, _PROBE_TEMPERS).nats


def _by_chance(
    shares: Float64[np.ndarray, "pictures outputs"],
    seen: View,
    fixed: Int64[np.ndarray, " labels"],
) -> float:
    """The nats that the same answers explain if each is of another picture: many, if there are
    few pictures and many outputs to choose from."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(PERMUTATIONS):
        moved = shares[rng.permutation(len(shares))]
        outputs = best_assignment(_with_fixed(excess(softmax(seen.logits), moved), fixed))
        found.append(fit_votes(seen.logits, moved, outputs, _PROBE_TEMPERS).nats)
    return float(np.mean(found))


def _with_fixed(
    scores: Float64[np.ndarray, "labels outputs"], fixed: Int64[np.ndarray, " labels"]
) -> Float64[np.ndarray, "labels outputs"]:
    """The scores, so that an assignment must give each fixed label its output."""
    rows = np.flatnonzero(fixed >= 0)
    if not len(rows):
        return scores
    moved = scores.copy()
    moved[rows] = -_SURE
    moved[:, fixed[rows]] = -_SURE
    moved[rows, fixed[rows]] = _SURE
    return moved


def _correlations(
    behaviour: Behaviour, outputs: Int64[np.ndarray, " labels"]
) -> Float64[np.ndarray, " labels"]:
    """Of each known label's output with the label over the probes (descriptor and query)."""
    found = np.full(len(outputs), np.nan)
    known = np.flatnonzero(outputs >= 0)
    answers = behaviour.answers(outputs[known])
    answers = answers - answers.mean(axis=0)
    logits = behaviour.seen.logits
    asked = logits[:, known] - logits[:, known].mean(axis=0)
    spread = np.sqrt((answers**2).sum(axis=0) * (asked**2).sum(axis=0))
    found[known] = (answers * asked).sum(axis=0) / np.maximum(spread, 1e-12)
    return found


def _is_whole(
    outputs: Int64[np.ndarray, " labels"],
    fixed: Int64[np.ndarray, " labels"],
    pairs: Float64[np.ndarray, " labels"],
    shares: Float64[np.ndarray, "pictures outputs"],
) -> bool:
    """Whether the model knows every label, and speaks of little else."""
    if (outputs < 0).any() or float(shares[:, outputs].sum(axis=1).mean()) < WHOLE_SHARE:
        return False
    return bool((fixed >= 0).all() or (pairs > SEEN).mean() >= SEEN_BY_MOST)

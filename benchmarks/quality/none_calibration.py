r"""Other ways to calibrate P(none of these), beside the package's, on five labelled sets.

    python benchmarks/quality/none_calibration.py --assets DIR --hub HUB --cache DIR --store STORE \
        --json > benchmarks/results/quality_none_calibration.json

The draws, the errors and the halves are those of none_of_these.py, whose P(none) of pictures that
are asked together is the baseline. Each way comes in several strengths, and with log odds of none
taken off in favour of the labels. What has the smallest calibration error within a set on the even
half, among all that refuse at most 4 % of the pictures of full lists there, is reported on the odd
half; beside it what is best without that bar. All is fitted on the store; labels serve for scoring
only.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from isotonic_surface import Surface, fit_surface
from none_of_these import SETS, Draw, Set, auroc, calibration_error, draws, judge_of, plain_sets

import lagotto
from lagotto.core.vectors import softmax, unit_rows
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.rejection.agreement import AgreedEvidence
from lagotto.zeroshot.rejection.batch_curve import BatchCurve
from lagotto.zeroshot.rejection.evidence import evidence_against, rival_directions
from lagotto.zeroshot.rejection.logistic import fit_weights, probability
from lagotto.zeroshot.rejection.store_pictures import StorePictures
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary, open_vocabulary
from provenance import provenance
from quality.specialist_data import store_options

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.9)
LISTS = 600
PICTURES = 40
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
BENEFITS = (-0.1, 0.0, 0.1, 0.2, 0.4, 0.6)
PULLS = (0.2, 0.4, 0.8)
OWN_ROUNDS = 3
PACKAGE = "as in the package"
MOST_FALSE_NONE = 0.04
ROUNDS = 60


@dataclass(frozen=True)
class Batch:
    """Pictures that are asked together about some labels, and whether none of these fits them.

    `evidence` is agreed among pictures that are alike, `alone` that of each picture alone.
    `without` is the evidence once the best label of each picture is left out; with a single label
    nothing is left out. In lists of the store no evidence is agreed.
    """

    labels: int
    evidence: np.ndarray
    alone: np.ndarray
    without: np.ndarray
    confidence: np.ndarray
    none: np.ndarray


LogOdds = Callable[[Batch], np.ndarray]
"""The log odds that no label fits, for the pictures of a batch."""


def confidence_of(label_cosines: np.ndarray, scale: float) -> np.ndarray:
    """The logit of the largest probability among the labels; 0 of a single label."""
    if label_cosines.shape[1] == 1:
        return np.zeros(len(label_cosines))
    top = np.clip(softmax(scale * label_cosines).max(axis=1), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(top / (1 - top)))


def without_best(
    labels: np.ndarray, words: np.ndarray, rivals: np.ndarray, scale: float
) -> np.ndarray:
    """The evidence of pictures against a list without their best label, from all cosines."""
    if labels.shape[1] == 1:
        return evidence_against(labels, words[:, rivals[0]], scale)
    best, found = labels.argmax(axis=1), np.empty(len(labels))
    for label in np.unique(best):
        rows, kept = best == label, np.arange(labels.shape[1]) != label
        others = words[rows][:, rivals[kept].all(axis=0)]
        found[rows] = evidence_against(labels[rows][:, kept], others, scale)
    return found


def store_batches(pictures: StorePictures, fractions: tuple[float, ...]) -> list[Batch]:
    """Lists of the store's nouns of which a fraction is left out; pictures as they come."""
    rng, batches = np.random.default_rng(0), []
    for _ in range(3 * LISTS):
        if len(batches) == LISTS:
            break
        length = int(rng.choice([2, 4, 8, 16, 32, 64]))
        drawn = pictures.draw_nouns(min(length, len(pictures.nouns)), rng)
        kept = max(1, round((1 - rng.choice(fractions)) * len(drawn)))
        labels, left_out = drawn[:kept], drawn[kept:]
        if not len(left_out):
            continue
        fits = pictures.showing(labels)
        none = pictures.showing(left_out) & ~pictures.mentioning(labels)
        rows = np.flatnonzero(fits | none)
        if min(fits.sum(), none.sum()) < 2 or len(rows) < 8:
            continue
        rows = rng.permutation(rows)[:PICTURES]
        cosines, scale = pictures.cosines[rows], pictures.scale
        confidence = confidence_of(cosines[:, labels], scale)
        without = without_best(cosines[:, labels], cosines, pictures.rivals[labels], scale)
        alone = pictures.evidence(labels, rows)
        answers = none[rows] & ~fits[rows]
        batches.append(Batch(kept, alone, alone, without, confidence, answers))
    return batches


def features(batch: Batch) -> np.ndarray:
    """The features of BatchCurve, a row a picture."""
    spread = np.full(len(batch.evidence), batch.evidence.std())
    logs = np.full(len(batch.evidence), np.log(batch.labels))
    return np.stack([batch.evidence, logs, spread, batch.evidence * spread], axis=1)


def even_odds(curve: BatchCurve, batch: Batch) -> np.ndarray:
    """The log odds of the package's curve if half of the pictures had no label."""
    return curve._even(batch.evidence, batch.labels, batch.evidence)


def as_in_package(curve: BatchCurve, batch: Batch) -> np.ndarray:
    return curve.log_odds(batch.evidence, batch.labels, batch.evidence)


def alone_as_before(curve: BatchCurve, pull: float, batch: Batch) -> np.ndarray:
    """The package's rule before evidence was agreed; its other constant is among the benefits."""
    odds = curve._even(batch.alone, batch.labels, batch.alone)
    return pulled(odds, pull)


def pulled(odds: np.ndarray, pull: float = 0.4) -> np.ndarray:
    """Log odds with the share without a label that they show, pulled to one half."""
    share = 0.5
    for _ in range(ROUNDS):
        share = (probability(odds + np.log(share / (1 - share))).mean() + pull) / (1 + 2 * pull)
    return np.asarray(odds + np.log(share / (1 - share)))


def own_labels(curve: BatchCurve, batch: Batch, rounds: int) -> np.ndarray:
    """Log odds at an even share by two kinds of one width, both seen on the batch's own pictures.

    The first kind has their evidence, the second that against the list without their best label,
    as if it had been left out. Each picture counts as far as a label seems to fit it.
    """
    odds = even_odds(curve, batch)
    if batch.labels == 1:
        return odds
    p, own = probability(pulled(odds)), odds
    for _ in range(rounds):
        weights = 1 - p + 1e-6
        means = [np.average(each, weights=weights) for each in (batch.evidence, batch.without)]
        kinds = zip((batch.evidence, batch.without), means, strict=True)
        width = np.mean([np.average((each - m) ** 2, weights=weights) for each, m in kinds])
        slope = (means[1] - means[0]) / max(float(width), 1e-6)
        own = slope * (batch.evidence - sum(means) / 2)
        p = probability(pulled(own))
    return np.asarray(own)


def by_own_labels(curve: BatchCurve, strength: float, batch: Batch) -> np.ndarray:
    own = pulled(own_labels(curve, batch, OWN_ROUNDS))
    return strength * own + (1 - strength) * as_in_package(curve, batch)


def both_odds(curve: BatchCurve, batch: Batch) -> np.ndarray:
    """The odds of the package's curve and those by the batch's own labels, a row a picture."""
    return np.stack([even_odds(curve, batch), own_labels(curve, batch, 1)], axis=1)


def by_both(curve: BatchCurve, weights: np.ndarray, strength: float, batch: Batch) -> np.ndarray:
    odds = pulled(weights[0] + both_odds(curve, batch) @ weights[1:])
    return strength * odds + (1 - strength) * as_in_package(curve, batch)


def by_curve(weights: np.ndarray, batch: Batch) -> np.ndarray:
    """A curve of the same features as the package's, without an estimated share."""
    return np.asarray(weights[0] + features(batch) @ weights[1:])


def fitted(lists: list[Batch], rows: Callable[[Batch], np.ndarray]) -> np.ndarray:
    """The constant and the weights of some features, fitted on lists of the store's nouns."""
    answers = np.concatenate([batch.none for batch in lists]).astype(float)
    each = np.concatenate([np.full(len(b.none), 1 / len(b.none)) for b in lists])
    return fit_weights(np.concatenate([rows(b) for b in lists]), answers, each, 1e-2)


def by_moments(
    curve: BatchCurve, rates: tuple[float, float], strength: float, batch: Batch
) -> np.ndarray:
    """Label shift by moments: the share that reproduces how many pictures are refused.

    `rates` are how often the store's pictures with and without a label are refused at even odds.
    """
    odds = even_odds(curve, batch)
    share = float(np.clip(((odds >= 0).mean() - rates[0]) / (rates[1] - rates[0]), 0.02, 0.98))
    share = strength * share + (1 - strength) / 2
    return odds + np.log(share / (1 - share))


def by_mixture(curve: BatchCurve, strength: float, batch: Batch) -> np.ndarray:
    """Two normal distributions of one width, fitted to the batch by EM from the curve's P(none)."""
    odds = even_odds(curve, batch)
    p, evidence = probability(odds), batch.evidence
    for _ in range(ROUNDS):
        share = (p.mean() + 0.4) / 1.8
        means = [np.average(evidence, weights=weights + 1e-9) for weights in (1 - p, p)]
        residual = p * (evidence - means[1]) ** 2 + (1 - p) * (evidence - means[0]) ** 2
        slope = (means[1] - means[0]) / max(float(residual.mean()), 1e-6)
        mixture = slope * (evidence - sum(means) / 2) + np.log(share / (1 - share))
        p = probability(mixture)
    return strength * mixture + (1 - strength) * odds


def by_surface(curve: BatchCurve, surface: Surface, strength: float, batch: Batch) -> np.ndarray:
    odds = as_in_package(curve, batch)
    p = surface.at(odds, batch.confidence)
    return strength * np.log(p / (1 - p)) + (1 - strength) * odds


def ways_of(curve: BatchCurve, pictures: StorePictures) -> dict[str, dict[float, LogOdds]]:
    """Every way in all its strengths, fitted on the store."""
    halves, several = store_batches(pictures, (0.5,)), store_batches(pictures, FRACTIONS)
    odds = np.concatenate([even_odds(curve, batch) for batch in halves])
    none = np.concatenate([batch.none for batch in halves])
    rates = float((odds[~none] >= 0).mean()), float((odds[none] >= 0).mean())
    judged = np.concatenate([as_in_package(curve, batch) for batch in several])
    surface = fit_surface(
        judged,
        np.concatenate([batch.confidence for batch in several]),
        np.concatenate([batch.none for batch in several]),
    )
    joined = fitted(halves, partial(both_odds, curve))
    return {
        PACKAGE: {1.0: partial(as_in_package, curve)},
        "the evidence of each picture alone": {
            pull: partial(alone_as_before, curve, pull) for pull in PULLS
        },
        "best label of each picture left out": {
            s: partial(by_own_labels, curve, s) for s in STRENGTHS
        },
        "the same as a feature, fitted on the store": {
            s: partial(by_both, curve, joined, s) for s in STRENGTHS
        },
        "several fractions of the labels left out": {
            0.5: partial(by_curve, fitted(halves, features)),
            1.0: partial(by_curve, fitted(several, features)),
        },
        "label shift by moments": {s: partial(by_moments, curve, rates, s) for s in STRENGTHS},
        "a mixture fitted to the batch": {s: partial(by_mixture, curve, s) for s in STRENGTHS},
        "isotonic in evidence and confidence": {
            s: partial(by_surface, curve, surface, s) for s in STRENGTHS
        },
    }


Halves = tuple[tuple[list[Batch], Batch], tuple[list[Batch], Batch]]
"""For both halves of a set: the batch of every draw, and that of the full list."""


def batches_of(given: Set, vocabulary: OpenVocabulary) -> Halves:
    """The pictures of each half with half of the labels, in every draw, and with all labels."""
    mean = vocabulary.background.mean(axis=0)
    words = unit_rows(vocabulary.background - mean)
    rivals = rival_directions(unit_rows(given.prompts - mean), words)

    def batch(draw: Draw, mask: np.ndarray) -> Batch:
        pictures, cosines = given.data.embeddings[mask], draw.cosines(mask)
        alone = judge_of(draw, vocabulary).evidence(pictures)
        beside = pictures @ vocabulary.background.T
        without = without_best(cosines, beside, rivals[draw.labels], given.scale)
        agreed = (AgreedEvidence.among(pictures, each).agreed for each in (alone, without))
        confidence = confidence_of(cosines, given.scale)
        evidence, without = agreed
        return Batch(len(draw.labels), evidence, alone, without, confidence, draw.none[mask])

    def of_half(half: int) -> tuple[list[Batch], Batch]:
        mask = given.data.half == half
        full = Draw(given, np.arange(len(given.data.labels)))
        return [batch(draw, mask) for draw in draws(given)], batch(full, mask)

    return of_half(0), of_half(1)


def score(found: list[Halves], way: LogOdds, benefit: float, half: int) -> dict[str, object]:
    """Calibration error within sets and over them, AUROC, and false none, on one half."""
    errors, areas, false, pooled = [], [], [], []
    for halves in found:
        parts, full = halves[half]
        judged = [probability(way(part) - benefit) for part in parts]
        p, none = np.concatenate(judged), np.concatenate([part.none for part in parts])
        pooled.append((p, none))
        errors.append(calibration_error(p, none))
        areas += [
            float(np.mean([auroc(q, part.none) for q, part in zip(judged, parts, strict=True)]))
        ]
        false.append(float((probability(way(full) - benefit) >= 0.5).mean()))
    every = [np.concatenate(part) for part in zip(*pooled, strict=True)]
    return {
        "within": round(float(np.mean(errors)), 4),
        "sets": dict(zip(SETS, [round(error, 4) for error in errors], strict=True)),
        "over": round(calibration_error(every[0], every[1]), 4),
        "auroc": round(float(np.mean(areas)), 4),
        "false_none": round(float(np.mean(false)), 4),
    }


def measure(
    sets: list[Set], vocabulary: OpenVocabulary, pictures: StorePictures
) -> dict[str, object]:
    """For every way, what was chosen on half 0 with and without the bar, and what half 1 says."""
    found = [batches_of(given, vocabulary) for given in sets]
    rows: dict[str, object] = {}
    for name, strengths in ways_of(vocabulary.batch_curve, pictures).items():
        tried = [
            (score(found, way, benefit, half=0), strength, benefit)
            for strength, way in strengths.items()
            for benefit in (BENEFITS if name != PACKAGE else (0.0,))
        ]
        row = {}
        for kind, bar in (("within_the_bar", MOST_FALSE_NONE), ("without_the_bar", 1.0)):
            allowed = [each for each in tried if each[0]["false_none"] <= bar]
            if allowed:
                chosen, strength, benefit = min(allowed, key=lambda each: each[0]["within"])
                row[kind] = {
                    "strength": strength,
                    "benefit": benefit,
                    "chosen_half": chosen,
                    "reported_half": score(found, strengths[strength], benefit, half=1),
                }
        rows[name] = row
        print(name, json.dumps(row), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    options = store_options(__doc__).parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    encoder = hub.encoder
    store = CaptionStore.open(options.store, encoder)
    vocabulary = open_vocabulary(encoder, store, None, "")
    pictures = StorePictures.of(store, vocabulary.background, encoder.info.logit_scale)
    assert pictures is not None
    sets = plain_sets(options, hub)
    result = {
        "what": "calibration of P(none of these), five labelled sets with half of the labels",
        "ways": measure(sets, vocabulary, pictures),
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

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

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from none_of_these import SETS, Draw, Set, auroc, calibration_error, draws, judge_of
from specialists import read_set

import lagotto
from lagotto.core.vectors import softmax
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.rejection.batch_curve import BatchCurve
from lagotto.zeroshot.rejection.logistic import fit_weights, probability
from lagotto.zeroshot.rejection.store_pictures import StorePictures
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary, open_vocabulary
from provenance import provenance

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.9)
LISTS = 600
PICTURES = 40
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
BENEFITS = (0.0, 0.2, 0.4, 0.6)
MOST_FALSE_NONE = 0.04
CELLS = 12
ROUNDS = 60


@dataclass(frozen=True)
class Batch:
    """Pictures that are asked together about some labels, and whether none of these fits them."""

    labels: int
    evidence: np.ndarray
    confidence: np.ndarray
    none: np.ndarray

    def part(self, mask: np.ndarray) -> "Batch":
        return Batch(self.labels, self.evidence[mask], self.confidence[mask], self.none[mask])


LogOdds = Callable[[Batch], np.ndarray]
"""The log odds that no label fits, for the pictures of a batch."""


def confidence_of(label_cosines: np.ndarray, scale: float) -> np.ndarray:
    """The logit of the largest probability among the labels; 0 of a single label."""
    if label_cosines.shape[1] == 1:
        return np.zeros(len(label_cosines))
    top = np.clip(softmax(scale * label_cosines).max(axis=1), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(top / (1 - top)))


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
        confidence = confidence_of(pictures.cosines[rows][:, labels], pictures.scale)
        batches.append(
            Batch(kept, pictures.evidence(labels, rows), confidence, none[rows] & ~fits[rows])
        )
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


def by_curve(weights: np.ndarray, batch: Batch) -> np.ndarray:
    """A curve of the same features as the package's, without an estimated share."""
    return np.asarray(weights[0] + features(batch) @ weights[1:])


def fitted_curve(lists: list[Batch]) -> np.ndarray:
    """The weights of `by_curve`, fitted on lists of the store's nouns."""
    answers = np.concatenate([batch.none for batch in lists]).astype(float)
    each = np.concatenate([np.full(len(b.none), 1 / len(b.none)) for b in lists])
    return fit_weights(np.concatenate([features(b) for b in lists]), answers, each, 1e-2)


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


@dataclass(frozen=True)
class Surface:
    """P(none) on a grid of evidence and confidence, rising in the first, falling in the second."""

    edges: tuple[np.ndarray, np.ndarray]
    values: np.ndarray

    def at(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        rows, columns = (
            np.searchsorted(edges, values)
            for edges, values in zip(self.edges, (first, second), strict=True)
        )
        return np.asarray(self.values[rows, columns])


def fit_surface(first: np.ndarray, second: np.ndarray, none: np.ndarray) -> Surface:
    """The isotonic regression on a grid, by alternating fits along rows and columns (Dykstra)."""
    shares = np.linspace(0, 1, CELLS + 1)[1:-1]
    edges = (np.quantile(first, shares), np.unique(np.quantile(second, shares)))
    rows, columns = np.searchsorted(edges[0], first), np.searchsorted(edges[1], second)
    shape = (len(edges[0]) + 1, len(edges[1]) + 1)
    counts, sums = np.full(shape, 2.0), np.ones(shape)  # a cell without pictures is even
    np.add.at(counts, (rows, columns), 1)
    np.add.at(sums, (rows, columns), none)
    values, corrections = sums / counts, [np.zeros(shape), np.zeros(shape)]
    for turn in range(2 * ROUNDS):
        given = values - corrections[turn % 2]
        if turn % 2:
            values = np.stack([-rising(-row, w) for row, w in zip(given, counts, strict=True)])
        else:
            values = np.stack([rising(c, w) for c, w in zip(given.T, counts.T, strict=True)]).T
        corrections[turn % 2] = values - given
    return Surface(edges, np.clip(values, 0.01, 0.99))


def rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rising sequence of least weighted squared error."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        total, mass, count = value * weight, weight, 1
        while blocks and blocks[-1][0] * mass >= total * blocks[-1][1]:
            before = blocks.pop()
            total, mass, count = total + before[0], mass + before[1], count + before[2]
        blocks.append((total, mass, count))
    return np.repeat([total / mass for total, mass, _ in blocks], [n for _, _, n in blocks])


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
    return {
        "as in the package": {1.0: partial(as_in_package, curve)},
        "several fractions of the labels left out": {
            0.5: partial(by_curve, fitted_curve(halves)),
            1.0: partial(by_curve, fitted_curve(several)),
        },
        "label shift by moments": {s: partial(by_moments, curve, rates, s) for s in STRENGTHS},
        "a mixture fitted to the batch": {s: partial(by_mixture, curve, s) for s in STRENGTHS},
        "isotonic in evidence and confidence": {
            s: partial(by_surface, curve, surface, s) for s in STRENGTHS
        },
    }


def batches_of(given: Set, vocabulary: OpenVocabulary) -> tuple[list[Batch], Batch]:
    """All pictures with half of the labels, in every draw, and with all labels."""
    everything = np.ones(len(given.data.truth), bool)

    def batch(draw: Draw) -> Batch:
        evidence = judge_of(draw, vocabulary).evidence(given.data.embeddings)
        confidence = confidence_of(draw.cosines(everything), given.scale)
        return Batch(len(draw.labels), evidence, confidence, draw.none)

    return [batch(draw) for draw in draws(given)], batch(
        Draw(given, np.arange(len(given.data.labels)))
    )


def score(
    found: list[tuple[np.ndarray, list[Batch], Batch]], way: LogOdds, benefit: float, half: int
) -> dict[str, object]:
    """Calibration error within sets and over them, AUROC, and false none, on one half."""
    errors, areas, false, pooled = [], [], [], []
    for halves, of_draws, full in found:
        parts = [batch.part(halves == half) for batch in of_draws]
        judged = [probability(way(part) - benefit) for part in parts]
        p, none = np.concatenate(judged), np.concatenate([part.none for part in parts])
        pooled.append((p, none))
        errors.append(calibration_error(p, none))
        areas += [
            float(np.mean([auroc(q, part.none) for q, part in zip(judged, parts, strict=True)]))
        ]
        refused = probability(way(full.part(halves == half)) - benefit) >= 0.5
        false.append(float(refused.mean()))
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
    found = [(given.data.half, *batches_of(given, vocabulary)) for given in sets]
    rows: dict[str, object] = {}
    for name, strengths in ways_of(vocabulary.batch_curve, pictures).items():
        tried = [
            (score(found, way, benefit, half=0), strength, benefit)
            for strength, way in strengths.items()
            for benefit in BENEFITS
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--store", type=Path, required=True, help="of flickr8k and coco")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    encoder = hub.encoder
    store = CaptionStore.open(options.store, encoder)
    vocabulary = open_vocabulary(encoder, store, None, "")
    pictures = StorePictures.of(store, vocabulary.background, encoder.info.logit_scale)
    assert pictures is not None
    sets = []
    for name in SETS:
        data = read_set(name, options, hub)
        texts = [encoder.info.prompt_template.format(label) for label in data.labels]
        sets.append(Set(data, encoder.embed_texts(texts), encoder.info.logit_scale, []))
    result = {
        "what": "calibration of P(none of these), five labelled sets with half of the labels",
        "ways": measure(sets, vocabulary, pictures),
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

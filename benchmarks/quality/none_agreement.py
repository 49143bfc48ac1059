r"""How evidence is agreed among pictures that are asked together: what it adds, by constants.

    python benchmarks/quality/none_agreement.py --assets DIR --hub HUB --cache DIR --store STORE \
        --json > benchmarks/results/quality_none_agreement.json

The draws and the halves are those of none_of_these.py. The pictures of a half are asked all at
once, and in random batches of about 128 and 40. Half 0 was used to choose: the largest mean AUROC
over the three sizes. Half 1 is reported.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from none_of_these import SETS, Draw, Set, auroc, calibration_error, draws, judge_of, plain_sets

import lagotto
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.rejection import agreement
from lagotto.zeroshot.rejection.agreement import AgreedEvidence
from lagotto.zeroshot.rejection.batch_curve import BatchCurve
from lagotto.zeroshot.rejection.logistic import probability
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary, open_vocabulary
from provenance import provenance
from quality.specialist_data import store_options

SIZES = (None, 128, 40)
ALONE = 1e6
"""An own weight beside which nobody else is heard."""

CONSTANTS = (
    *((3.0, 1.0), (3.0, 3.0), (4.0, 0.3), (4.0, 0.6), (4.0, 1.0)),
    *((5.0, 0.05), (5.0, 0.1), (5.0, 0.2), (5.0, 0.4)),
    *((7.0, 0.02), (7.0, 0.05), (7.0, 0.1)),
    *((10.0, 0.001), (10.0, 0.003), (10.0, 0.01)),
)
"""Sharpness, and the weight of a picture's own evidence."""

Lists = list[tuple[int, np.ndarray, np.ndarray]]
"""Of each draw, the last one with the full list: labels, evidence alone, and what has no label."""


def lists_of(given: Set, vocabulary: OpenVocabulary) -> Lists:
    """All pictures of a set, in every draw and with all labels."""
    every = [*draws(given), Draw(given, np.arange(len(given.data.labels)))]
    pictures = given.data.embeddings
    return [
        (len(draw.labels), judge_of(draw, vocabulary).evidence(pictures), draw.none)
        for draw in every
    ]


def batches(rows: np.ndarray, size: int | None) -> list[np.ndarray]:
    """The rows in random batches of about a size; in one for None."""
    if size is None:
        return [rows]
    shuffled = np.random.default_rng(0).permutation(rows)
    return np.array_split(shuffled, max(1, round(len(rows) / size)))


def score(
    sets: list[Set], lists: list[Lists], curve: BatchCurve, half: int, size: int | None
) -> dict[str, object]:
    """AUROC, calibration error within the sets, and false none, with today's constants."""
    areas, errors, false = [], [], []
    for given, of_set in zip(sets, lists, strict=True):
        parts = batches(np.flatnonzero(given.data.half == half), size)
        judged = []
        for labels, evidence, none in of_set:
            odds = []
            for rows in parts:
                of_batch = AgreedEvidence.among(given.data.embeddings[rows], evidence[rows])
                odds.append(curve.log_odds(of_batch.agreed, labels, of_batch.agreed))
            judged.append((np.concatenate(odds), none[np.concatenate(parts)]))
        *of_draws, (full, _) = judged
        areas.append(float(np.mean([auroc(odds, none) for odds, none in of_draws])))
        odds, none = (np.concatenate(each) for each in zip(*of_draws, strict=True))
        errors.append(calibration_error(probability(odds), none))
        false.append(float((full >= 0).mean()))
    return {
        "auroc": round(float(np.mean(areas)), 4),
        "sets": dict(zip(SETS, [round(area, 4) for area in areas], strict=True)),
        "within": round(float(np.mean(errors)), 4),
        "false_none": round(float(np.mean(false)), 4),
    }


def measure(sets: list[Set], vocabulary: OpenVocabulary) -> dict[str, object]:
    """Every pair of constants on half 0, the package's and none at all on both halves."""
    lists = [lists_of(given, vocabulary) for given in sets]
    packaged = (agreement.PICTURE_SHARPNESS, agreement.OWN_WEIGHT)

    def by_size(constants: tuple[float, float], half: int) -> dict[str, object]:
        agreement.PICTURE_SHARPNESS, agreement.OWN_WEIGHT = constants
        sizes = {
            str(size or "all"): score(sets, lists, vocabulary.batch_curve, half, size)
            for size in SIZES
        }
        print(constants, half, json.dumps(sizes), file=sys.stderr, flush=True)
        return sizes

    return {
        "package": {"sharpness": packaged[0], "own_weight": packaged[1]},
        "chosen_half": [
            {"sharpness": each[0], "own_weight": each[1], "sizes": by_size(each, 0)}
            for each in CONSTANTS
        ],
        "alone": {str(half): by_size((1.0, ALONE), half) for half in (0, 1)},
        "agreed": {str(half): by_size(packaged, half) for half in (0, 1)},
    }


def main() -> None:
    options = store_options(__doc__).parse_args()
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    encoder = hub.encoder
    vocabulary = open_vocabulary(encoder, CaptionStore.open(options.store, encoder), None, "")
    sets = plain_sets(options, hub)
    result = {
        "what": "evidence against the labels agreed among pictures that are asked together",
        **measure(sets, vocabulary),
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()

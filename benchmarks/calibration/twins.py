"""How likely two outputs that behave alike are of one concept: the weights of `TwinConfig`.

    python benchmarks/calibration/twins.py --assets DIR --hub HUB --hub-inet HUB \
        > benchmarks/results/quality_twins.json

Pairs of outputs whose labels are known: in the published models, five lists of which teach all
other models in turn, and in the mini-hub, of which draws of heads teach the others. A pair is right
if both labels have the same words; pairs of labels that share some words tell nothing and are left
out. A logistic regression is fitted on the pairs whose teacher's name is of the even half; each
world counts alike. Reported are the pairs of the odd half, by the fit and by the shipped weights:
AUROC, calibration error, and the share of right pairs among those said to be as likely as not.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.reliability import auroc, calibration_error, fit_logistic, reliability
from calibration.worlds import half
from lagotto.core.text.names import first_name, label_word_sets
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.probability import TWIN_FEATURES, TWINS, twin_probability
from lagotto.hub.labels.twins.table import choose_teachers
from quality.reference_heads import build_index
from quality.rules import open_hub

DRAWN = (3, 30)
"""Heads of the mini-hub that teach the others."""

DRAWS = 2

TEACHING = (
    *("coral-mobilenet-v1-025-128", "coral-mobilenet-v1-075-192", "akamaster-cifar10-resnet20"),
    *("abdoconan-flowers", "tm-trash8"),
)
"""Published models whose lists teach the others, one at a time."""
PENALTY = 3.0

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features, whether the pair is right, and the half of the teacher's name."""


class PairFinder(TwinFinder):
    """Gives all pairs that are compared, however unlikely."""

    def all_pairs(self, owner: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns of a model, columns of labelled outputs, and the features of each such pair."""
        index = self._index
        first = int(index.firsts[owner])
        columns = first + np.arange(int(index.outputs(np.array([owner]))[0]))
        columns = columns[index.steps[columns] > 0]
        table = self._correlations(owner, columns)
        rows, places, features = self.pairs([table], len(columns), self._owners != owner)
        return columns[rows], self._columns[places], features


def pairs_of(
    index: LogitIndex, labels: Sequence[str | None], teaching: Sequence[int]
) -> Iterator[Pairs]:
    """The pairs of each model with the labelled outputs of some models."""
    widths = index.outputs(np.arange(len(index.firsts))).tolist()
    spans = [range(first, first + width) for first, width in zip(index.firsts, widths, strict=True)]
    listed = [(model, column, labels[column]) for model in teaching for column in spans[model]]
    known = [(model, int(column), label) for model, column, label in listed if label]
    finder = PairFinder(index, choose_teachers(known))
    words = [label_word_sets(label or "") for label in labels]
    for model in range(len(index.firsts)):
        if model in teaching or not any(labels[column] for column in spans[model]):
            continue
        columns, teachers, features = finder.all_pairs(model)
        keep, right, side = [], [], []
        for row, (column, teacher) in enumerate(
            zip(columns.tolist(), teachers.tolist(), strict=True)
        ):
            one, other = words[column], words[teacher]
            same = bool(set(one) & set(other))
            if not same and any(a & b for a in one for b in other):
                continue
            keep.append(row)
            right.append(same)
            side.append(half(first_name(labels[teacher] or "")))
        yield features[keep], np.array(right, bool), np.array(side)


def published_pairs(index: LogitIndex, labels: Sequence[str | None]) -> Iterator[Pairs]:
    """The pairs of a hub's models, some of which teach, each alone."""
    for name in TEACHING:
        owner = int(index.owners(np.array([index.columns_of(name).start]))[0])
        yield from pairs_of(index, labels, [owner])


def head_pairs(index: LogitIndex, labels: Sequence[str]) -> Iterator[Pairs]:
    """The pairs of heads, of which draws of several sizes teach the others."""
    rng = np.random.default_rng(0)
    for size in DRAWN:
        for _ in range(DRAWS):
            yield from pairs_of(index, labels, rng.permutation(len(index.firsts))[:size].tolist())


def joined(parts: Iterator[Pairs]) -> Pairs:
    features, right, side = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(right), np.concatenate(side)


def fit(worlds: dict[str, Pairs]) -> tuple[float, ...]:
    """Weights and constant from the even halves; of each world right pairs count as half of it."""
    rows, true, often = [], [], []
    for features, right, side in worlds.values():
        even = side == 0
        rows.append(features[even])
        true.append(right[even])
        often.append(np.full(int(even.sum()), 1e4 / even.sum()))
    model = fit_logistic(
        np.concatenate(rows), np.concatenate(true), np.concatenate(often), penalty=PENALTY
    )
    return (*(round(float(w), 2) for w in model.weights), round(model.bias, 2))


def figures(world: Pairs, weights: Sequence[float]) -> dict[str, Any]:
    """What the odd half says of some weights."""
    features, right = (part[world[2] == 1] for part in world[:2])
    *slopes, constant = weights
    said = 1 / (1 + np.exp(-(features @ np.array(slopes) + constant)))
    likely = said >= 0.5
    return {
        "pairs": len(right),
        "right": int(right.sum()),
        "auroc": round(auroc(said, right), 4),
        "calibration_error": round(calibration_error(reliability(said, right)), 4),
        "error_from_0.05": round(
            calibration_error(reliability(said[said >= 0.05], right[said >= 0.05])), 4
        ),
        "precision_from_0.5": round(float(right[likely].mean()), 4),
        "found_from_0.5": round(float(likely[right].mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    given = parser.parse_args()
    worlds: dict[str, Pairs] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inet, path in ((False, given.hub), (True, given.hub_inet)):
            hub = open_hub(path, given.assets, folder / f"hub{inet}", inet)
            index = hub.reader.logit_index()
            labels = [label for digest in index.digests for label in index.labels(digest)]
            probes = hub.reader.probe_count
            worlds[f"published, {probes} probes"] = joined(published_pairs(index, labels))
        raw = read_raw_responses(given.assets / "inet-mini-hub")
        index = build_index(raw, folder)
        heads = [label for model in raw.models for label in model.labels]
        worlds["mini-hub"] = joined(head_pairs(index, heads))
    fitted = fit(worlds)
    sample = worlds["mini-hub"][0][:5]
    expected = 1 / (1 + np.exp(-(sample @ np.array(TWINS.weights[:-1]) + TWINS.weights[-1])))
    assert np.allclose(twin_probability(sample), expected, atol=1e-5)
    result = {
        "features": [*TWIN_FEATURES, "constant"],
        "fitted": fitted,
        "shipped": TWINS.weights,
        "odd": {
            world: {
                "fitted": figures(pairs, fitted),
                "shipped": figures(pairs, TWINS.weights),
            }
            for world, pairs in worlds.items()
        },
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

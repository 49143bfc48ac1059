"""What the form of the calibrator was chosen by: held-out figures on the first halves alone.

    python benchmarks/calibration/choice.py --assets DIR > NEW.json

Folds are of concepts, the same in both worlds (synonyms and the mini-hub's class of that name
together). The mini-hub's models are split once more: fitted on one part, judged on the other. A
cell is a world on one set of probes; in a fit every cell counts alike. Each form is judged by log
loss, calibration error and AUROC, of all hits and of the first, by behaviour and by name.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.figures import by_behaviour
from calibration.known_answers import Known, Trial
from calibration.measure import CEILING, PENALTY
from calibration.quality_choice import quality_tries
from calibration.reliability import auroc, calibration_error, fit_logistic, reliability
from calibration.worlds import Half, MiniHub, read_hubs, read_mini_hubs, without_answers
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.hub.confidence.calibrator import (
    Features,
    best_margin,
    concept_features,
    hit_features,
)

FOLDS = 5
VIEWS: dict[str, Callable[[Features], Features]] = {
    "behaviour": by_behaviour,
    "names": lambda features: features.with_labels,
}
MINI = "mini-hub"


@dataclass(frozen=True)
class Cell:
    """The searches of one world on one set of probes, in two parts, and the fold of each."""

    name: str
    parts: tuple[list[Trial], list[Trial]]
    folds: tuple[np.ndarray, np.ndarray]


def before(features: Features, logits: int) -> np.ndarray:
    """The features of a hit as they were: with the hub's size, and no product with agreement."""
    pool, same = slice(features.pool), np.ones_like(features.margin)
    lead, covered = (
        best_margin(features.margin[pool]),
        float(np.log(max(features.probe_coverage, 1e-6))),
    )
    size = float(np.log(np.clip(logits, 100, 5000)))
    agreed = features.agreement[pool].mean()
    others = [agreed, covered, size, lead * covered]
    return np.stack(
        [features.margin, lead * same, features.agreement, *(x * same for x in others)], axis=1
    )


def presence_before(features: Features, logits: int) -> np.ndarray:
    """The features of presence as they were, one row."""
    lead, covered = (
        best_margin(features.margin[: features.pool]),
        float(np.log(max(features.probe_coverage, 1e-6))),
    )
    size = float(np.log(np.clip(logits, 100, 5000)))
    return np.array([[lead, covered, size, lead * covered, lead * size]])


def some(places: list[int]) -> Callable[[Features, int], np.ndarray]:
    """Some of the features that are shipped."""
    return lambda features, logits: hit_features(features)[:, places]


HITS: dict[str, tuple[Callable[[Features, int], np.ndarray], bool]] = {
    "before, fitted on the mini-hub": (before, False),
    "before, fitted on both": (before, True),
    "size out, lead x agreement": (some([0, 1, 2, 3, 4, 5]), True),
    "and a better hit of its model": (some([0, 1, 2, 3, 4, 5, 6, 7]), True),
    "and the first hit": (lambda features, logits: hit_features(features), True),
}
SEARCHES: dict[str, tuple[Callable[[Features, int], np.ndarray], bool]] = {
    "before, fitted on the mini-hub": (presence_before, False),
    "before, fitted on both": (presence_before, True),
    "size out, agreement": (lambda features, logits: concept_features(features)[None], True),
}


def fold_of(names: dict[str, str], name: str) -> int:
    """The fold of a concept, by its first synonym."""
    return hashlib.sha256(names.get(name, name).encode()).digest()[2] % FOLDS


def first_synonyms(known: Known, texts: list[int]) -> dict[str, str]:
    """For each text the first that the same logits answer."""
    first: dict[int, str] = {}
    groups = known.groups
    for place in texts:
        first.setdefault(int(groups[place]), known.names[place])
    return {known.names[place]: first[int(groups[place])] for place in texts}


def cell(name: str, known: Known, parts: tuple[list[Trial], ...], names: dict[str, str]) -> Cell:
    near, far = (
        np.array([fold_of(names, known.names[trial.concept]) for trial in part]) for part in parts
    )
    return Cell(name, (parts[0], parts[1]), (near, far))


def read_cells(heads: dict[str, MiniHub], hubs: dict[str, tuple[Half, Half]]) -> list[Cell]:
    """The first halves of both worlds, on both sets of probes."""
    cells: list[Cell] = []
    names: dict[str, str] = {}
    for name, (part, other) in hubs.items():
        known = part.world.known
        names = first_synonyms(known, sorted([*part.concepts, *other.concepts]))
        trials = without_answers(part.trials(0))
        cells.append(cell(f"published models, {name}", known, (trials, trials), names))
    for seed, (name, each) in enumerate(heads.items()):
        part = each.right[0]
        known = part.world.known
        side = [hashlib.sha256(model.encode()).digest()[1] % 2 for model in known.models]
        sides = tuple(
            Half(
                part.world, np.array([m for m in part.models if side[m] == s]), part.concepts
            ).trials(seed, 1)
            for s in (0, 1)
        )
        cells.append(cell(f"{MINI}, {name}", known, sides, names))
    return cells


@dataclass(frozen=True)
class Rows:
    """Rows of features of one part of a cell, what is true, the folds, and which are first hits."""

    features: np.ndarray
    true: np.ndarray
    fold: np.ndarray
    first: np.ndarray
    weight: np.ndarray


def hit_rows(
    trials: list[Trial],
    folds: np.ndarray,
    view: Callable[[Features], Features],
    form: Callable[[Features, int], np.ndarray],
    of_hits: bool,
) -> Rows:
    """One row a hit, or one a search."""
    features = np.concatenate([form(view(trial.features), trial.logits) for trial in trials])
    each = len(features) // len(trials)
    true = np.concatenate([t.right if of_hits else np.array([t.present]) for t in trials])
    first = np.tile(np.arange(each) == 0, len(trials))
    return Rows(features, true, np.repeat(folds, each), first, np.full(len(true), 1 / len(true)))


def held_out(
    cells: list[Cell], rows: dict[str, list[Rows]], both: bool, penalty: float, ceiling: float
) -> dict[str, list[float]]:
    """For each cell log loss, that of first hits, calibration error, that too, and AUROC."""
    chances = {c.name: [np.zeros(len(part.true)) for part in rows[c.name]] for c in cells}
    fitted = [c.name for c in cells if both or c.name.startswith(MINI)]
    for near in (0, 1):
        for fold in range(FOLDS):
            kept = [(rows[name][near], rows[name][near].fold != fold) for name in fitted]
            total = sum(int(k.sum()) for _, k in kept) / len(kept)
            model = fit_logistic(
                np.concatenate([each.features[k] for each, k in kept]),
                np.concatenate([each.true[k] for each, k in kept]),
                np.concatenate([total * each.weight[k] / each.weight[k].sum() for each, k in kept]),
                penalty=penalty,
                ceiling=ceiling,
            )
            for name, parts in chances.items():
                far = rows[name][1 - near]
                parts[1 - near][far.fold == fold] = model(far.features[far.fold == fold])
    return {c.name: figures(chances[c.name], rows[c.name]) for c in cells}


def figures(chances: list[np.ndarray], rows: list[Rows]) -> list[float]:
    chance = np.clip(np.concatenate(chances), 1e-6, 1 - 1e-6)
    true = np.concatenate([each.true for each in rows])
    first = np.concatenate([each.first for each in rows])
    loss = -np.log(np.where(true, chance, 1 - chance))
    found = [loss.mean(), loss[first].mean()]
    found += [calibration_error(reliability(chance[k], true[k])) for k in (first | True, first)]
    return [round(float(each), 4) for each in (*found, auroc(chance, true))]


def compare(cells: list[Cell]) -> dict[str, Any]:
    """Every form, then ceilings and penalties of the last."""
    result: dict[str, Any] = {}
    for kind, forms in (("hits", HITS), ("searches", SEARCHES)):
        for view_name, view in VIEWS.items():
            found: dict[str, Any] = {}
            for name, (form, both) in forms.items():
                rows = {
                    c.name: [
                        hit_rows(*part, view, form, kind == "hits")
                        for part in zip(c.parts, c.folds, strict=True)
                    ]
                    for c in cells
                }
                found[name] = held_out(cells, rows, both, PENALTY, CEILING)
            for ceiling in (1.0, 0.98, 0.9, 0.85):
                found[f"ceiling {ceiling}"] = held_out(cells, rows, True, PENALTY, ceiling)
            for penalty in (1.0, 100.0):
                found[f"penalty {penalty:.0f}"] = held_out(cells, rows, True, penalty, CEILING)
            result[f"{kind}, {view_name}"] = found
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    arguments = parser.parse_args()
    assets = arguments.assets
    encoder = load_encoder(str(assets / "encoder" / "photo-lit"))
    with tempfile.TemporaryDirectory() as folder:
        hubs = read_hubs(assets, (arguments.hub, arguments.hub_inet), Path(folder))
    heads = read_mini_hubs(read_raw_responses(assets / "inet-mini-hub"), encoder)
    result = compare(read_cells(heads, hubs))
    result["quality"] = {
        f"{name}, {view_name}": quality_tries(part.world, part.trials(seed), view)
        for seed, (name, part) in enumerate((n, each.right[0]) for n, each in heads.items())
        for view_name, view in VIEWS.items()
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

"""The worlds that confidence is fitted and judged on, each in two halves.

The mini-hub: 300 heads with known labels; models and class names are split by a hash of the name.
The published models: a hub of all of them, asked the texts of its truth file, which are split in
the same way; the models cannot be, for two of them know nearly all that is asked.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibration.believed_lists import with_lists
from calibration.known_answers import HIDDEN, Trial, World, draw_trials, make_world
from calibration.published_answers import hub_world
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.raw_responses import RawResponses
from lagotto.evaluation.retrieval.truth import read_truth
from quality.rules import open_hub

SIZES = (10, 25, 50, 100)
DRAWS = 3
"""Hubs of the mini-hub drawn of each size, besides the one of all models."""

KINDS = ("imagenet", "common")


def half(name: str) -> int:
    """0: for choosing and fitting; 1: for reporting."""
    return hashlib.sha256(name.encode()).digest()[0] % 2


@dataclass(frozen=True)
class Half:
    """The models and concepts of one half of a world, which is one hub or many drawn ones."""

    world: World
    models: np.ndarray
    concepts: list[int]
    one_hub: bool = False

    def trials(self, seed: int, draws: int = DRAWS) -> list[Trial]:
        """All searches of this half."""
        asked = (self.world, self.models, self.concepts)
        if self.one_hub:
            return list(draw_trials(*asked, (None, HIDDEN), seed))
        found = list(draw_trials(*asked, (None,), seed))
        for draw in range(draws):
            found += draw_trials(*asked, SIZES, seed + draw)
        return found


def without_answers(trials: list[Trial]) -> list[Trial]:
    """Of one hub, the searches of it whole and of it without the outputs that answer."""
    return [replace(trial, drawn=0) for trial in trials if trial.present or trial.drawn == HIDDEN]


def halves(world: World) -> tuple[Half, Half]:
    """The half to fit on and the half to report, of heads and their labels."""
    model_half = np.array([half(name) for name in world.known.models])
    first, second = (
        Half(
            world,
            np.flatnonzero(model_half == side),
            [place for place, name in enumerate(world.known.names) if half(name) == side],
        )
        for side in (0, 1)
    )
    return first, second


@dataclass(frozen=True)
class MiniHub:
    """The mini-hub on some of its probes, with its lists as published, and permuted."""

    right: tuple[Half, Half]
    permuted: tuple[Half, Half]
    verdicts: dict[str, dict[str, int]]


def read_mini_hubs(raw: RawResponses, encoder: Encoder) -> dict[str, MiniHub]:
    """The mini-hub on all of its probes, and on those that are captioned photos."""
    listed = json.loads((raw.folder / "models.json").read_text())["probes"]
    outside = np.array([source != "inet" for source, _ in listed])
    found = {}
    for kept in (np.ones(len(outside), bool), outside):
        world = make_world(raw, encoder, kept)
        right, permuted = with_lists(world, raw, kept), with_lists(world, raw, kept, seed=0)
        found[f"{int(kept.sum())} probes"] = MiniHub(
            halves(right[0]),
            halves(permuted[0]),
            {"published": right[1], "permuted": permuted[1]},
        )
    return found


def read_hubs(
    assets: Path, given: tuple[Path | None, Path | None], folder: Path
) -> dict[str, tuple[Half, Half]]:
    """The published models on both sets of probes; hubs that are not given are made in a folder."""
    truth = [query for query in read_truth(assets / "hub" / "truth.json") if query.kind in KINDS]
    found = {}
    for inet, path in ((True, given[1]), (False, given[0])):
        hub = open_hub(path, assets, folder / f"hub{inet}", inet)
        world, models = hub_world(hub, truth), np.arange(len(hub.status().models))
        first, second = (
            Half(world, models, [i for i, q in enumerate(truth) if half(q.text) == side], True)
            for side in (0, 1)
        )
        found[f"{len(world.space.probes)} probes"] = first, second
    return found

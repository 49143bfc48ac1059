"""A hub and a sample of the user's pictures → the models that are asked, and why.

Models are taken in the order in which the probes speak for them, which costs nothing: the hub holds
their responses. They are run on a few pictures of the sample, a group at a time, until enough have
explained much of what the encoder sees; the best of them then on the whole sample.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.assignment import best_assignment
from lagotto.core.errors import ModelError
from lagotto.core.progress import Progress
from lagotto.core.types import PixelSpec
from lagotto.core.vectors import softmax
from lagotto.encoders.base import Encoder
from lagotto.hubsearch.pipeline import Hub
from lagotto.specialists.choosing import Choice, choose
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.looking import Read, embed, look
from lagotto.specialists.matching import Candidate, View, excess, match_all
from lagotto.specialists.running import ModelRuns, Runnable, find_runnable, finite

SAMPLE = 256
"""Pictures on which models are compared, evenly spaced among those to be classified."""

FIRST_LOOK = 64
"""Pictures of the sample on which every candidate is run."""

FEWEST_PICTURES = 24
"""With fewer, agreement cannot be told from chance, and no model is asked."""

CANDIDATES, GROUP = 64, 6
"""At most so many models are run on the first pictures, so many at a time."""

GOOD_ENOUGH = 0.4
"""Looking ends when max_models explain so much of what the encoder sees, beyond chance."""

_KEPT = 8
_PERMUTATIONS = 3


Others: TypeAlias = Callable[
    [Float32[np.ndarray, "pictures dim"]], Float64[np.ndarray, "pictures labels"]
]
"""Embeddings of pictures → the logarithms of the labels' probabilities."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pictures that were looked at to choose models, by their place in the query.

    `embeddings` are the encoder's; `logits` are those of the chosen models, in the same order.
    Pictures that cannot be read have their reason in `unreadable` and no row.
    """

    places: tuple[int, ...]
    unreadable: Mapping[int, str]
    embeddings: Float32[np.ndarray, "readable dim"]
    logits: Mapping[str, Float64[np.ndarray, "readable outputs"]]


@dataclass(frozen=True, slots=True)
class Found:
    """The models that are asked. `notes` say what else is worth knowing, one line each."""

    choice: Choice
    models: tuple[Runnable, ...]
    sampled: Sampled
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for: the words of the labels and their prompts' unit embeddings.

    `others` are the voices beside the hub's: what they say is what models are compared with.
    """

    labels: tuple[str, ...]
    prompts: Float32[np.ndarray, "labels dim"]
    others: Others
    max_models: int
    use_names: bool = True


class Finder:
    """Looks for models of a hub that know a set of labels; see the module."""

    def __init__(self, hub: Hub, encoder: Encoder, question: Question, runs: ModelRuns) -> None:
        self._hub = hub
        self._encoder = encoder
        self._question = question
        self._runs = runs
        on_probes = encoder.info.logit_scale * (hub.probe_embeddings @ question.prompts.T)
        self._probed = View.of(on_probes.astype(np.float64))
        self._gone: dict[str, str] = {}

    def find(self, reads: Sequence[Read], progress: Progress) -> Found:
        """The models to ask about pictures, of which a sample is read here."""
        places = sample_places(len(reads))
        order = self._order()
        progress.start("looking for models", len(order) + 1, "models")
        specs = [model.pixels for model in order]
        looked = look([reads[place] for place in places], [self._encoder.info.pixels, *specs])
        embeddings = embed(self._encoder, looked.pixels[self._encoder.info.pixels])
        progress.advance(1)
        notes = [f"{name} is not asked: {reason}" for name, reason in self._gone.items()]
        if len(embeddings) < FEWEST_PICTURES:
            notes.append(
                f"{len(embeddings)} pictures are too few to check a model on; at least "
                f"{FEWEST_PICTURES} are needed, the hub is not asked"
            )
            choice = Choice((), 1.0)
            logits: dict[str, Float64[np.ndarray, "readable outputs"]] = {}
        else:
            choice, logits = self._compare(order, looked.pixels, embeddings, progress)
        progress.finish()
        notes += [f"{name} failed: {reason}" for name, reason in self._runs.failures.items()]
        asked = [each.model for each in choice.matches]
        named = {model.record.name: model for model in order}
        readable = tuple(p for p, why in zip(places, looked.reasons, strict=True) if not why)
        sampled = Sampled(
            readable,
            {p: why for p, why in zip(places, looked.reasons, strict=True) if why},
            embeddings,
            {name: logits[name] for name in asked},
        )
        return Found(choice, tuple(named[name] for name in asked), sampled, tuple(notes))

    def _compare(
        self,
        order: Sequence[Runnable],
        pixels: Mapping[PixelSpec, np.ndarray],
        embeddings: Float32[np.ndarray, "readable dim"],
        progress: Progress,
    ) -> tuple[Choice, dict[str, Float64[np.ndarray, "readable outputs"]]]:
        """The choice, from a first look at many models and a longer one at the best of them."""
        question = self._question
        logits = question.others(embeddings)
        spread = _evenly(len(embeddings), FIRST_LOOK)
        few = {spec: rows[spread] for spec, rows in pixels.items()}
        seen = View.of(logits[spread])
        first: dict[str, Float64[np.ndarray, "few outputs"]] = {}
        worth: dict[str, float] = {}
        for start in range(0, len(order), GROUP):
            group = order[start : start + GROUP]
            answers = self._runs.logits(group, few)
            first |= answers
            for name, values in answers.items():
                worth[name] = _explains(seen, values) - _by_chance(seen, values)
            progress.advance(len(group))
            if sum(value >= GOOD_ENOUGH for value in worth.values()) >= question.max_models:
                break
        kept = self._kept(worth, first, seen)
        rest = np.setdiff1d(np.arange(len(embeddings)), spread)
        models = [model for model in order if model.record.name in kept]
        more = self._runs.logits(models, {spec: rows[rest] for spec, rows in pixels.items()})
        whole = {}
        for name in kept:
            if len(rest) and name not in more:
                continue
            values = np.empty((len(embeddings), first[name].shape[1]))
            values[spread] = first[name]
            if len(rest):
                values[rest] = more[name]
            whole[name] = values
        candidates = {name: self._candidate(name, values) for name, values in whole.items()}
        view = View.of(logits)
        found = match_all(list(candidates.values()), question.labels, view, self._probed)
        return choose(found, candidates, view, question.max_models), whole

    def _kept(
        self,
        worth: Mapping[str, float],
        first: Mapping[str, Float64[np.ndarray, "few outputs"]],
        seen: View,
    ) -> list[str]:
        """Models that are looked at longer: the best, and those that may know some labels."""
        most = max(_KEPT, 2 * self._question.max_models)
        best = sorted(worth, key=lambda name: -worth[name])
        candidates = [self._candidate(name, values) for name, values in first.items()]
        some = match_all(candidates, self._question.labels, seen, self._probed)
        known = sorted(some, key=lambda match: -match.fit.nats)
        return list(dict.fromkeys([*best[:most], *(match.model for match in known[:most])]))

    def _order(self) -> list[Runnable]:
        """Models that can be run, those that the probes speak for first."""
        scored = []
        for record in self._hub.records():
            if record.outputs < 2:
                continue
            scored.append((-_explains(self._probed, self._responses(record.name)), record))
        scored.sort(key=lambda each: (each[0], each[1].position))
        found: list[Runnable] = []
        for _, record in scored:
            if len(found) == CANDIDATES:
                break
            try:
                found.append(find_runnable(record))
            except ModelError as error:
                self._gone[record.name] = str(error)
        return found

    def _candidate(self, name: str, logits: Float64[np.ndarray, "pictures outputs"]) -> Candidate:
        names = self._hub.labels(name) if self._question.use_names else ()
        return Candidate(name, logits, self._responses(name), names)

    def _responses(self, name: str) -> Float64[np.ndarray, "probes outputs"]:
        return finite(np.asarray(self._hub.responses(name), np.float64))


def sample_places(pictures: int) -> list[int]:
    """The places of the sample among so many pictures: evenly spaced, all of few."""
    return [int(place) for place in _evenly(pictures, SAMPLE)]


def _evenly(count: int, most: int) -> Int64[np.ndarray, " places"]:
    if count <= most:
        return np.arange(count)
    return np.unique(np.arange(most) * count // most)


def _explains(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """The share of the encoder's information that the model's best outputs explain."""
    view, shares = softmax(seen.logits), softmax(logits)
    outputs = best_assignment(excess(view, shares))
    fit = fit_votes(seen.logits, shares, outputs, (1.0, 0.5))
    return fit.nats / (len(shares) * max(information(view), 1e-9))


def _by_chance(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """What the same model explains of other pictures: more, the more outputs it has to choose."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(logits)) for _ in range(_PERMUTATIONS)]
    return float(np.mean([_explains(seen, logits[order]) for order in orders]))

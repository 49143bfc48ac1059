"""A hub and a sample of the user's pictures → the models that are asked, and why.

Models are taken in the order in which the probes speak for them, which costs nothing: the hub holds
their responses. They are run on a few pictures of the sample, a group at a time, until enough
behave as if they knew all labels; the best of them then on the whole sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.ahead import one_ahead
from lagotto.core.assignment import best_assignment
from lagotto.core.errors import ModelError, ProbeError
from lagotto.core.progress import Progress
from lagotto.core.types import PixelSpec
from lagotto.core.vectors import softmax
from lagotto.encoders.base import Encoder
from lagotto.hubsearch.pipeline import Hub
from lagotto.hubsearch.probe_cache import spec_from_json
from lagotto.hubsearch.records import ModelRecord
from lagotto.specialists.choosing import Choice, choose
from lagotto.specialists.likelihood import fit_votes, information
from lagotto.specialists.looking import Desk, Looked, Read
from lagotto.specialists.matching import (
    PERMUTATIONS,
    Candidate,
    View,
    excess,
    match,
    match_all,
)
from lagotto.specialists.running import ModelRuns, Runnable, find_runnable, finite
from lagotto.specialists.sampling import Sample, Sampled

FIRST_LOOK = 64
"""Pictures of the sample on which every candidate is run; so many at a time follow."""

FEWEST_PICTURES = 24
"""With fewer, agreement cannot be told from chance, and no model is asked."""

CANDIDATES, GROUP = 64, 4
"""At most so many models are run on the first pictures, so many at a time. Looking ends when
max_models behave as if they knew all labels."""

ORDER_PROBES = 2000
"""Probes that decide which models are looked at first, at most about."""

NEAR_ENOUGH = 0.4
"""Then only those are looked at longer that explain so much of what the best one explains."""

_KEPT = 8


Others: TypeAlias = Callable[
    [Float32[np.ndarray, "pictures dim"]], Float64[np.ndarray, "pictures labels"]
]
"""Embeddings of pictures → the logarithms of the labels' probabilities."""


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
        self._models: dict[str, Runnable] = {}
        self._gone: dict[str, str] = {}

    def find(self, reads: Sequence[Read], progress: Progress) -> Found:
        """The models to ask about pictures, of which a sample is read here."""
        desk = Desk(self._runs.folder, reads, self._encoder.info.pixels)
        sample = Sample(desk, self._encoder)
        if desk.pictures >= FEWEST_PICTURES:
            self._runs.warm(self._one_of_each_framework())  # started while responses are read
        order, first = self._order_and_look(sample, asked=desk.pictures >= FEWEST_PICTURES)
        progress.start("looking for models", len(order) + 1, "models")
        progress.advance(1)
        notes: list[str] = []
        choice = Choice((), 1.0)
        logits: dict[str, Float64[np.ndarray, "different outputs"]] = {}
        if first.new < FEWEST_PICTURES:
            sample.embed(first)
            notes.append(
                f"{first.new} different pictures are too few to check a model on; at least "
                f"{FEWEST_PICTURES} are needed, the hub is not asked"
            )
        else:
            choice, logits = self._compare(order, sample, first, progress)
        progress.finish()
        notes += [f"{name} is not asked: {reason}" for name, reason in self._gone.items()]
        notes += [f"{name} failed: {reason}" for name, reason in self._runs.failures.items()]
        asked = [each.model for each in choice.matches]
        sampled = sample.with_logits({name: logits[name] for name in asked})
        return Found(choice, tuple(self._models[name] for name in asked), sampled, tuple(notes))

    def _order_and_look(self, sample: Sample, asked: bool) -> tuple[list[ModelRecord], Looked]:
        """The models in order and the first pictures: at once, if all models may be tried."""
        records = [each for each in self._hub.records() if each.outputs >= 2] if asked else []
        if len(records) > CANDIDATES:
            order = self._order(records)
            return order, sample.look(FIRST_LOOK, _forms(order))
        with ThreadPoolExecutor(1) as beside:
            looking = beside.submit(sample.look, FIRST_LOOK, _forms(records))
            return self._order(records), looking.result()

    def _compare(
        self, order: Sequence[ModelRecord], sample: Sample, first: Looked, progress: Progress
    ) -> tuple[Choice, dict[str, Float64[np.ndarray, "different outputs"]]]:
        """The choice, from a first look at many models and a longer one at the best of them."""
        kept = self._first_look(order, sample, first, progress)
        models = [self._models[name] for name in kept]
        specs = [model.pixels for model in models]
        steps = []
        for looked in one_ahead(_steps(sample, specs)) if models else ():
            sample.embed(looked)
            steps.append(looked)
        more = self._runs.logits(models, [looked.pixels for looked in steps])
        for looked in steps:
            looked.discard()
        whole = kept
        if steps:
            whole = {name: np.concatenate([kept[name], values]) for name, values in more.items()}
        candidates = {name: self._candidate(name, values) for name, values in whole.items()}
        view = View.of(self._question.others(sample.embeddings))
        found = match_all(list(candidates.values()), self._question.labels, view, self._probed)
        return choose(found, candidates, view, self._question.max_models), whole

    def _first_look(
        self, order: Sequence[ModelRecord], sample: Sample, first: Looked, progress: Progress
    ) -> dict[str, Float64[np.ndarray, "few outputs"]]:
        """The logits of models that are looked at longer, on the first pictures."""
        sample.embed(first)
        seen = View.of(self._question.others(sample.embeddings))
        answers: dict[str, Float64[np.ndarray, "few outputs"]] = {}
        whole: dict[str, float] = {}
        for start in range(0, len(order), GROUP):
            group = order[start : start + GROUP]
            found = self._runs.logits(self._runnable(group), [first.pixels])
            answers |= found
            whole |= self._whole(found, seen)
            progress.advance(len(group))
            if len(whole) >= self._question.max_models:
                break
        first.discard()
        kept = self._near(whole) or self._kept(answers, seen)
        return {name: answers[name] for name in kept}

    def _whole(
        self, answers: Mapping[str, Float64[np.ndarray, "few outputs"]], seen: View
    ) -> dict[str, float]:
        """The models that behave as if they knew all labels, and how much they explain."""
        matches = [
            match(
                self._candidate(name, values),
                self._question.labels,
                seen,
                self._probed,
                behaviour_only=True,
            )
            for name, values in answers.items()
        ]
        return {each.model: each.explains for each in matches if each is not None and each.whole}

    def _near(self, whole: Mapping[str, float]) -> list[str]:
        """Of models that know all labels those near the best, if there are enough of them."""
        near = [name for name in whole if whole[name] >= NEAR_ENOUGH * max(whole.values())]
        return near if len(near) >= self._question.max_models else []

    def _kept(
        self, first: Mapping[str, Float64[np.ndarray, "few outputs"]], seen: View
    ) -> list[str]:
        """Models that are looked at longer: the best, and those that may know some labels."""
        worth = {
            name: _explains(seen, values) - _by_chance(seen, values)
            for name, values in first.items()
        }
        most = max(_KEPT, 2 * self._question.max_models)
        best = sorted(worth, key=lambda name: -worth[name])
        candidates = [self._candidate(name, values) for name, values in first.items()]
        some = match_all(candidates, self._question.labels, seen, self._probed)
        known = sorted(some, key=lambda each: -each.fit.nats)
        return list(dict.fromkeys([*best[:most], *(each.model for each in known[:most])]))

    def _one_of_each_framework(self) -> list[Runnable]:
        found: dict[str, Runnable] = {}
        for record in self._hub.records():
            if record.framework not in found:
                with suppress(ModelError):
                    found[record.framework] = find_runnable(record)
        return list(found.values())

    def _order(self, records: Sequence[ModelRecord]) -> list[ModelRecord]:
        """Models whose files are there, those that the probes speak for first."""
        scored = [(-self._by_probes(record.name), record) for record in records]
        scored.sort(key=lambda each: (each[0], each[1].position))
        found: list[ModelRecord] = []
        for _, record in scored:
            if len(found) == CANDIDATES:
                break
            if Path(record.source).exists():
                found.append(record)
            else:
                self._runnable([record])  # notes why it is not
        return found

    def _runnable(self, records: Sequence[ModelRecord]) -> list[Runnable]:
        """Those whose file is there, unchanged."""
        found = []
        for record in records:
            try:
                found.append(find_runnable(record))
            except ModelError as error:
                self._gone[record.name] = str(error)
        self._models |= {model.record.name: model for model in found}
        return found

    def _by_probes(self, name: str) -> float:
        """How much a model explains of what the encoder sees on some of the probes."""
        responses, probes = self._responses(name)
        view = self._probed.logits if probes is None else self._probed.logits[probes]
        few = slice(None, None, max(1, -(-len(view) // ORDER_PROBES)))
        return _explains(View.of(view[few]), finite(responses[few]))

    def _candidate(self, name: str, logits: Float64[np.ndarray, "pictures outputs"]) -> Candidate:
        names = self._hub.labels(name) if self._question.use_names else ()
        responses, probes = self._responses(name)
        return Candidate(name, logits, finite(responses), names, probes)

    def _responses(
        self, name: str
    ) -> tuple[Float32[np.ndarray, "seen outputs"], Int64[np.ndarray, " seen"] | None]:
        """What a model answered, and on which probes if not on all: what it was not shown is no
        evidence, however well it may be predicted."""
        probes = self._hub.seen_probes(name)
        answered = self._hub.answered(name)
        if len(probes) == len(answered):
            return answered, None
        return answered[probes], probes


def _forms(records: Sequence[ModelRecord]) -> list[PixelSpec]:
    """What models take; one whose record does not say so is told of when its turn comes."""
    found = []
    for record in records:
        with suppress(ProbeError):
            found.append(spec_from_json(record.input.get("pixels")))
    return found


def _steps(sample: Sample, specs: Sequence[PixelSpec]) -> Iterator[Looked]:
    """What is left of a sample, some pictures at a time."""
    while (looked := sample.look(FIRST_LOOK, specs)).new:
        yield looked
    looked.discard()


def _explains(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """The share of the encoder's information that the model's best outputs explain."""
    view, shares = softmax(seen.logits), softmax(logits)
    outputs = best_assignment(excess(view, shares))
    fit = fit_votes(seen.logits, shares, outputs, (1.0, 0.5))
    return fit.nats / (len(shares) * max(information(view), 1e-9))


def _by_chance(seen: View, logits: Float64[np.ndarray, "pictures outputs"]) -> float:
    """What the same model explains of other pictures: more, the more outputs it has to choose."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(logits)) for _ in range(PERMUTATIONS)]
    return float(np.mean([_explains(seen, logits[order]) for order in orders]))

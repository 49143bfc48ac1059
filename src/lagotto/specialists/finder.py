"""A hub and a sample of the user's pictures → the models that are asked, and why.

Models are taken in the order in which the probes speak for them, which costs nothing: the hub holds
their responses. They are run on a few pictures of the sample, a group at a time, until enough
behave as if they knew all labels; the best of them on some more, and those that are then the best
on the whole sample.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lagotto.core.errors import ModelError, ProbeError
from lagotto.core.prefetch import prefetch
from lagotto.core.progress import Progress
from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder
from lagotto.hub.hub import Hub
from lagotto.hub.probes.pixel_cache import spec_from_json
from lagotto.hub.store.records import ModelRecord
from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.matching import SpecialistCandidate, match_all
from lagotto.specialists.model_runs import (
    ModelRuns,
    Runnable,
    find_runnable,
    finite,
)
from lagotto.specialists.pixel_batches import (
    PixelBatch,
    PixelStage,
    Read,
)
from lagotto.specialists.probe_evidence import Behaviour, View
from lagotto.specialists.sampling import PictureSample, Sampled
from lagotto.specialists.selection import Selection, choose
from lagotto.specialists.shortlist import (
    explains,
    likely,
    promising,
    settled,
    without_copies,
)

FIRST_LOOK = 64
"""Pictures of the sample on which every candidate is run; so many at a time follow."""

FEWEST_PICTURES = 24
"""With fewer, agreement cannot be told from chance, and no model is asked."""

CANDIDATES, GROUP = 64, 4
"""At most so many models are run on the first pictures; first so many, then as many as before each
time. Looking ends when max_models of them would be asked by then."""

ORDER_PROBES = 2000
"""Probes that decide which models are looked at first, at most about."""

ModelAnswers: TypeAlias = Mapping[str, Float64[np.ndarray, "_pictures _outputs"]]
"""The logits of models by name."""

Others: TypeAlias = Callable[
    [Float32[np.ndarray, "pictures dim"]], Float64[np.ndarray, "pictures labels"]
]
"""Embeddings of pictures → the logarithms of the labels' probabilities."""


@dataclass(frozen=True, slots=True)
class FoundSpecialists:
    """The models that are asked. `notes` say what else is worth knowing, one line each."""

    choice: Selection
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
        self._known: dict[str, tuple[Behaviour, Int64[np.ndarray, " labels"]]] = {}
        self._gone: dict[str, str] = {}

    def find(self, reads: Sequence[Read], progress: Progress) -> FoundSpecialists:
        """The models to ask about pictures, of which a sample is read here."""
        desk = PixelStage(self._runs.folder, reads, self._encoder.info.pixels)
        sample = PictureSample(desk, self._encoder)
        if desk.pictures >= FEWEST_PICTURES:
            self._runs.warm(self._one_of_each_framework())  # started while responses are read
        order, first = self._order_and_look(sample, asked=desk.pictures >= FEWEST_PICTURES)
        progress.start("looking for models", len(order) + 1, "models")
        progress.advance(1)
        notes: list[str] = []
        choice = Selection((), 1.0)
        logits: ModelAnswers = {}
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
        return FoundSpecialists(
            choice, tuple(self._models[name] for name in asked), sampled, tuple(notes)
        )

    def _order_and_look(
        self, sample: PictureSample, asked: bool
    ) -> tuple[list[ModelRecord], PixelBatch]:
        """The models in order and the first pictures: at once, if all models may be tried."""
        records = [each for each in self._hub.records() if each.outputs >= 2] if asked else []
        if len(records) > CANDIDATES:
            order = self._order(records)
            return order, sample.look(FIRST_LOOK, _forms(order))
        with ThreadPoolExecutor(1) as beside:
            looking = beside.submit(sample.look, FIRST_LOOK, _forms(records))
            return self._order(records), looking.result()

    def _compare(
        self,
        order: Sequence[ModelRecord],
        sample: PictureSample,
        first: PixelBatch,
        progress: Progress,
    ) -> tuple[Selection, ModelAnswers]:
        """The choice, from a first look at many models and longer ones at the best of them."""
        kept = self._first_look(order, sample, first, progress)
        steps = prefetch(_steps(sample, self._specs(kept))) if kept else iter(())
        most = self._question.max_models
        if len(kept) > most and (second := list(islice(steps, 1))):
            kept = self._looked_longer(kept, sample, second)
            names = likely(self._candidates(kept), self._view(sample), most)
            kept = {name: kept[name] for name in names}
        whole = self._looked_longer(kept, sample, steps)
        candidates, seen = self._candidates(whole), self._view(sample)
        found = match_all(list(candidates.values()), seen)
        return choose(found, candidates, seen, most), whole

    def _first_look(
        self,
        order: Sequence[ModelRecord],
        sample: PictureSample,
        first: PixelBatch,
        progress: Progress,
    ) -> ModelAnswers:
        """The logits of models that are looked at longer, on the first pictures."""
        sample.embed(first)
        seen, most = self._view(sample), self._question.max_models
        answers: dict[str, Float64[np.ndarray, "_few _outputs"]] = {}
        kept: list[str] = []
        for group in _groups(order):
            answers |= self._runs.logits(self._runnable(group), [first.pixels])
            candidates = self._candidates(answers)
            candidates = {name: candidates[name] for name in without_copies(candidates)}
            answers = {name: answers[name] for name in candidates}
            progress.advance(len(group))
            if kept := settled(candidates, seen, most):
                break
        first.discard()
        kept = kept or promising(self._candidates(answers), seen, most)
        return {name: answers[name] for name in kept}

    def _looked_longer(
        self, known: ModelAnswers, sample: PictureSample, steps: Iterable[PixelBatch]
    ) -> ModelAnswers:
        """What models say of more of the sample, after what they said; one that fails is gone."""
        looks = []
        for looked in steps:
            sample.embed(looked)
            looks.append(looked)
        if not looks:
            return known
        models = [self._models[name] for name in known]
        more = self._runs.logits(models, [looked.pixels for looked in looks])
        for looked in looks:
            looked.discard()
        return {name: np.concatenate([known[name], values]) for name, values in more.items()}

    def _view(self, sample: PictureSample) -> View:
        """What the other voices say of all pictures of the sample that were embedded so far."""
        return View.of(self._question.others(sample.embeddings))

    def _candidates(self, answers: ModelAnswers) -> dict[str, SpecialistCandidate]:
        return {name: self._candidate(name, values) for name, values in answers.items()}

    def _specs(self, names: Iterable[str]) -> list[PixelSpec]:
        """What models take that were run already."""
        return [self._models[name].pixels for name in names]

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
        return explains(View.of(view[few]), finite(responses[few]))

    def _candidate(
        self, name: str, logits: Float64[np.ndarray, "pictures outputs"]
    ) -> SpecialistCandidate:
        if name not in self._known:
            names = self._hub.labels(name) if self._question.use_names else ()
            responses, probes = self._responses(name)
            behaviour = Behaviour.of(responses, self._probed, probes)
            self._known[name] = behaviour, named_outputs(self._question.labels, names)
        return SpecialistCandidate(name, logits, *self._known[name])

    def _responses(
        self, name: str
    ) -> tuple[Float32[np.ndarray, "seen outputs"], Int64[np.ndarray, " seen"] | None]:
        """What a model answered, and on which probes if not on all: what it was not shown is no
        evidence, however well it may be predicted."""
        probes = self._hub.seen_probes(name)
        answered = self._hub.observed_responses(name)
        if len(probes) == len(answered):
            return answered, None
        return answered[probes], probes


def _groups(order: Sequence[ModelRecord]) -> Iterator[Sequence[ModelRecord]]:
    """The models in order, GROUP first and then as many as before each time."""
    start, stop = 0, GROUP
    while start < len(order):
        yield order[start:stop]
        start, stop = stop, 2 * stop


def _forms(records: Sequence[ModelRecord]) -> list[PixelSpec]:
    """What models take; one whose record does not say so is told of when its turn comes."""
    found = []
    for record in records:
        with suppress(ProbeError):
            found.append(spec_from_json(record.input.get("pixels")))
    return found


def _steps(sample: PictureSample, specs: Sequence[PixelSpec]) -> Iterator[PixelBatch]:
    """What is left of a sample, some pictures at a time."""
    while (looked := sample.look(FIRST_LOOK, specs)).new:
        yield looked
    looked.discard()

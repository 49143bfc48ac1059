"""A hub and the user's pictures come in; the models of the hub that know the labels go out.

Models are ordered by the information that their stored responses to the probes explain, which runs
no model. In that order they run on a few pictures of a sample, a group at a time, until enough of
them behave as if they knew all labels. The best ones run on more pictures of the sample, and the
best of those on the rest of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
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
from lagotto.hub.labels.named import likely_labels
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.stored import HubTwins, open_twins
from lagotto.hub.probes.pixel_cache import spec_from_json
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import ModelRecord
from lagotto.hub.text.matching import FIRMLY
from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.matching import SpecialistCandidate, match_all
from lagotto.specialists.model_runs import (
    ModelRuns,
    Runnable,
    find_runnable,
    replace_nonfinite,
)
from lagotto.specialists.pictures.pixel_batches import (
    ImageReader,
    PixelBatch,
    PixelStage,
)
from lagotto.specialists.pictures.sampling import PictureSample, SampleResult
from lagotto.specialists.probe_evidence import EncoderView, ProbeEvidence
from lagotto.specialists.selection import Selection, select_models
from lagotto.specialists.shortlist import (
    explained_information,
    finalists_so_far,
    likely_models,
    promising_models,
    without_copies,
)

STEP_PICTURES = 64
"""Pictures in one step of the sample. Every candidate runs on the first step."""

MIN_SAMPLE_PICTURES = 24
"""With fewer pictures agreement cannot be distinguished from chance, and no model votes."""

MAX_CANDIDATES, GROUP_SIZE = 64, 4
"""Models that run on the first step at most, and the size of the first group of them. Each further
group doubles the number of models; the search stops when max_models of them would be selected."""

ORDER_PROBES = 2000
"""Probes that decide the order of the models, at most about this many."""

LogitsByModel: TypeAlias = Mapping[str, Float64[np.ndarray, "_pictures _outputs"]]
"""The logits of models by name."""

OtherVotes: TypeAlias = Callable[
    [Float32[np.ndarray, "pictures dim"]], Float64[np.ndarray, "pictures labels"]
]
"""A function from embeddings of pictures to log probabilities of the labels."""


@dataclass(frozen=True, slots=True)
class FinderResult:
    """The selected models, the sample on which they were selected, and `notes` for the user."""

    selection: Selection
    models: tuple[Runnable, ...]
    sample: SampleResult
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpecialistQuery:
    """A set of labels for which models are searched.

    `labels` are the labels as words, `prompts` their unit embeddings. `others` gives the label
    probabilities by image and captions, with which models are compared.
    """

    labels: tuple[str, ...]
    prompts: Float32[np.ndarray, "labels dim"]
    others: OtherVotes
    max_models: int
    use_names: bool = True


class Finder:
    """Searches a hub for models that know a set of labels; the module describes the method."""

    def __init__(
        self, hub: HubReader, encoder: Encoder, query: SpecialistQuery, runs: ModelRuns
    ) -> None:
        self._hub = hub
        self._encoder = encoder
        self._query = query
        self._runs = runs
        on_probes = encoder.info.logit_scale * (hub.probe_embeddings @ query.prompts.T)
        self._probe_view = EncoderView.of(on_probes.astype(np.float64))
        self._models: dict[str, Runnable] = {}
        self._evidence: dict[str, tuple[ProbeEvidence, Int64[np.ndarray, " labels"], bool]] = {}
        self._unavailable: dict[str, str] = {}
        self._named: dict[str, Int64[np.ndarray, " labels"]] = {}

    def find(self, readers: Sequence[ImageReader], progress: Progress) -> FinderResult:
        """Selects models on a sample of the pictures.

        Args:
            readers: The pictures, as functions that return the bytes of a file.
            progress: Receives the progress of the search.
        """
        stage = PixelStage(self._runs.folder, readers, self._encoder.info.pixels)
        sample = PictureSample(stage, self._encoder)
        if stage.pictures >= MIN_SAMPLE_PICTURES:
            self._runs.warm(self._one_of_each_framework())  # started while responses are read
        enough_pictures = stage.pictures >= MIN_SAMPLE_PICTURES
        order, batch = self._order_and_load(sample, enough_pictures)
        progress.start("looking for models", len(order) + 1, "models")
        progress.advance(1)
        notes: list[str] = []
        selection = Selection((), 1.0)
        logits: LogitsByModel = {}
        if batch.new < MIN_SAMPLE_PICTURES:
            sample.embed(batch)
            notes.append(
                f"{batch.new} different pictures are too few to check a model on; at least "
                f"{MIN_SAMPLE_PICTURES} are needed, the hub is not asked"
            )
        else:
            selection, logits = self._compare(order, sample, batch, progress)
        progress.finish()
        notes += [f"{name} is not asked: {reason}" for name, reason in self._unavailable.items()]
        notes += [f"{name} failed: {reason}" for name, reason in self._runs.failures.items()]
        names = [match.model for match in selection.matches]
        models = tuple(self._models[name] for name in names)
        sampled = sample.with_logits({name: logits[name] for name in names})
        return FinderResult(selection, models, sampled, tuple(notes))

    def _order_and_load(
        self, sample: PictureSample, enough_pictures: bool
    ) -> tuple[list[ModelRecord], PixelBatch]:
        """The models in order and the first pictures; computed in parallel if all models are
        candidates, because then the pixel formats do not depend on the order."""
        records = [record for record in self._hub.records() if record.outputs >= 2]
        records = records if enough_pictures else []
        if len(records) > MAX_CANDIDATES:
            order = self._order(records)
            return order, sample.load(STEP_PICTURES, _pixel_specs(order))
        with ThreadPoolExecutor(1) as beside:
            loading = beside.submit(sample.load, STEP_PICTURES, _pixel_specs(records))
            return self._order(records), loading.result()

    def _compare(
        self,
        order: Sequence[ModelRecord],
        sample: PictureSample,
        batch: PixelBatch,
        progress: Progress,
    ) -> tuple[Selection, LogitsByModel]:
        """The selection: many models run on few pictures, the best of them on more."""
        finalists = self._screen(order, sample, batch, progress)
        specs, max_models = self._specs(finalists), self._query.max_models
        steps = prefetch(_remaining_batches(sample, specs)) if finalists else iter(())
        if len(finalists) > max_models and (second := list(islice(steps, 1))):
            finalists = self._run_further(finalists, sample, second)
            names = likely_models(self._candidates(finalists), self._view(sample), max_models)
            finalists = {name: finalists[name] for name in names}
        logits = self._run_further(finalists, sample, steps)
        candidates, view = self._candidates(logits), self._view(sample)
        matches = match_all(list(candidates.values()), view)
        return select_models(matches, candidates, view, max_models), logits

    def _screen(
        self,
        order: Sequence[ModelRecord],
        sample: PictureSample,
        batch: PixelBatch,
        progress: Progress,
    ) -> LogitsByModel:
        """The models that run on more pictures, with their logits on the first pictures."""
        sample.embed(batch)
        view, max_models = self._view(sample), self._query.max_models
        logits: dict[str, Float64[np.ndarray, "_few _outputs"]] = {}
        finalists: list[str] = []
        for group in _groups(order):
            logits |= self._runs.logits(self._runnable(group), [batch.pixels])
            candidates = self._candidates(logits)
            candidates = {name: candidates[name] for name in without_copies(candidates)}
            logits = {name: logits[name] for name in candidates}
            progress.advance(len(group))
            if finalists := finalists_so_far(candidates, view, max_models):
                break
        batch.discard()
        finalists = finalists or promising_models(self._candidates(logits), view, max_models)
        return {name: logits[name] for name in finalists}

    def _run_further(
        self, logits_so_far: LogitsByModel, sample: PictureSample, steps: Iterable[PixelBatch]
    ) -> LogitsByModel:
        """Runs models on further batches and appends the logits; a model that fails is dropped."""
        batches = []
        for batch in steps:
            sample.embed(batch)
            batches.append(batch)
        if not batches:
            return logits_so_far
        models = [self._models[name] for name in logits_so_far]
        more = self._runs.logits(models, [batch.pixels for batch in batches])
        for batch in batches:
            batch.discard()
        return {
            name: np.concatenate([logits_so_far[name], values]) for name, values in more.items()
        }

    def _view(self, sample: PictureSample) -> EncoderView:
        """The view of image and captions on the sample so far."""
        return EncoderView.of(self._query.others(sample.embeddings))

    def _candidates(self, logits: LogitsByModel) -> dict[str, SpecialistCandidate]:
        return {name: self._candidate(name, values) for name, values in logits.items()}

    def _specs(self, names: Iterable[str]) -> list[PixelSpec]:
        """The pixel formats of models that ran already."""
        return [self._models[name].pixels for name in names]

    def _one_of_each_framework(self) -> list[Runnable]:
        models: dict[str, Runnable] = {}
        for record in self._hub.records():
            if record.framework not in models:
                with suppress(ModelError):
                    models[record.framework] = find_runnable(record)
        return list(models.values())

    def _order(self, records: Sequence[ModelRecord]) -> list[ModelRecord]:
        """The first MAX_CANDIDATES models whose files exist, by explained information on probes.

        Of more models those go first that a believed label, their own or a twin's, says to know
        several of the labels.
        """
        many = len(records) > MAX_CANDIDATES
        scored = [
            (
                -self._knows(record.name) if many else 0,
                -self._probe_information(record.name),
                record,
            )
            for record in records
        ]
        scored.sort(key=lambda entry: (*entry[:2], entry[2].position))
        order: list[ModelRecord] = []
        for *_, record in scored:
            if len(order) == MAX_CANDIDATES:
                break
            if Path(record.source).exists():
                order.append(record)
            else:
                self._runnable([record])  # records the reason
        return order

    def _runnable(self, records: Sequence[ModelRecord]) -> list[Runnable]:
        """The models whose file exists and is unchanged."""
        models = []
        for record in records:
            try:
                models.append(find_runnable(record))
            except ModelError as error:
                self._unavailable[record.name] = str(error)
        self._models |= {model.record.name: model for model in models}
        return models

    def _probe_information(self, name: str) -> float:
        """The share of the encoder's information on some of the probes that a model explains."""
        responses, probes = self._responses(name)
        view = self._probe_view.logits if probes is None else self._probe_view.logits[probes]
        step = slice(None, None, max(1, -(-len(view) // ORDER_PROBES)))
        return explained_information(EncoderView.of(view[step]), replace_nonfinite(responses[step]))

    def _candidate(
        self, name: str, logits: Float64[np.ndarray, "pictures outputs"]
    ) -> SpecialistCandidate:
        if name not in self._evidence:
            responses, probes = self._responses(name)
            evidence = ProbeEvidence.of(responses, self._probe_view, probes)
            self._evidence[name] = evidence, self._named_outputs(name), self._borrows(name)
        return SpecialistCandidate(name, logits, *self._evidence[name])

    def _named_outputs(self, name: str) -> Int64[np.ndarray, " labels"]:
        """The output of a model under each label's name, by its own list or by its twins'."""
        if name not in self._named:
            trust, twins = self._twins
            names = likely_labels(self._hub, trust, twins, name) if self._query.use_names else ()
            self._named[name] = named_outputs(self._query.labels, names)
        return self._named[name]

    def _borrows(self, name: str) -> bool:
        """Whether all names of a model's named outputs are those of its twins."""
        outputs = self._named_outputs(name)
        outputs = outputs[outputs >= 0]
        if not len(outputs):
            return False
        own, likely = self._hub.labels(name), likely_labels(self._hub, *self._twins, name)
        return all(likely[output] != own[output] for output in outputs.tolist())

    def _knows(self, name: str) -> int:
        """How many of the labels a believed label says that the model knows; fewer than 2 are 0."""
        trust, _ = self._twins
        outputs = self._named_outputs(name)
        outputs = outputs[outputs >= 0]
        own = self._hub.labels(name)
        likely = likely_labels(self._hub, *self._twins, name)
        count = sum(
            likely[output] != own[output] or trust.level(name, output) >= FIRMLY
            for output in outputs.tolist()
        )
        return count if count > 1 else 0

    @cached_property
    def _twins(self) -> tuple[LabelTrust, HubTwins]:
        """How far the hub's labels are believed, and the twins of those that are."""
        trust = LabelTrust(self._hub.label_lists(), self._hub.references())
        return trust, open_twins(HubLayout(self._hub.folder).twins, self._hub, trust)

    def _responses(
        self, name: str
    ) -> tuple[Float32[np.ndarray, "seen outputs"], Int64[np.ndarray, " seen"] | None]:
        """A model's measured responses, and their probes if it did not answer all.

        Responses that were completed, not measured, are no evidence.
        """
        probes = self._hub.seen_probes(name)
        answered = self._hub.observed_responses(name)
        if len(probes) == len(answered):
            return answered, None
        return answered[probes], probes


def _groups(order: Sequence[ModelRecord]) -> Iterator[Sequence[ModelRecord]]:
    """The models in order, in groups: GROUP_SIZE models, then each time as many as before."""
    start, stop = 0, GROUP_SIZE
    while start < len(order):
        yield order[start:stop]
        start, stop = stop, 2 * stop


def _pixel_specs(records: Sequence[ModelRecord]) -> list[PixelSpec]:
    """The pixel formats of models; a model whose record has none fails later, when it is run."""
    specs = []
    for record in records:
        with suppress(ProbeError):
            specs.append(spec_from_json(record.input.get("pixels")))
    return specs


def _remaining_batches(sample: PictureSample, specs: Sequence[PixelSpec]) -> Iterator[PixelBatch]:
    """The rest of a sample, STEP_PICTURES at a time."""
    while (batch := sample.load(STEP_PICTURES, specs)).new:
        yield batch
    batch.discard()

"""Models → responses files, on a runner: inspect, prepare the pixels, probe.

Every model ends with an answer or with the reason why it has none; `pipeline.py` decides what
becomes of either.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError, ModelError, ProbeError, UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.input_record import is_inferred
from lagotto.hub.ingest.worker_tasks import source_to_json
from lagotto.hub.probes.fill_cache import prepare_pixels
from lagotto.hub.probes.pixel_cache import ProbeCache, spec_from_json
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.store.records import ModelFacts
from lagotto.hub.store.responses import read_responses
from lagotto.jobs.base import Failure, Outcome, Runner, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models


@dataclass(frozen=True, slots=True)
class Assignment:
    """A model and the probes that it shall have seen in the end; `seen` None: all of them.

    `known` is a file of its responses on `already` of them, which are not taken again.
    """

    source: ModelSource
    seen: tuple[int, ...] | None = None
    known: Path | None = None
    already: int = 0

    def rows(self, probes: int) -> int:
        """How many of that many probes the model has seen in the end."""
        return probes if self.seen is None else len(self.seen)


@dataclass(frozen=True, slots=True)
class ProbedModel:
    """What became of a model: facts and its staged responses file, or a failure."""

    digest: str
    facts: ModelFacts | None
    staged: Path
    failure: Failure | None


def probe_models(
    runner: Runner,
    assignments: Mapping[str, Assignment],
    probe_set: ProbeSet,
    cache_folder: Path,
    staging: Path,
    progress: Progress,
) -> Iterator[ProbedModel]:
    """Runs models (by behaviour digest) over their probes; a result each, in order of completion.

    Raises HubError where the probes themselves cannot be read or the cache cannot be written.
    """
    pixels: dict[str, PixelSpec] = {}
    sources = {digest: each.source for digest, each in assignments.items()}
    settled: dict[str, JsonObject] = {}
    progress.start("loading models", len(sources), "models")
    for outcome in runner.run(inspections(sources, probe_set)):
        progress.advance(1)
        try:
            pixels[outcome.key] = _pixels(outcome)
            record = _value(outcome).get("record")
            if isinstance(record, dict) and is_inferred(record):
                settled[outcome.key] = record
        except _TaskFailedError as error:
            yield ProbedModel(outcome.key, None, staging, error.failure)
    progress.finish()
    if not pixels:
        return
    prepare_pixels(runner, probe_set, cache_folder, list(pixels.values()), progress)
    probes = len(probe_set.probes)
    pending = {digest: each for digest, each in assignments.items() if digest in pixels}
    tasks = _probings(pending, settled, probe_set, cache_folder, staging)
    pictures = {digest: each.rows(probes) - each.already for digest, each in pending.items()}
    meter = _Meter(progress, pictures)
    for outcome in runner.run(tasks, meter.advance):
        meter.end(outcome.key)
        staged = _staged(staging, outcome.key)
        try:
            facts = _facts(outcome, staged, probe_set, pending[outcome.key].rows(probes))
        except _TaskFailedError as error:
            yield ProbedModel(outcome.key, None, staged, error.failure)
        else:
            yield ProbedModel(outcome.key, facts, staged, None)
    progress.finish()


class _TaskFailedError(Exception):
    """Carries the failure of a task to where it is recorded."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class _Meter:
    """Counts the pictures that the models have seen; a failed model counts as done with."""

    def __init__(self, progress: Progress, pictures: Mapping[str, int]) -> None:
        progress.start("probing", sum(pictures.values()), "pictures")
        self._progress = progress
        self._models = len(pictures)
        self._pictures = pictures
        self._seen: dict[str, int] = {}
        self._ended = 0

    def advance(self, key: str, count: int) -> None:
        """`count` more pictures went through a model."""
        self._seen[key] = self._seen.get(key, 0) + count
        self._progress.advance(count, f"{self._ended}/{self._models} models")

    def end(self, key: str) -> None:
        """A model ended; what it did not see is counted now, so that the time left stays right."""
        self._ended += 1
        rest = self._pictures[key] - self._seen.pop(key, 0)
        self._progress.advance(rest, f"{self._ended}/{self._models} models")


def inspections(sources: Mapping[str, ModelSource], probe_set: ProbeSet) -> Iterator[Task]:
    """The tasks that tell how models are run; each answer is that of tasks.inspect_model."""
    probes = str(probe_set.folder.absolute())
    for digest, source in sources.items():
        payload: JsonObject = {"model": source_to_json(source), "probes": probes}
        yield Task(digest, "lagotto.hub.ingest.worker_tasks:inspect_model", payload)


def _probings(
    assignments: Mapping[str, Assignment],
    settled: Mapping[str, JsonObject],
    probe_set: ProbeSet,
    cache_folder: Path,
    staging: Path,
) -> Iterator[Task]:
    for digest, each in assignments.items():
        payload: JsonObject = {
            "model": source_to_json(each.source),
            "settled": settled.get(digest),
            "digest": digest,
            "probes": str(probe_set.folder.absolute()),
            "probe_digest": probe_set.digest,
            "cache": str(cache_folder.absolute()),
            "out": str(_staged(staging, digest).absolute()),
            "seen": None if each.seen is None else list(each.seen),
            "known": None if each.known is None else str(each.known.absolute()),
        }
        yield Task(digest, "lagotto.hub.ingest.worker_tasks:probe_model", payload)


def _staged(staging: Path, digest: str) -> Path:
    return staging / f"{digest}.safetensors"


def _value(outcome: Outcome) -> JsonObject:
    if outcome.value is None:
        raise _TaskFailedError(outcome.failure or Failure("error", "no answer"))
    return outcome.value


def _pixels(outcome: Outcome) -> PixelSpec:
    try:
        return spec_from_json(_value(outcome).get("pixels"))
    except ProbeError as error:
        raise _TaskFailedError(Failure("error", f"its worker gave {error}")) from error


def _facts(outcome: Outcome, staged: Path, probe_set: ProbeSet, rows: int) -> ModelFacts:
    """What the catalogue keeps of a model, checked against the file that its worker wrote.

    Raises HubError where the worker could not write it: no other model's would be written either.
    """
    value = _value(outcome)
    if "unwritable" in value:
        raise HubError(str(value["unwritable"]))
    spec = value.get("spec")
    try:
        responses = read_responses(staged, probe_set.digest)
    except HubError as error:
        raise _TaskFailedError(Failure("error", str(error))) from error
    flaws = measure_moments(responses.values).flaw
    match spec:
        case {
            "framework": str(framework),
            "outputs": int(outputs),
            "output": str(output),
            "logits_source": str(logits_source),
            "labels": None | list() as labels,
            "notes": list(notes),
            "input": dict(described),
        } if responses.values.shape == (rows, outputs):
            return ModelFacts(
                framework=framework,
                outputs=outputs,
                output=output,
                logits_source=logits_source,
                input=described,
                notes=tuple(str(note) for note in notes),
                labels=None if labels is None else tuple(str(label) for label in labels),
                flaws=flaws,
                responses_sha256=responses.sha256,
            )
        case _:
            raise _TaskFailedError(
                Failure("error", "its worker gave an answer that does not fit its file")
            )


def probe_outside(
    file: Path, probe_set: ProbeSet, cache_folder: Path, limits: Limits
) -> Float32[np.ndarray, "probes logits"]:
    """The responses of one model that is not in the hub; nothing is written to the hub.

    Raises ModelError with the reason if it cannot be probed, UsageError unless `file` is one model.
    """
    sources = scan_models([file])
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources[:3])
        raise UsageError(f"{file} holds {len(sources)} models ({names}, ...); name one of them")
    with tempfile.TemporaryDirectory(prefix="lagotto-") as temporary:
        runner = limits.start(Path(temporary))
        try:
            inside = _inside_cache(runner, sources[0], probe_set, cache_folder)
            cache = cache_folder if inside else Path(temporary) / "cache"
            source = {"outside": Assignment(sources[0])}
            for probed in probe_models(runner, source, probe_set, cache, Path(temporary), Silent()):
                if probed.failure is not None:
                    raise ModelError(f"{file} cannot be probed: {probed.failure.reason}")
                return np.array(read_responses(probed.staged).values)
        finally:
            runner.close()
    raise ModelError(f"{file} cannot be probed: no answer")


def _inside_cache(
    runner: Runner, source: ModelSource, probe_set: ProbeSet, cache_folder: Path
) -> bool:
    """Whether the hub's cache already holds what the model needs, so that nothing is decoded."""
    for outcome in runner.run(inspections({"outside": source}, probe_set)):
        if outcome.failure is None:
            cache = ProbeCache(probe_set.folder, cache_folder)
            return not cache.missing([_pixels(outcome)])
    return False

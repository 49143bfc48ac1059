"""Models come in; files of raw responses go out, or the reasons why there are none.

A runner does three things in order: it loads each model and infers its input, it decodes the pixels
that the models need, and it runs each model over its probes. The models that take longest begin, so
that in the end no worker waits for another.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.devices.placement import CPU
from lagotto.core.devices.use import DEVICE_LOG
from lagotto.core.errors import HubError, ModelError, ProbeError, UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.input_record import is_inferred, with_device, with_recognized
from lagotto.hub.ingest.worker_tasks import source_to_json
from lagotto.hub.probes.fill_cache import find_refusal, prepare_pixels
from lagotto.hub.probes.pixel_cache import ProbeCache, spec_from_json
from lagotto.hub.probes.probe_set import PROBES_NAME, ProbeSet
from lagotto.hub.store.records import ModelFacts
from lagotto.hub.store.responses import read_responses
from lagotto.jobs.base import Failure, Outcome, Runner, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import place_models


@dataclass(frozen=True, slots=True)
class ProbingJob:
    """A model, and the probes that it has seen when the job is done; `probes` None means all.

    `earlier` is a file with its responses on `earlier_rows` of those probes; it is not run on them
    again. `record` says how it is fed, if that was inferred before and is not to be inferred again.
    """

    source: ModelSource
    probes: tuple[int, ...] | None = None
    earlier: Path | None = None
    earlier_rows: int = 0
    record: JsonObject | None = None

    def rows(self, probe_count: int) -> int:
        """The number of probes that the model has seen in the end, of that many in the set."""
        return probe_count if self.probes is None else len(self.probes)


@dataclass(frozen=True, slots=True)
class ProbedModel:
    """The result of a job: facts and a staged file of responses, or a failure."""

    digest: str
    facts: ModelFacts | None
    staged: Path
    failure: Failure | None


def place_limits(limits: Limits) -> Limits:
    """Limits with a device that is here: the CPU, which is told, where `auto` finds no GPU.

    Raises UsageError, which says what is allowed and what to install, if a GPU is asked for that
    is not there.
    """
    placed = place_models(limits.device)
    if placed.is_gpu or limits.device == CPU:
        return limits
    DEVICE_LOG.warning(placed.note)
    return replace(limits, device=CPU)


def probe_models(
    runner: Runner,
    jobs: Mapping[str, ProbingJob],
    probe_set: ProbeSet,
    cache_folder: Path,
    staging: Path,
    progress: Progress,
    device: str = CPU,
) -> Iterator[ProbedModel]:
    """Runs models over their probes, and yields one result a model as it is completed.

    Args:
        runner: Where the models are run.
        jobs: The models and their probes, by behaviour digest.
        probe_set: The probes.
        cache_folder: The pixel cache; what it lacks is decoded first.
        staging: Where the files of responses are written.
        progress: Receives each stage.
        device: Where they run over the probes. They are looked into on the CPU.

    Raises:
        HubError: The probes cannot be read, or a file cannot be written.
    """
    pixels: dict[str, PixelSpec] = {}
    sources = {digest: job.source for digest, job in jobs.items()}
    known = {digest: job.record for digest, job in jobs.items() if job.record is not None}
    records: dict[str, JsonObject] = {}
    picture_s: dict[str, float] = {}
    progress.start("loading models", len(sources), "models")
    failed = 0
    for outcome in runner.run(inspection_tasks(sources, probe_set, known)):
        failed += outcome.failure is not None
        progress.advance(1, _remark(_failed(failed), runner.where))
        try:
            pixels[outcome.key] = _pixels(outcome)
            record = _value(outcome).get("record")
            if isinstance(record, dict) and is_inferred(record):
                records[outcome.key] = record
            picture_s[outcome.key] = _picture_s(outcome)
        except _TaskFailedError as error:
            yield ProbedModel(outcome.key, None, staging, error.failure)
    progress.finish()
    for digest, refusal in _refusals(pixels, probe_set, cache_folder).items():
        del pixels[digest]
        yield ProbedModel(digest, None, staging, Failure("error", refusal))
    if not pixels:
        return
    prepare_pixels(runner, probe_set, cache_folder, list(pixels.values()), progress)
    probes = len(probe_set.probes)
    pending = {digest: job for digest, job in jobs.items() if digest in pixels}
    pictures = {digest: job.rows(probes) - job.earlier_rows for digest, job in pending.items()}
    longest = sorted(pending, key=lambda digest: -picture_s[digest] * pictures[digest])
    pending = {digest: pending[digest] for digest in longest}
    tasks = _probing_tasks(pending, records, probe_set, cache_folder, staging, device)
    meter = _Meter(progress, pictures, len(jobs) - len(pixels), runner)
    for outcome in runner.run(tasks, meter.advance):
        meter.end(outcome.key, outcome.failure is not None)
        staged = _staged(staging, outcome.key)
        try:
            facts = _facts(outcome, staged, probe_set, pending[outcome.key].rows(probes))
        except _TaskFailedError as error:
            yield ProbedModel(outcome.key, None, staged, error.failure)
        else:
            yield ProbedModel(outcome.key, facts, staged, None)
    progress.finish()


def _refusals(
    pixels: Mapping[str, PixelSpec], probe_set: ProbeSet, cache_folder: Path
) -> dict[str, str]:
    """The models for whose inputs the probes cannot be decoded, each with the reason."""
    refusals: dict[str, str] = {}
    probes, planned_bytes = len(probe_set.probes), 0
    cache = ProbeCache(probe_set.folder, cache_folder)
    reasons: dict[PixelSpec, str] = {}
    for digest, spec in pixels.items():
        if spec not in reasons:
            there = cache.path(spec).exists()
            reasons[spec] = "" if there else find_refusal(spec, probes, cache_folder, planned_bytes)
            if not there and not reasons[spec]:
                planned_bytes += probes * math.prod(spec.shape)
        if reasons[spec]:
            refusals[digest] = reasons[spec]
    return refusals


class _TaskFailedError(Exception):
    """Carries the failure of a task to where it is recorded."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def _failed(count: int) -> str:
    """The remark on models that failed; "" if none did."""
    return f"{count} failed" if count else ""


def _remark(*parts: str) -> str:
    """The remark of a progress: those of its parts that say something."""
    return ", ".join(part for part in parts if part)


class _Meter:
    """Reports to a progress how many pictures the models have seen, and how many models ended.

    `failed` is how many models failed before; the machines of `runner` are named.
    """

    def __init__(
        self, progress: Progress, pictures: Mapping[str, int], failed: int, runner: Runner
    ) -> None:
        progress.start("probing", sum(pictures.values()), "pictures")
        self._progress = progress
        self._models = len(pictures)
        self._pictures = pictures
        self._counts: dict[str, int] = {}
        self._ended = 0
        self._failed = failed
        self._runner = runner

    def advance(self, key: str, count: int) -> None:
        """`count` more pictures went through a model."""
        self._counts[key] = self._counts.get(key, 0) + count
        self._progress.advance(count, self._note)

    def end(self, key: str, has_failed: bool) -> None:
        """A model ended; the pictures that it did not see count now, for the estimate of time."""
        self._ended += 1
        self._failed += has_failed
        rest = self._pictures[key] - self._counts.pop(key, 0)
        self._progress.advance(rest, self._note)

    @property
    def _note(self) -> str:
        models = f"{self._ended}/{self._models} models"
        return _remark(models, _failed(self._failed), self._runner.where)


def inspection_tasks(
    sources: Mapping[str, ModelSource],
    probe_set: ProbeSet | None,
    records: Mapping[str, JsonObject] | None = None,
) -> Iterator[Task]:
    """The tasks that find out how models are run; see `worker_tasks.inspect_model`.

    `records` are those of models whose input was inferred before.
    """
    probes = None if probe_set is None else str(probe_set.folder.absolute())
    for digest, source in sources.items():
        payload: JsonObject = {"model": source_to_json(source), "probes": probes}
        if records and digest in records:
            payload["inferred_input"] = records[digest]
        reads = _files_of(source, probe_set)
        yield Task(digest, "lagotto.hub.ingest.worker_tasks:inspect_model", payload, reads)


def _probing_tasks(
    jobs: Mapping[str, ProbingJob],
    records: Mapping[str, JsonObject],
    probe_set: ProbeSet,
    cache_folder: Path,
    staging: Path,
    device: str,
) -> Iterator[Task]:
    for digest, job in jobs.items():
        payload: JsonObject = {
            "model": source_to_json(job.source),
            "inferred_input": records.get(digest),
            "digest": digest,
            "probes": str(probe_set.folder.absolute()),
            "probe_digest": probe_set.digest,
            "cache": str(cache_folder.absolute()),
            "out": str(_staged(staging, digest).absolute()),
            "seen": None if job.probes is None else list(job.probes),
            "earlier": None if job.earlier is None else str(job.earlier.absolute()),
        }
        if device != CPU:
            payload["device"] = device
        reads = _files_of(job.source, probe_set)
        yield Task(digest, "lagotto.hub.ingest.worker_tasks:probe_model", payload, reads)


def _files_of(source: ModelSource, probe_set: ProbeSet | None) -> tuple[str, ...]:
    """The files by which another machine can tell that it has the same model and probes."""
    probes = () if probe_set is None else (probe_set.folder.absolute() / PROBES_NAME,)
    return tuple(str(path) for path in (source.file.absolute(), *probes))


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


def _picture_s(outcome: Outcome) -> float:
    """What a picture takes, as the worker says; 0 for what is no time."""
    seconds = _value(outcome).get("picture_s")
    return seconds if isinstance(seconds, float) and 0 <= seconds < math.inf else 0.0


def _facts(outcome: Outcome, staged: Path, probe_set: ProbeSet, rows: int) -> ModelFacts:
    """The facts of a model for the catalogue, checked against the file that its worker wrote.

    Raises HubError if the worker could not write it: the files of other models would fail too.
    """
    value = _value(outcome)
    if "unwritable" in value:
        raise HubError(str(value["unwritable"]))
    spec = value.get("spec")
    try:
        responses = read_responses(staged, probe_set.digest)
    except HubError as error:
        raise _TaskFailedError(Failure("error", str(error))) from error
    invalid = measure_moments(responses.values).invalid
    match spec:
        case {
            "framework": str(framework),
            "outputs": int(outputs),
            "output": str(output),
            "logits_source": str(logits_source),
            "labels": None | list() as labels,
            "notes": list(notes),
            "input": dict(described),
            "architecture": str(architecture),
            "kind": str(kind),
        } if responses.values.shape == (rows, outputs):
            return ModelFacts(
                framework=framework,
                outputs=outputs,
                output=output,
                logits_source=logits_source,
                input=with_device(with_recognized(described, architecture, kind), spec),
                notes=tuple(str(note) for note in notes),
                labels=None if labels is None else tuple(str(label) for label in labels),
                invalid=invalid,
                responses_sha256=responses.sha256,
            )
        case _:
            raise _TaskFailedError(
                Failure("error", "its worker gave an answer that does not fit its file")
            )


def probe_file(
    file: Path, probe_set: ProbeSet, cache_folder: Path, limits: Limits
) -> Float32[np.ndarray, "probes logits"]:
    """Runs one model that is not in the hub over all probes; nothing is written to the hub.

    Args:
        file: The model file, or a folder with one model.
        probe_set: The probes.
        cache_folder: The pixel cache of the hub; it is read if it has what the model needs.
        limits: Workers, time and memory that may be used.

    Returns:
        The raw responses.

    Raises:
        UsageError: `file` is not one model.
        ModelError: The model cannot be probed.
    """
    sources = scan_models([file])
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources[:3])
        raise UsageError(f"{file} holds {len(sources)} models ({names}, ...); name one of them")
    with temporary_folder() as temporary:
        runner = limits.start(temporary)
        try:
            is_cached = _is_cached(runner, sources[0], probe_set, cache_folder)
            cache = cache_folder if is_cached else temporary / "cache"
            jobs = {"outside": ProbingJob(sources[0])}
            for probed in probe_models(runner, jobs, probe_set, cache, temporary, Silent()):
                if probed.failure is not None:
                    raise ModelError(f"{file} cannot be probed: {probed.failure.reason}")
                return np.array(read_responses(probed.staged).values)
        finally:
            runner.close()
    raise ModelError(f"{file} cannot be probed: no answer")


def _is_cached(
    runner: Runner, source: ModelSource, probe_set: ProbeSet, cache_folder: Path
) -> bool:
    """True if the pixel cache of the hub has what the model needs, so that nothing is decoded."""
    for outcome in runner.run(inspection_tasks({"outside": source}, probe_set)):
        if outcome.failure is None:
            cache = ProbeCache(probe_set.folder, cache_folder)
            return not cache.missing([_pixels(outcome)])
    return False

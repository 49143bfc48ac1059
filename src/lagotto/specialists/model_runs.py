"""Models of a hub and pixels of pictures come in; logits go out.

The models run in the isolated worker processes that also probe models, within the same limits.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.devices.placement import CPU
from lagotto.core.errors import HubError, LagottoError, ModelError, ProbeError, UsageError
from lagotto.core.files import read_array
from lagotto.core.machine import usable_cores
from lagotto.core.temporary.closing import Closing
from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hub.ingest.input_record import is_inferred
from lagotto.hub.ingest.probing import place_limits
from lagotto.hub.ingest.worker_tasks import source_to_json
from lagotto.hub.probes.pixel_cache import spec_from_json
from lagotto.hub.store.records import ModelRecord
from lagotto.jobs.base import Runner, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest
from lagotto.specialists.pictures.pixel_batches import PixelFile

PICTURES_PER_TASK = 96
"""Pictures in one task, approximately."""

_ANSWER_TASK = "lagotto.hub.ingest.worker_tasks:answer_pictures"
_LOAD_TASK = "lagotto.hub.ingest.worker_tasks:keep_model"
_NONFINITE_LOGIT = -50.0
"""The logit that replaces one that is not finite: low enough to have no share."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A model of the hub whose file exists and is unchanged, and its pixel format."""

    record: ModelRecord
    source: ModelSource
    pixels: PixelSpec


def find_runnable(record: ModelRecord) -> Runnable:
    """Finds the model's file where it was when it was probed.

    Raises:
        ModelError: The file is gone, or is no longer the model whose responses the hub holds.
    """
    hint = "add it again from where it is: lagotto hub add HUB FILE"
    try:
        sources = scan_models([Path(record.source)])
    except UsageError as error:
        problem = f"its file has gone from {record.source}"
        raise ModelError(f"{problem}; put it back, or {hint}") from error
    for source in sources:
        if behaviour_digest(source) == record.digest:
            try:
                return Runnable(record, source, spec_from_json(record.input.get("pixels")))
            except ProbeError as error:
                raise ModelError(f"the hub does not say what it takes; {hint}") from error
    raise ModelError(f"its file {record.source} has changed since it was probed; {hint}")


class ModelRuns(Closing):
    """Runs models on pictures; a context manager.

    Workers, and the models that they loaded, stay for the next call. `failures` has the reason of
    each model that failed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = place_limits(limits)
        self._runner: Runner | None = None
        self._folder: Path | None = None
        self._starter = ThreadPoolExecutor(1, "lagotto-models")
        self._starting: Future[None] | None = None
        self._numbers = count()
        self.failures: dict[str, str] = {}

    def __enter__(self) -> "ModelRuns":
        self._folder = make_temporary_folder("models")
        return self

    def close(self) -> None:
        """Ends the workers and removes the pixel files; safe to call twice."""
        if self._runner is not None:
            self._runner.close()  # what is still under way ends with its workers
        self._starter.shutdown(cancel_futures=True)
        self._runner = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """The folder of the pixel files for the workers; UsageError outside a `with` block."""
        if self._folder is None:
            raise UsageError("models run inside a `with` block only; enter it first")
        return self._folder

    def warm(self, models: Sequence[Runnable]) -> None:
        """Starts the workers in the background; each loads one model of each framework.

        A model that cannot be loaded is reported when it is run.
        """
        first = {model.source.file.suffix.lower(): model for model in reversed(models)}
        workers = self._limits.workers or usable_cores()
        tasks = [
            Task(f"{suffix} {worker}", _LOAD_TASK, _payload(model, self._limits.device))
            for suffix, model in first.items()
            for worker in range(workers)
        ]
        self._runner = self._limits.start(self.folder)
        self._starting = self._starter.submit(_run_all, self._runner, tasks)

    def logits(
        self, models: Sequence[Runnable], batches: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> dict[str, Float64[np.ndarray, "pictures outputs"]]:
        """Runs models on the pictures of all batches, in order.

        Args:
            models: The models.
            batches: The pixel files of each batch, by pixel format.

        Returns:
            The logits of each model by name. A model that failed on any picture has none; its
            reason is in `failures`.

        Raises:
            HubError: A worker could not write its answer.
        """
        if self._starting is not None:
            self._starting.result()
            self._starting = None
        folder = self.folder
        if self._runner is None:
            self._runner = self._limits.start(folder)
        pieces = {piece.key: piece for piece in self._pieces(models, batches)}
        answers: dict[str, dict[int, Float64[np.ndarray, "piece outputs"]]] = {}
        failed: set[str] = set()
        tasks = [_task(folder, piece, self._limits.device) for piece in pieces.values()]
        for outcome in self._runner.run(tasks):
            piece = pieces[outcome.key]
            record = piece.model.record
            answer = folder / f"{piece.key}.npy"
            if outcome.value is not None and "unwritable" in outcome.value:
                raise HubError(str(outcome.value["unwritable"]))
            try:
                if outcome.failure is not None:
                    raise ModelError(outcome.failure.reason)
                values = _read_answer(answer, piece.stop - piece.start, record.outputs)
                answers.setdefault(record.name, {})[piece.order] = values
            except LagottoError as error:
                self.failures[record.name] = str(error)
                failed.add(record.name)
            answer.unlink(missing_ok=True)
        return {
            name: np.concatenate([parts[order] for order in sorted(parts)])
            for name, parts in answers.items()
            if name not in failed
        }

    def _pieces(
        self, models: Sequence[Runnable], batches: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> Iterator["_Piece"]:
        """The tasks, large models first, so that workers finish at about the same time."""
        for model in sorted(models, key=lambda model: -model.source.file.stat().st_size):
            for batch in batches:
                pixels = batch[model.pixels]
                parts = max(1, round(len(pixels) / PICTURES_PER_TASK)) if len(pixels) else 0
                edges = [len(pixels) * part // parts for part in range(parts + 1)] if parts else []
                for start, stop in pairwise(edges):
                    number = next(self._numbers)
                    yield _Piece(model, pixels, number, start, stop)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of pictures for one model, the work of one task; `order` grows with the rows."""

    model: Runnable
    pixels: PixelFile
    order: int
    start: int
    stop: int

    @property
    def key(self) -> str:
        """The name of the task and of its answer file."""
        return str(self.order)


def _task(folder: Path, piece: _Piece, device: str) -> Task:
    return Task(
        piece.key,
        _ANSWER_TASK,
        _payload(piece.model, device)
        | {
            "pixels": str(piece.pixels.file),
            "shape": list(piece.pixels.shape),
            "start": piece.start,
            "stop": piece.stop,
            "out": str(folder / f"{piece.key}.npy"),
        },
    )


def _payload(model: Runnable, device: str) -> JsonObject:
    record: JsonObject = {"input": model.record.input, "notes": list(model.record.notes)}
    where: JsonObject = {} if device == CPU else {"device": device}
    return {
        **where,
        "model": source_to_json(model.source),
        "inferred_input": record if is_inferred(record) else None,
        "digest": model.record.digest,
    }


def _run_all(runner: Runner, tasks: Sequence[Task]) -> None:
    """Runs tasks and ignores their outcomes: a model that fails will fail again when it is run."""
    for _ in runner.run(tasks):
        pass


def replace_nonfinite(
    values: Float32[np.ndarray, "rows outputs"],
) -> Float64[np.ndarray, "rows outputs"]:
    """The logits as float64, with values that are not finite replaced by a very low one."""
    return np.where(np.isfinite(values), values.astype(np.float64), _NONFINITE_LOGIT)


def _read_answer(
    path: Path, pictures: int, outputs: int
) -> Float64[np.ndarray, "pictures outputs"]:
    """Reads a worker's answer; ModelError unless it has the expected type and shape."""
    try:
        values = read_array(path, ModelError)
    except ModelError as error:
        raise ModelError("its worker gave no readable answer") from error
    if values.shape != (pictures, outputs) or values.dtype != np.float32:
        raise ModelError(
            f"it gave {values.dtype} {values.shape} where {pictures} pictures x {outputs} "
            "outputs were expected"
        )
    return replace_nonfinite(values)

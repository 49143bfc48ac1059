"""Models of a hub on pictures of a query, in the workers that also probe: isolated and limited."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.errors import HubError, LagottoError, ModelError, ProbeError, UsageError
from lagotto.core.machine import usable_cores
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hub.ingest.input_record import is_inferred
from lagotto.hub.ingest.worker_tasks import source_to_json
from lagotto.hub.probes.pixel_cache import spec_from_json
from lagotto.hub.store.records import ModelRecord
from lagotto.jobs.base import Runner, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest
from lagotto.specialists.pixel_batches import PixelFile

PIECE = 96
"""Pictures that one task runs, about."""

_ENTRY = "lagotto.hub.ingest.worker_tasks:answer_pictures"
_WARM = "lagotto.hub.ingest.worker_tasks:keep_model"
_LOWEST = -50.0
"""Logit of an output that answered nothing that is finite: it never speaks."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A model of the hub whose file is there and unchanged, and the pixels that it takes."""

    record: ModelRecord
    source: ModelSource
    pixels: PixelSpec


def find_runnable(record: ModelRecord) -> Runnable:
    """The model's file, where it was when it was probed.

    Raises ModelError if it has gone, or is no longer the model whose responses the hub holds.
    """
    again = "add it again from where it is: lagotto hub add HUB FILE"
    try:
        sources = scan_models([Path(record.source)])
    except UsageError as error:
        gone = f"its file has gone from {record.source}"
        raise ModelError(f"{gone}; put it back, or {again}") from error
    for source in sources:
        if behaviour_digest(source) == record.digest:
            try:
                return Runnable(record, source, spec_from_json(record.input.get("pixels")))
            except ProbeError as error:
                raise ModelError(f"the hub does not say what it takes; {again}") from error
    raise ModelError(f"its file {record.source} has changed since it was probed; {again}")


class ModelRuns:
    """Runs models on pictures; use it with `with`. `failures` has why a model gave no answer.

    Workers and the models that they loaded stay for the next call.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._runner: Runner | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._starter = ThreadPoolExecutor(1, "lagotto-models")
        self._starting: Future[None] | None = None
        self._numbers = count()
        self.failures: dict[str, str] = {}

    def __enter__(self) -> "ModelRuns":
        self._folder = tempfile.TemporaryDirectory(prefix="lagotto-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._runner.close()  # what is still under way ends with its workers
        self._starter.shutdown(cancel_futures=True)
        self._runner = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def folder(self) -> Path:
        """Where pixels are laid for the workers; UsageError outside a `with` block."""
        if self._folder is None:
            raise UsageError("models run inside a `with` block only; enter it first")
        return Path(self._folder.name)

    def warm(self, models: Sequence[Runnable]) -> None:
        """Begins to start the workers, with one model of each framework loaded in each of them.

        A model that cannot be loaded says so when it is run.
        """
        first = {model.source.file.suffix.lower(): model for model in reversed(models)}
        workers = self._limits.workers or usable_cores()
        tasks = [
            Task(f"{suffix} {worker}", _WARM, _payload(model))
            for suffix, model in first.items()
            for worker in range(workers)
        ]
        self._runner = self._limits.start(self.folder)
        self._starting = self._starter.submit(_run_all, self._runner, tasks)

    def logits(
        self, models: Sequence[Runnable], sheets: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> dict[str, Float64[np.ndarray, "pictures outputs"]]:
        """The logits of each model by name on the pictures of all sheets in order.

        A model that failed on any has none, its reason goes to `failures`. Raises HubError where
        the answers cannot be written.
        """
        if self._starting is not None:
            self._starting.result()
            self._starting = None
        folder = self.folder
        if self._runner is None:
            self._runner = self._limits.start(folder)
        pieces = {piece.key: piece for piece in self._pieces(models, sheets)}
        answers: dict[str, dict[int, Float64[np.ndarray, "piece outputs"]]] = {}
        failed: set[str] = set()
        for outcome in self._runner.run([_task(folder, piece) for piece in pieces.values()]):
            piece = pieces[outcome.key]
            record = piece.model.record
            answer = folder / f"{piece.key}.npy"
            if outcome.value is not None and "unwritable" in outcome.value:
                raise HubError(str(outcome.value["unwritable"]))
            try:
                if outcome.failure is not None:
                    raise ModelError(outcome.failure.reason)
                values = _read(answer, piece.stop - piece.start, record.outputs)
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
        self, models: Sequence[Runnable], sheets: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> Iterator["_Piece"]:
        """The tasks, those of large models first: so workers finish at about the same time."""
        for model in sorted(models, key=lambda each: -each.source.file.stat().st_size):
            for sheet in sheets:
                pixels = sheet[model.pixels]
                parts = max(1, round(len(pixels) / PIECE)) if len(pixels) else 0
                edges = [len(pixels) * part // parts for part in range(parts + 1)] if parts else []
                for start, stop in pairwise(edges):
                    number = next(self._numbers)
                    yield _Piece(model, pixels, number, start, stop)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of pictures for one model: what one task runs. `order` grows with the rows."""

    model: Runnable
    pixels: PixelFile
    order: int
    start: int
    stop: int

    @property
    def key(self) -> str:
        """Names the task and its answer."""
        return str(self.order)


def _task(folder: Path, piece: _Piece) -> Task:
    return Task(
        piece.key,
        _ENTRY,
        _payload(piece.model)
        | {
            "pixels": str(piece.pixels.file),
            "shape": list(piece.pixels.shape),
            "start": piece.start,
            "stop": piece.stop,
            "out": str(folder / f"{piece.key}.npy"),
        },
    )


def _payload(model: Runnable) -> JsonObject:
    record: JsonObject = {"input": model.record.input, "notes": list(model.record.notes)}
    return {
        "model": source_to_json(model.source),
        "inferred_input": record if is_inferred(record) else None,
        "digest": model.record.digest,
    }


def _run_all(runner: Runner, tasks: Sequence[Task]) -> None:
    """Runs tasks whose outcome does not matter: a model that cannot be loaded says so again."""
    for _ in runner.run(tasks):
        pass


def finite(values: Float32[np.ndarray, "rows outputs"]) -> Float64[np.ndarray, "rows outputs"]:
    """The logits with what is not finite made too low to matter."""
    return np.where(np.isfinite(values), values.astype(np.float64), _LOWEST)


def _read(path: Path, pictures: int, outputs: int) -> Float64[np.ndarray, "pictures outputs"]:
    """What a worker wrote, which is not trusted to be what was asked for."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError("its worker gave no readable answer") from error
    if values.shape != (pictures, outputs) or values.dtype != np.float32:
        raise ModelError(
            f"it gave {values.dtype} {values.shape} where {pictures} pictures x {outputs} "
            "outputs were expected"
        )
    return finite(values)

"""Models of a hub on pictures of a query, in the workers that also probe: isolated and limited."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from lagotto.core.errors import HubError, LagottoError, ModelError, ProbeError, UsageError
from lagotto.core.machine import usable_cores
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hubsearch.probe_cache import spec_from_json
from lagotto.hubsearch.probing import Limits
from lagotto.hubsearch.records import ModelRecord
from lagotto.hubsearch.settled import was_settled
from lagotto.hubsearch.tasks import source_to_json
from lagotto.jobs.base import Runner, Task
from lagotto.models.registry import behaviour_digest
from lagotto.models.scan import scan_models
from lagotto.specialists.looking import Pixels

T = TypeVar("T")

PIECE = 64
"""Pictures that one task runs, about."""

_ENTRY = "lagotto.hubsearch.tasks:answer_pictures"
_WARM = "lagotto.hubsearch.tasks:keep_model"
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

    Workers and the models that they loaded stay for the next call. What is begun runs beside the
    caller, one after the other, in the order in which it was begun.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._runner: Runner | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._turns: ThreadPoolExecutor | None = None
        self._numbers = count()
        self.failures: dict[str, str] = {}

    def __enter__(self) -> "ModelRuns":
        self._folder = tempfile.TemporaryDirectory(prefix="lagotto-")
        self._turns = ThreadPoolExecutor(1, "lagotto-models")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._runner.close()  # what is still under way ends with its workers
        if self._turns is not None:
            self._turns.shutdown(cancel_futures=True)
            self._turns = None
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
        count_ = self._limits.workers or usable_cores()
        tasks = [
            Task(f"{suffix} {worker}", _WARM, self._payload(model))
            for suffix, model in first.items()
            for worker in range(count_)
        ]
        self._submit(lambda: list(self._started().run(tasks)))

    def begin(
        self, models: Sequence[Runnable], pixels: Mapping[PixelSpec, Pixels]
    ) -> "Future[dict[str, Float64[np.ndarray, 'pictures outputs']]]":
        """The logits of each model by name, but for those that failed: they go to `failures`.

        The result raises HubError where the answers cannot be written.
        """
        return self._submit(lambda: self._answers(models, pixels))

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        if self._turns is None:
            raise UsageError("models run inside a `with` block only; enter it first")
        return self._turns.submit(work)

    def _started(self) -> Runner:
        if self._runner is None:
            self._runner = self._limits.start(self.folder)
        return self._runner

    def _answers(
        self, models: Sequence[Runnable], pixels: Mapping[PixelSpec, Pixels]
    ) -> dict[str, Float64[np.ndarray, "pictures outputs"]]:
        named = {model.record.name: model for model in models if len(pixels[model.pixels])}
        pieces = [
            _Piece(model, f"{next(self._numbers)}", start, stop)
            for model in named.values()
            for start, stop in _even_pieces(len(pixels[model.pixels]))
        ]
        of_key = {piece.key: piece for piece in pieces}
        found: dict[str, Float64[np.ndarray, "pictures outputs"]] = {
            name: np.empty((len(pixels[model.pixels]), model.record.outputs))
            for name, model in named.items()
        }
        if not pieces:
            return {}
        folder = self.folder
        tasks = (self._task(folder, piece, pixels[piece.model.pixels]) for piece in pieces)
        for outcome in self._started().run(tasks):
            piece = of_key[outcome.key]
            record = piece.model.record
            answer = folder / f"{piece.key}.npy"
            if outcome.failure is not None:
                self.failures[record.name] = outcome.failure.reason
                found.pop(record.name, None)
                continue
            if outcome.value is not None and "unwritable" in outcome.value:
                raise HubError(str(outcome.value["unwritable"]))
            try:
                values = _read(answer, piece.stop - piece.start, record.outputs)
            except LagottoError as error:
                self.failures[record.name] = str(error)
                found.pop(record.name, None)
            else:
                if record.name in found:
                    found[record.name][piece.start : piece.stop] = values
            answer.unlink(missing_ok=True)
        return found

    def _payload(self, model: Runnable) -> JsonObject:
        record: JsonObject = {"input": model.record.input, "notes": list(model.record.notes)}
        return {
            "model": source_to_json(model.source),
            "settled": record if was_settled(record) else None,
            "digest": model.record.digest,
        }

    def _task(self, folder: Path, piece: "_Piece", pixels: Pixels) -> Task:
        return Task(
            piece.key,
            _ENTRY,
            self._payload(piece.model)
            | {
                "pixels": str(pixels.file),
                "shape": list(pixels.shape),
                "start": piece.start,
                "stop": piece.stop,
                "out": str(folder / f"{piece.key}.npy"),
            },
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of pictures for one model: what one task runs."""

    model: Runnable
    key: str
    start: int
    stop: int


def _even_pieces(pictures: int) -> list[tuple[int, int]]:
    """Rows in pieces of about PIECE, so that workers finish together."""
    parts = max(1, round(pictures / PIECE))
    edges = [pictures * part // parts for part in range(parts + 1)]
    return list(pairwise(edges))


def finite(values: Float64[np.ndarray, "rows outputs"]) -> Float64[np.ndarray, "rows outputs"]:
    """The logits with what is not finite made too low to matter."""
    return np.where(np.isfinite(values), values, _LOWEST)


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
    return finite(values.astype(np.float64))

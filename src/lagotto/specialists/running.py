"""Models of a hub on pictures of a query, in the workers that also probe: isolated and limited."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float64, UInt8

from lagotto.core.errors import HubError, LagottoError, ModelError, ProbeError, UsageError
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.hubsearch.probe_cache import spec_from_json
from lagotto.hubsearch.probing import Limits
from lagotto.hubsearch.records import ModelRecord
from lagotto.hubsearch.settled import was_settled
from lagotto.hubsearch.tasks import source_to_json
from lagotto.jobs.base import Runner, Task
from lagotto.models.registry import behaviour_digest
from lagotto.models.scan import scan_models

_ENTRY = "lagotto.hubsearch.tasks:answer_pictures"
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
            self._runner.close()
            self._runner = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def logits(
        self,
        models: Sequence[Runnable],
        pixels: Mapping[PixelSpec, UInt8[np.ndarray, "pictures height width channels"]],
    ) -> dict[str, Float64[np.ndarray, "pictures outputs"]]:
        """The logits of each model by name, but for those that failed: they go to `failures`.

        Raises HubError where the answers cannot be written.
        """
        if self._folder is None:
            raise UsageError("models run inside a `with` block only; enter it first")
        if not models or not any(map(len, pixels.values())):
            return {}
        folder = Path(self._folder.name)
        if self._runner is None:
            self._runner = self._limits.start(folder)
        try:
            return dict(self._answers(folder, models, pixels))
        finally:
            for file in folder.glob("*.npy"):
                file.unlink()

    def _answers(
        self,
        folder: Path,
        models: Sequence[Runnable],
        pixels: Mapping[PixelSpec, UInt8[np.ndarray, "pictures height width channels"]],
    ) -> Iterator[tuple[str, Float64[np.ndarray, "pictures outputs"]]]:
        for spec in {model.pixels for model in models}:
            np.save(folder / f"{spec.key}.npy", pixels[spec], allow_pickle=False)
        named = {model.record.digest: model for model in models}
        assert self._runner is not None
        for outcome in self._runner.run([self._task(folder, model) for model in models]):
            model = named[outcome.key]
            name, count = model.record.name, len(pixels[model.pixels])
            if outcome.failure is not None:
                self.failures[name] = outcome.failure.reason
                continue
            if outcome.value is not None and "unwritable" in outcome.value:
                raise HubError(str(outcome.value["unwritable"]))
            try:
                yield name, _read(folder / f"{outcome.key}.npy", count, model.record.outputs)
            except LagottoError as error:
                self.failures[name] = str(error)

    def _task(self, folder: Path, model: Runnable) -> Task:
        record: JsonObject = {"input": model.record.input, "notes": list(model.record.notes)}
        return Task(
            model.record.digest,
            _ENTRY,
            {
                "model": source_to_json(model.source),
                "settled": record if was_settled(record) else None,
                "digest": model.record.digest,
                "pixels": str(folder / f"{model.pixels.key}.npy"),
                "out": str(folder / f"{model.record.digest}.npy"),
            },
        )


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

"""Selected models and all pictures of a query come in; embeddings and logits, by batch, go out.

This process embeds a batch, then workers run the models on it, while the next batch is decoded. At
most two batches exist at a time, so memory and disk do not grow with the query. Encoder and models
take turns because each uses all cores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.prefetch import prefetch
from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder
from lagotto.specialists.finder import FinderResult
from lagotto.specialists.model_runs import ModelRuns, Runnable
from lagotto.specialists.pictures.pixel_batches import (
    ImageReader,
    PixelBatch,
    PixelStage,
)
from lagotto.specialists.pictures.sampling import SampleResult

BATCH_PICTURES = 256
"""Pictures of a query that are decoded, embedded and run together."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pictures of a query, by position.

    `unreadable` says why a picture could not be read. `embeddings` and `logits` have a row for
    each `readable` picture, in order. A model that failed has no logits.
    """

    positions: range
    unreadable: Mapping[int, str]
    embeddings: Float32[np.ndarray, "readable dim"]
    logits: Mapping[str, Float64[np.ndarray, "readable outputs"]]

    @property
    def readable(self) -> list[int]:
        """The positions of the pictures that could be read."""
        return [position for position in self.positions if position not in self.unreadable]


def read_batches(
    encoder: Encoder,
    results: Sequence[FinderResult],
    readers: Sequence[ImageReader],
    runs: ModelRuns,
) -> Iterator[Batch]:
    """Embeds all pictures and runs all models of `results` on them; each picture is decoded once.

    Args:
        encoder: The encoder.
        results: Searches for models on samples of these pictures. The samples are not read again.
        readers: The pictures, as functions that return the bytes of a file.
        runs: Runs the models.

    Yields:
        The pictures in order, BATCH_PICTURES at a time.
    """
    sampled = _SampledModels.of(results)
    stage = PixelStage(runs.folder, readers, encoder.info.pixels)
    for positions, batch in prefetch(_load_batches(stage, sampled)):
        embeddings = stage.embed(encoder, batch)
        answers = runs.logits(sampled.models, [batch.pixels]) if batch.new else {}
        batch.discard()
        yield sampled.join(positions, batch, embeddings, answers)


@dataclass(frozen=True, slots=True)
class _SampledModels:
    """The selected models and the data of the samples on which they were selected.

    Every search samples the same pictures, so the embeddings of one sample serve all.
    """

    models: tuple[Runnable, ...]
    sample: SampleResult

    @classmethod
    def of(cls, results: Sequence[FinderResult]) -> "_SampledModels":
        """The models and samples of several searches, each model once."""
        models = {model.record.name: model for result in results for model in result.models}
        first = results[0].sample
        logits = {n: values for result in results for n, values in result.sample.logits.items()}
        return cls(
            tuple(models.values()),
            SampleResult(first.rows, first.unreadable, first.embeddings, logits),
        )

    @property
    def specs(self) -> list[PixelSpec]:
        """The pixel formats of the models."""
        return [model.pixels for model in self.models]

    def join(
        self,
        positions: range,
        batch: PixelBatch,
        new: Float32[np.ndarray, "new dim"],
        answers: Mapping[str, Float64[np.ndarray, "new outputs"]],
    ) -> Batch:
        """The batch that joins new rows with those of the sample."""
        sample = self.sample
        unreadable = {**sample.unreadable, **batch.unreadable}
        readable = [position for position in positions if position not in unreadable]
        from_sample = np.array([position in sample.rows for position in readable], bool)
        rows = [sample.rows[position] for position in readable if position in sample.rows]
        logits = {
            name: _merge_rows(from_sample, values[rows], answers.get(name, values[:0]))
            for name, values in sample.logits.items()
            if name in answers or from_sample.all()
        }
        embeddings = _merge_rows(from_sample, sample.embeddings[rows], new)
        return Batch(positions, unreadable, embeddings, logits)


def _load_batches(stage: PixelStage, sampled: _SampledModels) -> Iterator[tuple[range, PixelBatch]]:
    """Decodes the pictures that are not in the sample, a batch at a time."""
    sample = sampled.sample
    for start in range(0, stage.pictures, BATCH_PICTURES):
        positions = range(start, min(start + BATCH_PICTURES, stage.pictures))
        new = [p for p in positions if p not in sample.rows and p not in sample.unreadable]
        yield positions, stage.load(new, sampled.specs)


def _merge_rows(from_sample: np.ndarray, before: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The rows in order: those of `before` where `from_sample`, else those of `new`."""
    rows = np.empty((len(from_sample), before.shape[1]), before.dtype)
    rows[from_sample] = before
    rows[~from_sample] = new
    return rows

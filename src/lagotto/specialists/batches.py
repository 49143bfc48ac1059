"""Chosen models and all pictures of a query → embeddings and logits, a batch at a time.

While a batch is embedded here, and then models run on it in their workers, the next one is
decoded: two are under way at a time, so that memory and disk do not grow with the query. Encoder
and models take turns, since each of the two uses all cores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from lagotto.core.prefetch import prefetch
from lagotto.core.types import PixelSpec
from lagotto.encoders.base import Encoder
from lagotto.specialists.finder import FoundSpecialists
from lagotto.specialists.model_runs import ModelRuns, Runnable
from lagotto.specialists.pixel_batches import (
    PixelBatch,
    PixelStage,
    Read,
)
from lagotto.specialists.sampling import Sampled

BATCH = 256
"""Pictures of a query that are decoded, embedded and run at a time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pictures by place: why each cannot be read, or, of the `readable` ones in order, the
    encoder's embeddings and the models' logits. A model that failed has no logits."""

    places: range
    unreadable: Mapping[int, str]
    embeddings: Float32[np.ndarray, "readable dim"]
    logits: Mapping[str, Float64[np.ndarray, "readable outputs"]]

    @property
    def readable(self) -> list[int]:
        """The places of the pictures that could be read."""
        return [place for place in self.places if place not in self.unreadable]


def read_batches(
    encoder: Encoder, founds: Sequence[FoundSpecialists], reads: Sequence[Read], runs: ModelRuns
) -> Iterator[Batch]:
    """All pictures in order, each decoded once, for all models of `founds`.

    The samples of `founds` must be of these pictures; what they showed is not looked at again.
    """
    known = _Known.of(founds)
    desk = PixelStage(runs.folder, reads, encoder.info.pixels)
    for places, looked in prefetch(_looks(desk, known)):
        embeddings = desk.embed(encoder, looked)
        answers = runs.logits(known.models, [looked.pixels]) if looked.new else {}
        looked.discard()
        yield known.joined(places, looked, embeddings, answers)


@dataclass(frozen=True, slots=True)
class _Known:
    """What samples showed, and the models that are asked about the rest.

    The same pictures are sampled for every set of models, so that one's embeddings are another's.
    """

    models: tuple[Runnable, ...]
    sampled: Sampled

    @classmethod
    def of(cls, founds: Sequence[FoundSpecialists]) -> "_Known":
        """Of all, each model once."""
        models = {model.record.name: model for found in founds for model in found.models}
        first = founds[0].sampled
        logits = {n: values for found in founds for n, values in found.sampled.logits.items()}
        return cls(
            tuple(models.values()), Sampled(first.rows, first.unreadable, first.embeddings, logits)
        )

    @property
    def specs(self) -> list[PixelSpec]:
        """The forms that the models take."""
        return [model.pixels for model in self.models]

    def joined(
        self,
        places: range,
        looked: PixelBatch,
        new: Float32[np.ndarray, "new dim"],
        answers: Mapping[str, Float64[np.ndarray, "new outputs"]],
    ) -> Batch:
        """The batch with what the sample showed of it."""
        sampled = self.sampled
        unreadable = {**sampled.unreadable, **looked.unreadable}
        there = [place for place in places if place not in unreadable]
        old = np.array([place in sampled.rows for place in there], bool)
        rows = [sampled.rows[place] for place in there if place in sampled.rows]
        logits = {
            name: _filled(old, values[rows], answers.get(name, values[:0]))
            for name, values in sampled.logits.items()
            if name in answers or old.all()
        }
        embeddings = _filled(old, sampled.embeddings[rows], new)
        return Batch(places, unreadable, embeddings, logits)


def _looks(desk: PixelStage, known: _Known) -> Iterator[tuple[range, PixelBatch]]:
    """The pictures that no sample showed, decoded."""
    sampled = known.sampled
    for start in range(0, desk.pictures, BATCH):
        places = range(start, min(start + BATCH, desk.pictures))
        new = [p for p in places if p not in sampled.rows and p not in sampled.unreadable]
        yield places, desk.look(new, known.specs)


def _filled(old: np.ndarray, before: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Rows in order: `before` where `old`, else `new`."""
    joined = np.empty((len(old), before.shape[1]), before.dtype)
    joined[old] = before
    joined[~old] = new
    return joined

"""A labelled set comes in; the answers of the encoder and of all models to it go out, replayed.

The encoder and every model look at every picture once; the answers are kept in a cache. A finder
asks the replay as it asks the encoder and the workers.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

import lagotto
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.core.progress import Silent
from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.core.vectors import softmax
from lagotto.encoders.base import Encoder
from lagotto.evaluation.intervals import mean_interval
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model
from lagotto.specialists.finder import Finder, SpecialistQuery
from lagotto.specialists.fusion import combine_votes
from lagotto.specialists.model_runs import ModelRuns, Runnable
from lagotto.specialists.pictures.pixel_batches import PixelFile
from quality.specialist_hubs import Decoy


@dataclass(frozen=True)
class Data:
    """A labelled set with the outputs of the encoder and all models."""

    name: str
    labels: tuple[str, ...]
    truth: np.ndarray
    half: np.ndarray
    logits: np.ndarray
    probe_logits: np.ndarray
    models: Mapping[str, np.ndarray]
    files: list[Path]
    embeddings: np.ndarray


def store_options(description: str | None) -> argparse.ArgumentParser:
    """The options of a script that asks the sets of a hub and of a caption store."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--store", type=Path, required=True, help="of flickr8k and coco")
    parser.add_argument("--json", action="store_true")
    return parser


def read_set(name: str, assets: Path, cache: Path, hub: lagotto.Hub) -> Data:
    """The set with all outputs; computed once, then read from the cache."""
    folder = assets / "photos" / name
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    labels = tuple(sorted({row["label"] for row in rows}))
    cache_file = cache / f"{name}.npz"
    if not cache_file.is_file():
        print(f"{name}: {len(rows)} pictures are shown to all models", file=sys.stderr, flush=True)
        pictures = [decode_picture(read_picture_file(folder / row["image"])) for row in rows]
        pixels = [to_pixels(picture, hub.encoder.info.pixels) for picture in pictures]
        arrays = {
            "embeddings": np.concatenate(
                [
                    hub.encoder.embed_pixels(np.stack(pixels[start : start + 64]))
                    for start in range(0, len(pixels), 64)
                ]
            )
        }
        for source in scan_models([assets / "hub"]):
            model = load_model(source)
            spec = model.spec.input.pixels
            arrays[source.name] = model.logits(np.stack([to_pixels(p, spec) for p in pictures]))
        np.savez(cache_file, **arrays)
    stored = dict(np.load(cache_file))
    info = hub.encoder.info
    prompts = hub.encoder.embed_texts([info.prompt_template.format(label) for label in labels])
    embeddings = stored.pop("embeddings")
    return Data(
        name,
        labels,
        np.array([labels.index(row["label"]) for row in rows]),
        np.array([hashlib.sha256(row["image"].encode()).digest()[0] % 2 for row in rows]),
        info.logit_scale * (embeddings @ prompts.T).astype(np.float64),
        info.logit_scale * (hub.reader.probe_embeddings @ prompts.T).astype(np.float64),
        {model: values.astype(np.float64) for model, values in stored.items()},
        [folder / row["image"] for row in rows],
        embeddings,
    )


def score(data: Data, predicted: np.ndarray, models: list[str] | None = None) -> dict[str, object]:
    hits = predicted == data.truth
    interval = mean_interval(hits)
    row: dict[str, object] = {
        "acc1": round(float(hits.mean()), 4),
        "ci95": [round(interval.low, 4), round(interval.high, 4)],
        "report_half": round(float(hits[data.half == 1].mean()), 4),
    }
    return row | ({} if models is None else {"models": models})


class PictureRows:
    """Which picture of a set some pixels are."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._rows: dict[PixelSpec, dict[bytes, int]] = {}

    def of(self, spec: PixelSpec, pixels: np.ndarray) -> list[int]:
        """The index of each picture, from its pixels."""
        if spec not in self._rows:
            decoded = (decode_picture(read_picture_file(file)) for file in self._files)
            self._rows[spec] = {
                hashlib.sha256(to_pixels(each, spec).tobytes()).digest(): row
                for row, each in enumerate(decoded)
            }
        return [self._rows[spec][hashlib.sha256(each.tobytes()).digest()] for each in pixels]


class TextMemory:
    """An encoder that embeds each text once: the hubs of all scenarios have the same labels."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}

    @property
    def info(self) -> EncoderInfo:
        return self._encoder.info

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._encoder.embed_pixels(pixels)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        new = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if new:
            self._rows |= zip(new, self._encoder.embed_texts(new), strict=True)
        return np.stack([self._rows[text] for text in texts])

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(texts)


class ReplayedEncoder:
    """An encoder that remembers the embeddings of the pictures of a set."""

    def __init__(self, encoder: Encoder, data: Data, rows: PictureRows) -> None:
        self._encoder, self._embeddings, self._rows = encoder, data.embeddings, rows

    @property
    def info(self) -> EncoderInfo:
        return self._encoder.info

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._embeddings[self._rows.of(self.info.pixels, pixels)]

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoder.embed_texts(texts)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return self._encoder.token_counts(texts)


class ReplayedRuns(ModelRuns):
    """Runs that remember the logits of models on the pictures of a set, decoys among them."""

    def __init__(self, data: Data, rows: PictureRows, decoys: Collection[Decoy]) -> None:
        super().__init__(Limits(workers=1))
        made = {decoy.name: decoy.change(data.models[decoy.model]) for decoy in decoys}
        self.models = {**data.models, **made}
        self._pictures = rows

    def warm(self, models: Sequence[Runnable]) -> None:
        pass  # no worker is needed

    def logits(
        self, models: Sequence[Runnable], batches: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> dict[str, np.ndarray]:
        rows = [
            position
            for batch in batches
            for position in self._pictures.of(models[0].pixels, batch[models[0].pixels].array())
        ]
        return {m.record.name: self.models[m.record.name][rows] for m in models}


@dataclass(frozen=True)
class SetQuery:
    """A query for a set, or for some of its pictures, to any hub."""

    data: Data
    prompts: np.ndarray
    encoder: ReplayedEncoder
    rows: PictureRows
    max_models: int

    @classmethod
    def of(cls, data: Data, encoder: Encoder, max_models: int) -> Self:
        prompts = [encoder.info.prompt_template.format(label) for label in data.labels]
        rows = PictureRows(data.files)
        replayed = ReplayedEncoder(encoder, data, rows)
        return cls(data, encoder.embed_texts(prompts), replayed, rows, max_models)

    def ask(
        self,
        hub: lagotto.Hub,
        use_names: bool,
        decoys: Collection[Decoy] = (),
        positions: Sequence[int] | None = None,
    ) -> dict[str, object]:
        """The models that the finder selects in a hub, and their accuracy on all pictures."""
        scale = self.encoder.info.logit_scale
        asked = SpecialistQuery(
            self.data.labels,
            self.prompts,
            lambda e: np.log(softmax((scale * (e @ self.prompts.T)).astype(float))),
            self.max_models,
            use_names,
        )
        indices = range(len(self.data.files)) if positions is None else positions
        readers = [partial(read_picture_file, self.data.files[position]) for position in indices]
        runs = ReplayedRuns(self.data, self.rows, decoys)
        with runs:
            result = Finder(hub.reader, self.encoder, asked, runs).find(readers, Silent())
            scores = combine_votes(softmax(self.data.logits), result.selection, runs.models)
        row = score(self.data, scores.argmax(axis=1), [m.model for m in result.selection.matches])
        return row | {"named": [len(match.named_labels) for match in result.selection.matches]}

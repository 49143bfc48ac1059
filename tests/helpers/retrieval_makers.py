"""Small tables of logits for tests of retrieval, made from numbers or from a hub."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lagotto.core.vectors import unit_rows
from lagotto.evaluation.retrieval.logit_table import (
    LogitTable,
    ModelLogits,
    table_of,
)
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace


def table(
    widths: Sequence[int] = (3, 2, 4),
    labels: Sequence[str | None] | None = None,
    probes: int = 12,
    seed: int = 0,
    noise: float = 1.0,
) -> LogitTable:
    """Models m0, m1, ... of so many logits, on probes from two collections.

    Logits of one label have a signal in common, and noise; each its scale and offset.
    """
    rng = np.random.default_rng(seed)
    said = list(labels or [f"name {number}" for number in range(sum(widths))])
    signal = {label: rng.normal(size=probes) for label in said}
    answers, start = [], 0
    for number, width in enumerate(widths):
        mine = said[start : start + width]
        values = np.stack([signal[label] for label in mine], axis=1)
        values += noise * rng.normal(size=(probes, width))
        values = rng.normal(0, 20, width) + rng.uniform(0.1, 10, width) * values
        answers.append(ModelLogits(f"m{number}", mine, values.astype(np.float32)))
        start += width
    embeddings = unit_rows(rng.normal(size=(probes, 4)))
    sources = ("a",) * (probes // 3) + ("b",) * (probes - probes // 3)
    space = ProbeSpace(embeddings, unit_rows(rng.normal(size=(6, 4))), 20.0)
    return table_of(answers, space, sources, "digest")


def write_responses(folder: Path, hub: Hub) -> Path:
    """A hub's answers in the form of raw responses: bytes with a scale and offset a logit."""
    folder.mkdir(parents=True)
    models, values = [], []
    for model in hub.status().models:
        labels = [label or f"LABEL_{place}" for place, label in enumerate(hub.labels(model.name))]
        models.append({"model": model.name, "labels": labels})
        values.append(np.asarray(hub.responses(model.name)))
    raw = np.concatenate(values, axis=1)
    offset = raw.min(axis=0)
    scale = (raw.max(axis=0) - offset) / 255
    codes = np.rint((raw - offset) / scale).astype(np.uint8)
    np.savez(folder / "responses.npz", u8=codes, scale=scale, offset=offset)
    np.save(folder / "probe_embeddings.npy", hub.reader.probe_embeddings)
    content = {"models": models, "probes": [["colours", probe.source] for probe in hub.probes]}
    (folder / "models.json").write_text(json.dumps(content))
    return folder

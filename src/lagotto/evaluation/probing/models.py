"""A hub, or a folder of raw responses, comes in; fully probed models and queries go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.encoders.background.words import embed_background
from lagotto.encoders.base import Encoder
from lagotto.evaluation.probing.curve import ProbingQueries, label_queries
from lagotto.evaluation.retrieval.raw_responses import RawModel, read_raw_responses
from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace


@dataclass(frozen=True, slots=True)
class ProbingData:
    """Models with their responses on every probe, and the queries."""

    models: tuple[RawModel, ...]
    queries: ProbingQueries


def from_folder(folder: Path, encoder: Encoder) -> ProbingData:
    """Reads a folder of raw responses; its labels are the queries.

    Raises:
        UsageError: The folder has another form, or another encoder made its embeddings.
    """
    raw = read_raw_responses(folder)
    if encoder.info.dim != raw.embeddings.shape[1]:
        raise UsageError(
            f"encoder {encoder.info.name} gives {encoder.info.dim} numbers and the embeddings in "
            f"{folder} have {raw.embeddings.shape[1]}; give the encoder that made them"
        )
    background = embed_background(encoder)
    space = ProbeSpace(raw.embeddings, background, encoder.info.logit_scale)
    queries = label_queries(raw.models, space, lambda names: _embed(encoder, names))
    return ProbingData(raw.models, queries)


def from_hub(hub: Hub, truth: Path | None) -> ProbingData:
    """The models of a hub that saw every probe; the queries are their labels, or those of `truth`.

    Raises:
        UsageError: There is no such model.
    """
    models = []
    for model in hub.status().models:
        if model.searched == "all":
            labels = tuple(label or "" for label in hub.labels(model.name))
            models.append(RawModel(model.name, labels, hub.responses(model.name), None, None))
    if not models:
        raise UsageError(
            f"{hub.folder} has no model that saw every probe, so nothing can be compared with; "
            "add some without --probes-per-model"
        )
    encoder = hub.encoder
    space = ProbeSpace(
        hub.reader.probe_embeddings, embed_background(encoder), encoder.info.logit_scale
    )
    if truth is None:
        queries = label_queries(models, space, lambda names: _embed(encoder, names))
    else:
        queries = _truth_queries(truth, models, space, encoder)
    return ProbingData(tuple(models), queries)


def _truth_queries(
    truth: Path,
    models: Sequence[RawModel],
    space: ProbeSpace,
    encoder: Encoder,
) -> ProbingQueries:
    """The queries of a truth file that have a right logit in these models."""
    first: dict[str, int] = {}
    total = 0
    for model in models:
        first[model.name] = total
        total += len(model.labels)
    truth_queries = [
        (query.text, frozenset(first[m] + logit for m, logit in query.correct if m in first))
        for query in read_truth(truth)
    ]
    answered = [(text, right) for text, right in truth_queries if right]
    if not answered:
        raise UsageError(f"no query of {truth} is answered by a model that saw every probe")
    concepts = _embed(encoder, [text for text, _ in answered])
    return ProbingQueries(space, concepts, tuple(right for _, right in answered))


def _embed(encoder: Encoder, names: list[str]) -> Float32[np.ndarray, "texts dim"]:
    template = encoder.info.prompt_template
    return encoder.embed_texts([template.replace("{}", name) for name in names])

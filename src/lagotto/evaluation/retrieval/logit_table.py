"""A hub, or a folder of raw responses, comes in; a table of all logits' responses goes out.

An evaluation scores thousands of queries on every logit. The table therefore holds in memory what a
search reads block by block: 8 bytes a probe and logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.files import read_json
from lagotto.encoders.background.words import embed_background
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.raw_responses import MODELS_NAME, RawResponses
from lagotto.evaluation.retrieval.truth import LogitName
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace


@dataclass(frozen=True, slots=True)
class LogitTable:
    """Every logit of some models, a column each, in the order of the models.

    `firsts` is the first column of each model. `raw` has the models' outputs, `descriptors` the
    same standardized. A logit with an invalid descriptor has zeros there and is not `usable`.
    `space` has the embeddings of the probes; `sources` names the collection of each probe.
    `digest` identifies all responses.
    """

    models: tuple[str, ...]
    firsts: Int64[np.ndarray, " models"]
    labels: tuple[str | None, ...]
    raw: Float32[np.ndarray, "probes logits"]
    descriptors: Float32[np.ndarray, "probes logits"]
    usable: Bool[np.ndarray, " logits"]
    space: ProbeSpace
    sources: tuple[str, ...]
    digest: str

    @property
    def embeddings(self) -> Float32[np.ndarray, "probes dim"]:
        """Unit embeddings of the probes."""
        return self.space.probes

    @property
    def owners(self) -> Int64[np.ndarray, " logits"]:
        """The index of the model that each logit belongs to."""
        widths = np.diff(self.firsts, append=len(self.labels))
        return np.repeat(np.arange(len(self.models)), widths)

    def name(self, column: int) -> LogitName:
        """(model, logit) of a column."""
        model_index = int(np.searchsorted(self.firsts, column, side="right")) - 1
        return self.models[model_index], column - int(self.firsts[model_index])

    def columns(self) -> dict[LogitName, int]:
        """The column of every (model, logit)."""
        return {self.name(column): column for column in range(len(self.labels))}

    def on_probes(self, rows: Int64[np.ndarray, " rows"]) -> "LogitTable":
        """The table restricted to some probes, standardized again."""
        raw = self.raw[rows]
        standardized = standardize(raw)
        return replace(
            self,
            raw=raw,
            descriptors=standardized.values,
            usable=standardized.usable,
            space=replace(self.space, probes=self.embeddings[rows]),
            sources=tuple(self.sources[row] for row in rows.tolist()),
        )


@dataclass(frozen=True, slots=True)
class ModelLogits:
    """One model's labels and logits on every probe."""

    model: str
    labels: Sequence[str | None]
    values: Float32[np.ndarray, "probes logits"]


def hub_table(hub: Hub) -> LogitTable:
    """The table of a hub; UsageError if the hub has no model."""
    names = [model.name for model in hub.status().models]
    if not names:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    answers = [ModelLogits(name, hub.labels(name), hub.responses(name)) for name in names]
    blocks = [model for block in hub.reader.logit_index().blocks for model in block.models]
    parts = [hub.probe_digest, *names, *(model.responses_sha256 for model in blocks)]
    return table_of(
        answers,
        hub.reader.space,
        tuple(_collection(probe.source) for probe in hub.probes),
        sha256("\n".join(parts).encode()).hexdigest(),
    )


def responses_table(raw: RawResponses, encoder: Encoder) -> LogitTable:
    """The table of a folder of raw responses, whose probes this encoder embedded.

    Raises:
        UsageError: The embeddings have another dimension than the encoder's.
    """
    if raw.embeddings.shape[1] != encoder.info.dim:
        raise UsageError(
            f"the encoder {encoder.info.name} gives {encoder.info.dim} numbers and the probes "
            f"were embedded with {raw.embeddings.shape[1]}; give the encoder that embedded them"
        )
    space = ProbeSpace(raw.embeddings, embed_background(encoder), encoder.info.logit_scale)
    answers = [ModelLogits(model.name, model.labels, model.values) for model in raw.models]
    return table_of(answers, space, _listed_sources(raw), raw.digest)


def table_of(
    answers: Sequence[ModelLogits],
    space: ProbeSpace,
    sources: tuple[str, ...],
    digest: str,
) -> LogitTable:
    """One table of the responses of some models, in order."""
    raw = np.concatenate([answer.values for answer in answers], axis=1)
    standardized = standardize(raw)
    widths = [answer.values.shape[1] for answer in answers]
    return LogitTable(
        models=tuple(answer.model for answer in answers),
        firsts=np.cumsum([0, *widths[:-1]]),
        labels=tuple(label for answer in answers for label in answer.labels),
        raw=raw,
        descriptors=standardized.values,
        usable=standardized.usable,
        space=space,
        sources=sources,
        digest=digest,
    )


def _collection(source: str) -> str:
    """The collection of a probe: its source up to the first / or # (a folder, table or list)."""
    return source.partition("/")[0].partition("#")[0]


def _listed_sources(raw: RawResponses) -> tuple[str, ...]:
    """The collection of each probe by the list of models (`[[collection, file], ...]`), if any."""
    probe_list = read_json(raw.folder / MODELS_NAME, "list of models", UsageError).get("probes")
    if not isinstance(probe_list, list) or len(probe_list) != len(raw.embeddings):
        return ("probes",) * len(raw.embeddings)
    return tuple(
        str(probe[0]) if isinstance(probe, list) and probe else "probes" for probe in probe_list
    )

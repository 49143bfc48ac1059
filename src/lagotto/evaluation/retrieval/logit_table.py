"""Layer 3: a hub, or a folder of raw responses → all its logits with their answers, in memory.

An evaluation asks thousands of queries of every logit, so it holds what a search reads in parts:
8 bytes a probe and logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.files import read_json
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.raw_responses import MODELS_NAME, RawResponses
from lagotto.evaluation.retrieval.truth import LogitName
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.hub import Hub
from lagotto.hub.query.background import embed_background
from lagotto.hub.query.probe_weights import ProbeSpace


@dataclass(frozen=True, slots=True)
class LogitTable:
    """Every logit of some models, a column each, in the order of the models.

    `firsts` is the first column of each model. `raw` are the logits as the models gave them,
    `descriptors` the same standardised: zero for a logit that is set aside, which is not `usable`.
    `space` are the probes as the encoder sees them; `sources` names the collection that each is
    from. `digest` is of all that was answered.
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
        """The number of the model that each logit belongs to."""
        widths = np.diff(self.firsts, append=len(self.labels))
        return np.repeat(np.arange(len(self.models)), widths)

    def name(self, column: int) -> LogitName:
        """(model, logit) of a column."""
        owner = int(np.searchsorted(self.firsts, column, side="right")) - 1
        return self.models[owner], column - int(self.firsts[owner])

    def columns(self) -> dict[LogitName, int]:
        """The column of every (model, logit)."""
        return {self.name(column): column for column in range(len(self.labels))}

    def on_probes(self, rows: Int64[np.ndarray, " rows"]) -> "LogitTable":
        """The table as if these had been all the probes."""
        raw = self.raw[rows]
        described = standardize(raw)
        return replace(
            self,
            raw=raw,
            descriptors=described.values,
            usable=described.usable,
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
    """The logits of a hub. Raises UsageError for a hub without a model."""
    names = [model.name for model in hub.status().models]
    if not names:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    answers = [ModelLogits(name, hub.labels(name), hub.responses(name)) for name in names]
    blocks = [model for block in hub.logit_index().blocks for model in block.models]
    made_of = [hub.probe_digest, *names, *(model.responses_sha256 for model in blocks)]
    return table_of(
        answers,
        hub.space,
        tuple(_collection(probe.source) for probe in hub.probes),
        sha256("\n".join(made_of).encode()).hexdigest(),
    )


def responses_table(raw: RawResponses, encoder: Encoder) -> LogitTable:
    """The logits of a folder of raw responses, whose probes the encoder embedded.

    Raises UsageError where another encoder did, as far as dimensions tell.
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
    """One table of the answers of some models, in order."""
    raw = np.concatenate([each.values for each in answers], axis=1)
    described = standardize(raw)
    widths = [each.values.shape[1] for each in answers]
    return LogitTable(
        models=tuple(each.model for each in answers),
        firsts=np.cumsum([0, *widths[:-1]]),
        labels=tuple(label for each in answers for label in each.labels),
        raw=raw,
        descriptors=described.values,
        usable=described.usable,
        space=space,
        sources=sources,
        digest=digest,
    )


def _collection(source: str) -> str:
    """A probe's source up to the first / or #: the folder, table or list that it was given in."""
    return source.partition("/")[0].partition("#")[0]


def _listed_sources(raw: RawResponses) -> tuple[str, ...]:
    """What the list of models says of the probes (`[[collection, file], ...]`), if it does."""
    listed = read_json(raw.folder / MODELS_NAME, "list of models", UsageError).get("probes")
    if not isinstance(listed, list) or len(listed) != len(raw.embeddings):
        return ("probes",) * len(raw.embeddings)
    return tuple(str(each[0]) if isinstance(each, list) and each else "probes" for each in listed)

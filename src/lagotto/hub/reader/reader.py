"""What a hub's folder holds, opened: probes, encoder, models' answers, and what can be searched."""

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import UsageError
from lagotto.core.types import Probe, Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import watched
from lagotto.encoders.registry import load_encoder
from lagotto.hub.completion.stored import (
    read_completion,
    searched,
    searched_answers,
)
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank_file import open_approximation
from lagotto.hub.index.partial import find_partial_models
from lagotto.hub.ingest.add import current_blocks
from lagotto.hub.ingest.probing import probe_outside
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.query.background import open_background
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.reader.status import HubStatus, read_hub_status
from lagotto.hub.reader.verify import Damage, verify_hub
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import Manifest, check_encoder
from lagotto.hub.store.model_responses import ModelResponses
from lagotto.hub.store.records import ModelRecord
from lagotto.hub.store.responses import (
    Responses,
    check_logit,
    read_responses,
)
from lagotto.jobs.worker_limits import Limits

_OPEN_RESPONSES = 256
"""Responses files kept mapped for exact distances; each takes a file descriptor."""


class HubReader:
    """Everything that can be read of a hub; what is done with it is `pipeline.Hub`."""

    def __init__(
        self, layout: HubLayout, manifest: Manifest, encoder: Encoder | str | None
    ) -> None:
        self._layout = layout
        self._manifest = manifest
        self._encoder_given = encoder
        self._logit_index: LogitIndex | None = None

    @property
    def folder(self) -> Path:
        """Where the hub is."""
        return self._layout.folder

    @property
    def probe_digest(self) -> str:
        """The identity of the probe set."""
        return self._manifest.probe_digest

    @property
    def encoder_name(self) -> str:
        """The encoder that embedded the probes."""
        return self._manifest.encoder_name

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes, in the order of every descriptor."""
        return self.probe_set.probes

    @cached_property
    def probe_set(self) -> ProbeSet:
        """The stored probes; raises MismatchError if they are not those that made the hub."""
        return self._manifest.open_probes(self._layout.probes)

    @cached_property
    def probe_embeddings(self) -> Float32[np.ndarray, "probes dim"]:
        """Unit embeddings of the probes; raises HubError if they are damaged."""
        return self._manifest.open_embeddings(self._layout.embeddings)

    @cached_property
    def space(self) -> ProbeSpace:
        """The probes and the background words in the encoder's space."""
        background = open_background(self._layout.background, self.encoder)
        return ProbeSpace(self.probe_embeddings, background, self.encoder.info.logit_scale)

    @cached_property
    def encoder(self) -> Encoder:
        """The hub's encoder, checked against its fingerprint, and when it is used its canary."""
        given = self._encoder_given or self._manifest.encoder_spec
        loaded = load_encoder(given) if isinstance(given, str) else given
        check_encoder(self.folder, self._manifest, loaded.info)
        return watched(loaded, self._manifest.canary, f"hub {self.folder}")

    def skipped(self) -> list[Skipped]:
        """Pictures that did not become probes, and why."""
        return self.probe_set.skipped()

    def probe_picture(self, index: int) -> bytes:
        """The picture file of a probe as it was given."""
        return self.probe_set.picture(index)

    def logit_index(self) -> LogitIndex:
        """Everything that can be found; blocks that are out of date are rebuilt first."""
        if self._logit_index is None:
            blocks, records, notes = current_blocks(self._layout, self.probe_digest)
            done = read_completion(self._layout, self.probe_digest)
            self._logit_index = LogitIndex(
                blocks=blocks,
                names={record.digest: record.name for record in records},
                labels=cache(self._labels),
                read=lru_cache(_OPEN_RESPONSES)(lambda d: searched_answers(done, self._read(d))),
                notes=notes,
                parts=find_partial_models(blocks, lambda digest: self._read(digest).seen),
                first_pass=open_approximation(self._layout, blocks, self.probe_digest),
            )
        return self._logit_index

    def responses(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """Raw logits of a model on all probes, completed if need be; UsageError if unknown."""
        return searched(self._layout, self._of(model))

    def answered(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """Raw logits of a model, NaN on probes that it did not see; UsageError as above."""
        return self._of(model).spread()

    def seen_probes(self, model: str) -> Int64[np.ndarray, " seen"]:
        """The probes that a model saw, ascending; UsageError as above."""
        return np.array(self._of(model).seen)

    def labels(self, model: str) -> tuple[str | None, ...]:
        """The published label of each logit, None where there is none; UsageError as above."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.logit_labels(catalogue.find(model).digest)

    def labelled(self, words: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
        """(model, logit, label) of every published label that holds any of some words."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.labelled(words)

    def digest_of(self, model: str) -> str:
        """The checksum of a model's raw responses; UsageError for an unknown name."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.find(model).responses_sha256

    def records(self) -> tuple[ModelRecord, ...]:
        """Every probed model: its digest, where its file was, how it is fed."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.models("done")

    def descriptor(self, model: str, logit: int) -> Float32[np.ndarray, " probes"]:
        """One logit's responses, standardised over the probes as they are searched.

        Of a model that is searched on its seen part, over those that it saw; NaN on the others.
        """
        held = self._of(model)
        check_logit(model, logit, held.values.shape[1])
        done = read_completion(self._layout, self.probe_digest)
        if searched_answers(done, held) is held:
            every = np.full(held.probes, np.nan, np.float32)
            every[held.seen] = standardize(held.values[:, logit : logit + 1]).values[:, 0]
            return every
        responses = searched(self._layout, held)
        return standardize(responses[:, logit : logit + 1]).values[:, 0]

    def responses_of(self, model: str) -> ModelResponses:
        """Of a model in the hub by name, else of a model file, which is probed for the occasion."""
        with Catalog(self._layout.catalogue) as catalogue:
            outside = not catalogue.has(model) and Path(model).exists()
            name = None if outside else catalogue.find(model).name
        if name is not None:
            return ModelResponses(name, True, self.responses(name), self.labels(name))
        values = probe_outside(Path(model), self.probe_set, self._layout.cache, Limits())
        return ModelResponses(model, False, values, (None,) * values.shape[1])

    def status(self) -> HubStatus:
        """Models, logits, probes, failures with their reasons, disk."""
        return read_hub_status(self._layout, self._manifest)

    def verify(self) -> tuple[Damage, ...]:
        """What is damaged, with what to do; empty if all is as it was written."""
        return verify_hub(self.folder)

    def _of(self, model: str) -> Responses:
        with Catalog(self._layout.catalogue) as catalogue:
            record = catalogue.find(model)
        if record.status != "done":
            raise UsageError(f"model {model!r} has no responses: it is {record.status}")
        return read_responses(self._layout.responses_of(record.digest))

    def _read(self, digest: str) -> Responses:
        return read_responses(self._layout.responses_of(digest), self.probe_digest)

    def _labels(self, digest: str) -> tuple[str | None, ...]:
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.logit_labels(digest)

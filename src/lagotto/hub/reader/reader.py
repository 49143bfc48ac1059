"""The folder of a hub comes in; its probes, encoder, responses and searchable logits go out."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.devices.placement import CPU, check_device
from lagotto.core.errors import UsageError
from lagotto.core.machine import open_files_limit
from lagotto.core.types import Probe, Skipped
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import with_canary_check
from lagotto.encoders.registry import load_encoder
from lagotto.hub.completion.stored import (
    read_completion,
    searchable_responses,
    searchable_rows,
)
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank_file import open_approximation
from lagotto.hub.index.model_names import ModelNames
from lagotto.hub.index.partial import find_partial_models
from lagotto.hub.ingest.probing import probe_file
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.query.background import open_background
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.reader.current_blocks import current_blocks
from lagotto.hub.reader.model_status import ModelStatus, model_statuses
from lagotto.hub.reader.status import HubStatus, read_hub_status
from lagotto.hub.reader.verify import Damage, verify_hub
from lagotto.hub.store.audits import read_label_lists
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.copies.origin import check_pictures_kept, encoder_spec_of, read_origin
from lagotto.hub.store.label_texts import (
    read_label_texts,
    read_labelled,
    read_logits_labelled,
)
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import Manifest, check_encoder, read_hub_manifest
from lagotto.hub.store.records import LabelListRecord, ModelRecord
from lagotto.hub.store.references import read_record_digests, read_references
from lagotto.hub.store.responses import (
    ModelResponses,
    Responses,
    check_logit,
    read_responses,
)
from lagotto.jobs.worker_limits import Limits

_OPEN_RESPONSES = 256
"""How many responses files stay mapped for exact distances; each takes a file descriptor."""


def _open_responses() -> int:
    """How many stay mapped under this process's limit of open files, which others need too."""
    return max(1, min(_OPEN_RESPONSES, open_files_limit() // 4))


class HubReader:
    """Everything that can be read of a hub; `hub.Hub` adds what can be done with it.

    Methods that take the name of a model raise UsageError, with a suggestion, for an unknown name.
    """

    def __init__(
        self,
        layout: HubLayout,
        manifest: Manifest,
        encoder: Encoder | str | None,
        device: str = CPU,
    ) -> None:
        self._device = check_device(device)
        self._layout = layout
        self._manifest = manifest
        self._encoder_override = encoder
        self._logit_index: LogitIndex | None = None

    @property
    def folder(self) -> Path:
        """The folder of the hub."""
        return self._layout.folder

    @property
    def probe_digest(self) -> str:
        """The identity of the probe set."""
        return self._manifest.probe_digest

    @property
    def encoder_name(self) -> str:
        """The name of the encoder that embedded the probes."""
        return self._manifest.encoder_name

    @property
    def probe_count(self) -> int:
        """How many probes the hub has; nothing but its manifest is read."""
        return self._manifest.probes

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes, in the order of the rows of every array."""
        return self.probe_set.probes

    @cached_property
    def probe_set(self) -> ProbeSet:
        """The stored probe set.

        Raises:
            HubError: It is missing or damaged.
            MismatchError: It is not the one that made the hub.
        """
        return self._manifest.open_probes(self._layout.probes)

    @cached_property
    def probe_embeddings(self) -> Float32[np.ndarray, "probes dim"]:
        """Unit embeddings of the probes, in their order; raises HubError if they are damaged."""
        return self._manifest.open_embeddings(self._layout.embeddings)

    @cached_property
    def space(self) -> ProbeSpace:
        """The probes and the background words in the space of the encoder."""
        background = open_background(self._layout.background, self.encoder)
        return ProbeSpace(self.probe_embeddings, background, self.encoder.info.logit_scale)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the hub, loaded.

        Its fingerprint is checked here, its canary at the first use.

        Raises:
            MismatchError: It is not the encoder that made the hub.
            EncoderError: A stranger's hub names it, and it is none of the known ones.
        """
        spec = self._encoder_override or encoder_spec_of(self.folder, self._manifest)
        loaded = load_encoder(spec, device=self._device) if isinstance(spec, str) else spec
        check_encoder(self.folder, self._manifest, loaded.info)
        return with_canary_check(loaded, self._manifest.canary, f"hub {self.folder}")

    def skipped(self) -> list[Skipped]:
        """The pictures that did not become probes, with the reasons."""
        return self.probe_set.skipped()

    @cached_property
    def has_pictures(self) -> bool:
        """Whether the pictures of the probes are here: a hub may be published without them."""
        return read_origin(self.folder).pictures

    def probe_picture(self, index: int) -> bytes:
        """The bytes of the picture file of a probe; raises HubError if it is missing or altered."""
        if not self.has_pictures:
            check_pictures_kept(self.folder)
        return self.probe_set.picture(index)

    def logit_index(self) -> LogitIndex:
        """Everything that can be found; see `current_blocks` for a hub whose blocks are not."""
        if self._logit_index is None:
            current = current_blocks(self._layout, self.probe_digest)
            blocks, done = current.blocks, current.completion
            self._logit_index = LogitIndex(
                blocks=blocks,
                names=ModelNames(self._layout.catalogue),
                labels=cache(self._labels),
                read=lru_cache(_open_responses())(lambda d: searchable_rows(done, self._read(d))),
                notes=current.notes,
                partial_models=find_partial_models(
                    blocks, lambda digest: self._read(digest).seen_probes
                ),
                approximation=open_approximation(self._layout, blocks, self.probe_digest),
            )
        return self._logit_index

    def refresh(self) -> None:
        """Has the logit index made anew at its next use: models or an index came or went.

        If the hub has grown, its probes are read anew too.
        """
        self._logit_index = None
        manifest = read_hub_manifest(self.folder)
        if manifest != self._manifest:
            self._manifest = manifest
            for name in ("probe_set", "probe_embeddings", "space"):
                self.__dict__.pop(name, None)

    def responses(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """Raw logits of a model on all probes.

        Probes that the model did not see have the prediction of the completion, or without one the
        mean of the logit.
        """
        return searchable_responses(self._layout, self._of(model))

    def observed_responses(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """Raw logits of a model, NaN on the probes that it did not see."""
        return self._of(model).on_all_probes()

    def seen_probes(self, model: str) -> Int64[np.ndarray, " seen"]:
        """The indices of the probes that a model saw, ascending."""
        return np.array(self._of(model).seen_probes)

    def labels(self, model: str) -> tuple[str | None, ...]:
        """The published label of each logit, None where there is none."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.logit_labels(catalogue.find(model).digest)

    def labelled(self, words: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
        """(model, logit, label) of every published label that contains any of some words."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_labelled(catalogue, words)

    def label_texts(self) -> tuple[str, ...]:
        """Every published label of the hub once, sorted."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_label_texts(catalogue)

    def logits_labelled(self, labels: Collection[str]) -> tuple[tuple[str, int, str], ...]:
        """(model, logit, label) of every logit with one of these very labels."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_logits_labelled(catalogue, labels)

    def label_lists(self, *, only_labelled: bool = True) -> tuple[LabelListRecord, ...]:
        """The label list of every probed model, or of those that have one, with its verdict."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_label_lists(catalogue, only_labelled=only_labelled)

    def references(self) -> tuple[str, ...]:
        """The names of the reference models, whose labels are believed without an audit."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_references(catalogue)

    def record_digests(self) -> dict[str, str]:
        """By the name of each probed model, the checksum of its record and of its labels."""
        with Catalog(self._layout.catalogue) as catalogue:
            return read_record_digests(catalogue)

    def model_names(self) -> tuple[str, ...]:
        """The names of the probed models, in the order in which they were first listed."""
        query = "SELECT name FROM models WHERE status = 'done' ORDER BY position"
        with Catalog(self._layout.catalogue) as catalogue:
            return tuple(str(name) for (name,) in catalogue.run(query))

    def record(self, model: str) -> ModelRecord:
        """The record of one model; raises UsageError if the hub has none of this name."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.find(model)

    def records(self) -> tuple[ModelRecord, ...]:
        """The record of every probed model: its digest, its source, its input."""
        with Catalog(self._layout.catalogue) as catalogue:
            return catalogue.models("done")

    def descriptor(self, model: str, logit: int) -> Float32[np.ndarray, " probes"]:
        """The responses of one logit, standardized over the probes as a search reads them.

        If a model is searched on the probes that it saw, they are standardized over those probes,
        and the others are NaN.

        Raises:
            UsageError: There is no such model, or no such logit.
        """
        observed = self._of(model)
        check_logit(model, logit, observed.values.shape[1])
        done = read_completion(self._layout, self.probe_digest)
        if searchable_rows(done, observed) is observed:
            column = observed.values[:, logit : logit + 1]
            descriptor = np.full(observed.probes, np.nan, np.float32)
            descriptor[observed.seen_probes] = standardize(column).values[:, 0]
            return descriptor
        responses = searchable_responses(self._layout, observed)
        return standardize(responses[:, logit : logit + 1]).values[:, 0]

    def responses_of(self, model: str) -> ModelResponses:
        """The responses and labels of a model in the hub, or of a model file outside it.

        A file is probed now, and nothing of it is stored. A name in the hub goes before a path.

        Args:
            model: A name in the hub, or the path of a model file.

        Raises:
            UsageError: It is neither.
            ModelError: The file cannot be probed.
        """
        with Catalog(self._layout.catalogue) as catalogue:
            is_file = not catalogue.has(model) and Path(model).exists()
            name = None if is_file else catalogue.find(model).name
        if name is not None:
            return ModelResponses(name, True, self.responses(name), self.labels(name))
        check_pictures_kept(self.folder)
        values = probe_file(Path(model), self.probe_set, self._layout.cache, Limits())
        return ModelResponses(model, False, values, (None,) * values.shape[1])

    def status(self, *, with_models: bool = True) -> HubStatus:
        """Counts of models, logits and probes, failures with their reasons, and disk."""
        return read_hub_status(self._layout, self._manifest, with_models=with_models)

    def model_statuses(self, name_part: str = "") -> Iterator[ModelStatus]:
        """What is known of each probed model with a part in its name, one at a time."""
        completion = read_completion(self._layout, self.probe_digest)
        with Catalog(self._layout.catalogue) as catalogue:
            yield from model_statuses(
                self._layout, catalogue, completion, self.probe_count, name_part
            )

    def statuses_of(self, names: Collection[str]) -> tuple[ModelStatus, ...]:
        """The status of some probed models, in the hub's order; other names are passed over."""
        completion = read_completion(self._layout, self.probe_digest)
        with Catalog(self._layout.catalogue) as catalogue:
            return tuple(
                model_statuses(self._layout, catalogue, completion, self.probe_count, names=names)
            )

    def verify(self) -> tuple[Damage, ...]:
        """What is damaged, and what to do about it; empty if every file is as it was written."""
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

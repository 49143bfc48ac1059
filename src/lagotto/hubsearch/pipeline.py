"""A hub in Python: made once, filled with models, searched.

The order of the stages is here; probing.py runs models, search.py compares descriptors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import UsageError
from lagotto.core.files import writing
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import Hits, Probe, SetAside
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import watched
from lagotto.encoders.registry import load_encoder
from lagotto.hubsearch.background import open_background
from lagotto.hubsearch.catalogue import Catalogue
from lagotto.hubsearch.creation import create_hub
from lagotto.hubsearch.descriptors import standardise
from lagotto.hubsearch.inspection import Inspection, inspect_models
from lagotto.hubsearch.intake import AddReport, add_models, current_blocks, rebuild_blocks
from lagotto.hubsearch.judging import Judge, open_judge
from lagotto.hubsearch.layout import HubLayout
from lagotto.hubsearch.lock import hub_lock
from lagotto.hubsearch.manifest import Manifest, check_encoder, read_manifest
from lagotto.hubsearch.probe_set import ProbeSet
from lagotto.hubsearch.probing import Limits, probe_outside
from lagotto.hubsearch.query_vectors import check_logit, image_vector, logit_vector, text_vector
from lagotto.hubsearch.ranking import Gallery
from lagotto.hubsearch.responses import Responses, read_responses
from lagotto.hubsearch.search import (
    AnyQuery,
    ImageQuery,
    LogitQuery,
    QueryVector,
    TextQuery,
    checked_rule,
    find_logits,
    is_judged,
)
from lagotto.hubsearch.status import HubStatus, read_status
from lagotto.hubsearch.verify import Damage, verify_hub
from lagotto.hubsearch.weighing import ProbeSpace

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hubsearch.audit import ModelAudit
    from lagotto.hubsearch.coverage import ModelCoverage
    from lagotto.hubsearch.kindred import Kindred
    from lagotto.hubsearch.label_trust import LabelTrust
    from lagotto.hubsearch.naming import ModelDescription

_OPEN_RESPONSES = 256
"""Responses files kept mapped for exact distances; each takes a file descriptor."""


@dataclass(frozen=True, slots=True)
class KnownResponses:
    """A model's raw responses, by its name in the hub or by the path of a file outside it."""

    name: str
    in_hub: bool
    values: Float32[np.ndarray, "probes logits"]
    labels: tuple[str | None, ...]


class Hub:
    """A folder of probed models; open it with `Hub.open`, make one with `Hub.create`.

    Paths may be strings. Progress is silent unless a `core.progress.Progress` is given.
    """

    def __init__(
        self, layout: HubLayout, manifest: Manifest, encoder: Encoder | str | None
    ) -> None:
        self._layout = layout
        self._manifest = manifest
        self._encoder_given = encoder
        self._gallery: Gallery | None = None
        self._judge: Judge | None = None

    @classmethod
    def create(
        cls,
        folder: Path | str,
        probes: Path | str | Sequence[Path | str],
        encoder: Encoder | str,
        *,
        max_probes: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> "Hub":
        """Makes a hub with a fixed probe set, embedded once by the encoder.

        `probes` are image folders, parquet files or jsonl files with captions. A random sample of
        `max_probes` is kept if given. The folder appears when it is complete. Raises UsageError
        if it exists, ProbeError or EncoderError where a hub cannot be made of what was given.
        """
        sources = [probes] if isinstance(probes, (str, Path)) else list(probes)
        create_hub(
            Path(folder),
            [Path(source) for source in sources],
            encoder,
            max_probes=max_probes,
            seed=seed,
            progress=progress or Silent(),
        )
        return cls.open(folder, None if isinstance(encoder, str) else encoder)

    @classmethod
    def open(cls, folder: Path | str, encoder: Encoder | str | None = None) -> "Hub":
        """An existing hub. The encoder is loaded when a query needs it, from where it was at first.

        Give `encoder` where it has moved: another one is refused with a MismatchError naming both.
        """
        layout = HubLayout(Path(folder))
        return cls(layout, read_manifest(layout.folder), encoder)

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

    def set_aside(self) -> list[SetAside]:
        """Pictures that did not become probes, and why."""
        return self.probe_set.set_aside()

    def probe_picture(self, index: int) -> bytes:
        """The picture file of a probe as it was given."""
        return self.probe_set.picture(index)

    def add(
        self,
        models: Sequence[Path | str],
        *,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> AddReport:
        """Probes models and adds their descriptors.

        `models` are files, folders that are scanned, or remote sources: `hf:ORG/NAME[@REV]`,
        `timm:NAME`, `hf-search:key=value,...` (docs/sources.md). Models already in the hub, by
        content, are skipped; failed ones are tried again. A run that was cut off is resumed by the
        same call. Raises SourceError where a hub of models is out of reach.
        """
        self._gallery = None
        return add_models(
            self._layout, self.probe_set, models, limits or Limits(), progress or Silent()
        )

    def inspect(
        self,
        models: Sequence[Path | str],
        *,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> tuple[Inspection, ...]:
        """How each model would be fed and read, and where that is from; nothing is added."""
        paths = [Path(model) for model in models]
        return inspect_models(self.probe_set, paths, limits or Limits(), progress or Silent())

    def query_vector(self, query: AnyQuery | str) -> QueryVector:
        """The values that a logit which recognises the concept would have on the probes."""
        match query:
            case str(text):
                return text_vector(self.encoder, self.space, TextQuery(text))
            case TextQuery():
                return text_vector(self.encoder, self.space, query)
            case ImageQuery():
                return image_vector(self.encoder, self.space, query)
            case LogitQuery():
                return self._logit_vector(query)

    def nearest(
        self,
        vector: QueryVector,
        *,
        top: int = 10,
        k: int | None = None,
        by_model: bool = False,
        rule: str = "default",
        behaviour_only: bool = False,
        progress: Progress | None = None,
    ) -> Hits:
        """The logits that answer a query vector; see `search`."""
        name = checked_rule(rule)
        if name == "default" and not behaviour_only and any(c.text for c in vector.concepts):
            from lagotto.hubsearch.label_trust import with_names

            vector = replace(
                vector, concepts=with_names(self, vector.concepts, progress or Silent())
            )
        judge = self.judge() if is_judged(vector, name) else None
        return find_logits(
            self.gallery(), vector, rule=name, top=top, k=k, by_model=by_model, judge=judge
        )

    def search(
        self,
        query: AnyQuery | str,
        *,
        top: int = 10,
        k: int | None = None,
        by_model: bool = False,
        rule: str = "default",
        behaviour_only: bool = False,
        progress: Progress | None = None,
    ) -> Hits:
        """The logits that behave most like the concept; a string is a text query.

        `k` is the number of probes that decide (default 50, or all of a smaller hub; a known logit
        is compared on all); `by_model` keeps the best logit of each model; `rule` is "default",
        "paper" or "full-query". With the default rule published labels that say a text's words
        count too, as far as behaviour does not contradict them, unless `behaviour_only`. Raises
        UsageError for what the hub cannot answer.
        """
        vector = self.query_vector(query)
        return self.nearest(
            vector,
            top=top,
            k=k,
            by_model=by_model,
            rule=rule,
            behaviour_only=behaviour_only,
            progress=progress,
        )

    def gallery(self) -> Gallery:
        """Everything that can be found; blocks that are out of date are rebuilt first."""
        if self._gallery is None:
            blocks, records, notes = current_blocks(self._layout, self.probe_digest)
            self._gallery = Gallery(
                blocks=blocks,
                names={record.digest: record.name for record in records},
                labels=cache(self._labels),
                read=lru_cache(_OPEN_RESPONSES)(self._read),
                notes=notes,
            )
        return self._gallery

    def judge(self) -> Judge | None:
        """What tells how far to believe hits; None while the hub has no searchable logit."""
        gallery = self.gallery()
        if not gallery.usable:
            return None
        if self._judge is None or self._judge.gallery is not gallery:
            parts = self.space, self.encoder, gallery, self.probe_digest
            self._judge = open_judge(self._layout.rivals, *parts)
        return self._judge

    def responses(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """Raw logits of a model on all probes, memory-mapped; UsageError for an unknown name."""
        with Catalogue(self._layout.catalogue) as catalogue:
            record = catalogue.find(model)
        if record.status != "done":
            raise UsageError(f"model {model!r} has no responses: it is {record.status}")
        return read_responses(self._layout.responses_of(record.digest)).values

    def labels(self, model: str) -> tuple[str | None, ...]:
        """The published label of each logit, None where there is none; UsageError as above."""
        with Catalogue(self._layout.catalogue) as catalogue:
            return catalogue.logit_labels(catalogue.find(model).digest)

    def labelled(self, words: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
        """(model, logit, label) of every published label that holds any of some words."""
        with Catalogue(self._layout.catalogue) as catalogue:
            return catalogue.labelled(words)

    def digest_of(self, model: str) -> str:
        """The checksum of a model's raw responses; UsageError for an unknown name."""
        with Catalogue(self._layout.catalogue) as catalogue:
            return catalogue.find(model).responses_sha256

    @cached_property
    def label_trust(self) -> "LabelTrust":
        """How far the published labels are believed."""
        from lagotto.hubsearch.label_trust import LabelTrust

        return LabelTrust(self)

    def descriptor(self, model: str, logit: int) -> Float32[np.ndarray, " probes"]:
        """One logit's responses, standardised over the probes."""
        responses = self.responses(model)
        check_logit(model, logit, responses.shape[1])
        return standardise(responses[:, logit : logit + 1]).values[:, 0]

    def describe(
        self, model: str, vocabulary: Sequence[str] | None = None, *, top: int = 5
    ) -> "ModelDescription":
        """Proposed names for each output of a model of the hub, by name, or outside it, by path.

        Without a vocabulary from the common words that ship with the package.
        """
        from lagotto.hubsearch.naming import describe_model

        return describe_model(self, self.responses_of(model), vocabulary, top=top)

    def audit(self, model: str, labels: Sequence[str] | None = None) -> "ModelAudit":
        """A model's published labels, or others given for it, against its behaviour."""
        from lagotto.hubsearch.audit import audit_model

        return audit_model(self, self.responses_of(model), labels)

    def duplicates(self, progress: Progress | None = None) -> "Kindred":
        """Models that are nearly the same, and models of one kind."""
        from lagotto.hubsearch.kindred import find_kindred

        return find_kindred(self, progress)

    def cover(self, labels: Sequence[str], *, top: int = 10) -> "tuple[ModelCoverage, ...]":
        """The models that cover a set of labels best, each with its output for every label."""
        from lagotto.hubsearch.coverage import cover_labels

        return cover_labels(self, labels, top=top)

    def status(self) -> HubStatus:
        """Models, logits, probes, failures with their reasons, disk."""
        return read_status(self._layout, self._manifest)

    def verify(self) -> tuple[Damage, ...]:
        """What is damaged, with what to do; empty if all is as it was written."""
        return verify_hub(self.folder)

    def remove(self, model: str) -> None:
        """Removes a model, its responses and its logits; UsageError for an unknown name."""
        with hub_lock(self.folder), Catalogue(self._layout.catalogue, writable=True) as catalogue:
            removed = catalogue.remove(model)
            self._gallery = None
            path = self._layout.responses_of(removed.digest)
            with writing(path):
                path.unlink(missing_ok=True)
            rebuild_blocks(self._layout, catalogue.models("done"), self.probe_digest)

    def responses_of(self, model: str) -> KnownResponses:
        """Of a model in the hub by name, else of a model file, which is probed for the occasion."""
        with Catalogue(self._layout.catalogue) as catalogue:
            outside = not catalogue.has(model) and Path(model).exists()
            name = None if outside else catalogue.find(model).name
        if name is not None:
            return KnownResponses(name, True, self.responses(name), self.labels(name))
        values = probe_outside(Path(model), self.probe_set, self._layout.cache, Limits())
        return KnownResponses(model, False, values, (None,) * values.shape[1])

    def _logit_vector(self, query: LogitQuery) -> QueryVector:
        known = self.responses_of(query.model)
        check_logit(query.model, query.index, known.values.shape[1])
        itself = (known.name, query.index) if known.in_hub else None
        return logit_vector(query, known.values[:, query.index], itself)

    def _read(self, digest: str) -> Responses:
        return read_responses(self._layout.responses_of(digest), self.probe_digest)

    def _labels(self, digest: str) -> tuple[str | None, ...]:
        with Catalogue(self._layout.catalogue) as catalogue:
            return catalogue.logit_labels(digest)

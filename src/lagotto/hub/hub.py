"""A hub in Python: made once, filled with models, searched.

The facade: the only file that knows all rooms of the hub, and the order of their work.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from lagotto.core.arguments.one_or_many import (
    OnePathOrMany,
    as_path,
    as_paths,
    as_sources,
)
from lagotto.core.arguments.options import with_keywords
from lagotto.core.devices.placement import CPU, check_device
from lagotto.core.errors import LagottoError, ModelError, ProbeError
from lagotto.core.progress import Progress, Silent
from lagotto.core.results.html import SmallPicture
from lagotto.core.types import Hits
from lagotto.encoders.base import Encoder
from lagotto.encoders.known.table import DEFAULT_ENCODER
from lagotto.encoders.registry import check_encoder_spec
from lagotto.hub.ingest.add import AddOptions, AddReport, add_models
from lagotto.hub.ingest.create import check_new_hub, create_hub
from lagotto.hub.ingest.inspect_files import InspectReport, inspect_paths
from lagotto.hub.ingest.merging.empty_copy import copy_empty, shard_layout
from lagotto.hub.ingest.merging.shard import ModelShard
from lagotto.hub.ingest.probing import place_limits
from lagotto.hub.open_hub import in_turn, reading
from lagotto.hub.probes.datasets.prepare import prepare_sources
from lagotto.hub.probes.subset import Choosing, Share
from lagotto.hub.publish.address import check_folder
from lagotto.hub.query.types import (
    AnyQuery,
    QueryVector,
    as_query,
)
from lagotto.hub.search.options import SearchKeywords, SearchOptions
from lagotto.hub.store.copies.origin import check_pictures_kept
from lagotto.hub.upkeep import HubUpkeep
from lagotto.jobs.worker_limits import Limits

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hub.confidence.judge import Judge
    from lagotto.hub.ingest.grow import GrowReport
    from lagotto.hub.labels.trust import LabelTrust
    from lagotto.hub.text.meaning import LabelEmbeddings


class Hub(HubUpkeep):
    """A folder of probed models; open it with `Hub.open`, make one with `Hub.create`.

    Wherever paths are taken, one path or many may be given, as str or Path. Progress is silent
    unless a `core.progress.Progress` is given.

    `len(hub)` is the number of models that were probed, `hub.models` are their names, and
    `name in hub` tells whether a model of this name is among them. A hub is a context manager;
    `close` lets its files and its encoder go.

    A hub may be used by several threads at once. Its methods take turns, because each search uses
    all cores anyway and not every encoder may be called by two threads. The answers are those of
    one thread. Two `Hub` objects of one folder do not wait for each other. What others change in
    the folder meanwhile, each call sees: it answers for the hub as it is when it starts.

    Example:
        >>> with Hub.open("my-hub") as hub:  # doctest: +SKIP
        ...     for hit in hub.search("violin", top=3):
        ...         print(hit.model, hit.logit, hit.confidence)
    """

    @classmethod
    def create(  # noqa: PLR0913  # users write it: a name for each choice
        cls,
        folder: Path | str,
        probes: OnePathOrMany | None = None,
        encoder: Encoder | str = DEFAULT_ENCODER,
        *,
        max_probes: int | None = None,
        seed: int = 0,
        accept: bool = False,
        device: str = CPU,
        progress: Progress | None = None,
    ) -> "Hub":
        """Makes a hub with a fixed probe set, embedded once by the encoder.

        The folder appears when it is complete.

        Args:
            folder: Where the hub is made; nothing may be there.
            probes: One or many: image folders, parquet files, jsonl files with captions, datasets
                `hf:datasets/ORG/NAME[@REV][:CONFIG/SPLIT]`, or `bundled`. None: the default
                dataset; where there is no network, the bundled pictures.
            encoder: An encoder, where one is, or a short name of `lagotto encoders`.
            max_probes: Keep a random sample of so many probes; None: all, and 2,000 of a dataset.
            seed: Of that sample.
            accept: Take datasets that state no licence.
            device: Where the encoder runs, unless it is given loaded: `cpu`, `cuda`, `cuda:N`, or
                `auto`, a GPU where one can be used.
            progress: Told of the work.

        Raises:
            UsageError: If something is there already, no probes are given, or the device is not
                there.
            ProbeError: If the sources yield no usable probe set.
            EncoderError: If the encoder cannot be loaded.
        """
        place, meter = as_path(folder, "hub folder"), progress or Silent()
        check_folder(place)
        check_new_hub(place)
        if isinstance(encoder, str):
            check_encoder_spec(encoder)
        sources = None if probes is None else as_sources(probes, "probes")
        found, count = prepare_sources(sources, max_probes, seed, meter, accept=accept)
        check_device(device)
        create_hub(
            *(place, found, encoder),
            max_probes=count,
            seed=seed,
            progress=meter,
            device=device,
        )
        return cls.open(place, None if isinstance(encoder, str) else encoder, device=device)

    @classmethod
    def create_like(cls, folder: Path | str, other: Path | str) -> "Hub":
        """Makes a hub without models, with the probes and the encoder of another one.

        The encoder is not needed. Raises UsageError if something is there already, and HubError if
        the other one is no hub, or damaged.
        """
        place = as_path(folder, "hub folder")
        check_folder(place)
        check_new_hub(place)
        copy_empty(as_path(other, "hub folder"), place)
        return cls.open(place)

    @property
    @reading
    def label_trust(self) -> "LabelTrust":
        """How far the published labels are believed, by the audits in the catalogue."""
        return self._search_state().label_trust

    @property
    @reading
    def label_embeddings(self) -> "LabelEmbeddings":
        """The published labels as vectors, by which they are matched by meaning."""
        return self._search_state().label_embeddings

    @reading
    def judge(self) -> "Judge | None":
        """Says how far to believe hits; None while the hub has no searchable logit."""
        return self._search_state().judge()

    @in_turn
    def add(
        self,
        models: OnePathOrMany,
        *,
        probes_per_model: int | None = None,
        choosing: Choosing = "spread",
        reference: bool = False,
        shard: ModelShard | None = None,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> AddReport:
        """Probes models, adds their descriptors and audits their published labels.

        Models already in the hub, by content, are skipped; failed ones are tried again; a run that
        was cut off is resumed.

        Args:
            models: One or many: files, folders that are scanned, or remote sources:
                `hf:ORG/NAME[@REV]`, `timm:NAME`, `hf-search:key=value,...`, `mlflow:NAME/VERSION`,
                `mlflow:NAME@ALIAS`.
            probes_per_model: Let each model see so many probes of its own; one that is there and
                saw fewer sees more. None: all probes.
            choosing: How these are chosen.
            reference: Believe their labels unless an audit finds them wrong, and let them say what
                outputs of other models recognise. They are no hits; one without labels is refused.
            shard: Add only this share of the models, to a hub of its own beside this one, of which
                only the probes are read. `merge` joins such hubs.
            limits: Of the worker processes.
            progress: Told of the work.

        Returns:
            What was added, skipped, and what failed with its reason; a note where the labels could
            not be audited, as without the hub's encoder: the models are added all the same; with
            `reference`, a note for each reference whose labels are doubted or contradicted.

        Raises:
            UsageError: If no models are given, a path holds none, or the device is not there.
            SourceError: If a remote source is out of reach.

        Example:
            >>> hub.add("models/").done  # doctest: +SKIP
            ('exp_final_v3', 'old_laptop_copy')
        """
        sources = as_sources(models, "models")
        check_pictures_kept(self.folder)
        self._forget_models()
        hub, meter, share = self.reader, progress or Silent(), None
        if probes_per_model is not None:
            share = Share(probes_per_model, hub.probe_embeddings, choosing)
        layout = self._layout if shard is None else shard_layout(self._layout, shard)
        given = (layout, hub.probe_set, sources, place_limits(limits or Limits()), meter)
        report = add_models(*given, AddOptions(share, reference, shard))
        if shard is not None:
            return report
        return self._prepared(report, meter, about_references=reference)

    @in_turn
    def grow(
        self,
        probes: OnePathOrMany,
        *,
        max_probes: int | None = None,
        seed: int = 0,
        accept: bool = False,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> "GrowReport":
        """Adds probes; the models see the new ones only, and their older answers stay.

        The hub is then what it would be if it had been made with all the probes. It stays as it was
        until the end; a run that was cut off is resumed by the same call. A model whose file is
        gone or changed keeps the answers that it has, as one that saw a share of the probes.

        Args:
            probes: One or many, as for `create`.
            max_probes: Take a random sample of so many new pictures; None: all.
            seed: Of that sample.
            accept: Take datasets that state no licence.
            limits: Of the worker processes.
            progress: Told of the work.

        Raises:
            UsageError: If there is no such source, or no model's file is there any more.
            ProbeError: If none of the pictures is new.

        Example:
            >>> hub.grow("more-photos/").probes  # doctest: +SKIP
            2239
        """
        from lagotto.hub.ingest.grow import grow_hub
        from lagotto.hub.prepare import prepare_searches

        meter, sources = progress or Silent(), as_sources(probes, "probes")
        found, count = prepare_sources(sources, max_probes, seed, meter, accept=accept)
        given = (self._layout, self.reader.encoder, found, limits or Limits(), meter)

        def prepare(*, audit_all: bool) -> None:
            self._forget_models()
            with suppress(LagottoError):  # a search measures what is not kept
                prepare_searches(self.reader, meter, audit_all=audit_all)
            self._searcher = None

        try:
            report = grow_hub(*given, max_probes=count, seed=seed)
        except ProbeError:  # no picture is new: all that a killed run left may be its last step
            prepare(audit_all=False)
            raise
        prepare(audit_all=True)
        return report

    @in_turn
    def add_reference(
        self, source: Path | str, *, progress: Progress | None = None
    ) -> tuple[str, ...]:
        """Adds a labelled model as a reference; gives all references.

        `source` is a path, a remote source as for `add`, or a short name: `resnet18`. Raises
        ModelError, with the reason, if it is refused or cannot be read.
        """
        from lagotto.hub.ingest.known_references import reference_spec

        given = reference_spec(source) if isinstance(source, str) else source
        report = self.add(given, reference=True, progress=progress)
        if report.failures:
            reasons = "; ".join(failure.reason for failure in report.failures)
            raise ModelError(f"{source} is no reference: {reasons}")
        return self.reader.references()

    @in_turn
    def inspect(
        self,
        models: OnePathOrMany,
        *,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> InspectReport:
        """How each model would be fed and read, and where that is from; nothing is added.

        The report also names the models that are not read, and counts all files.

        Raises UsageError if no models are given, or a path holds none.
        """
        paths, probe_set = as_paths(models, "models"), self.reader.probe_set
        check_pictures_kept(self.folder)
        return inspect_paths(paths, probe_set, limits or Limits(), progress or Silent())

    @reading
    def query_vector(self, query: AnyQuery | str | Path) -> QueryVector:
        """The values that a logit which recognises the concept would have on the probes."""
        return self._search_state().make_vector(as_query(query))

    @reading
    def nearest(
        self,
        vector: QueryVector,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Hits:
        """The logits that answer a query vector; options and answer are those of `search`."""
        options = with_keywords(options or SearchOptions(), keywords)
        started = time.perf_counter()
        found = self._search_state().find(vector, options)
        return replace(
            found,
            hub=self.name,
            elapsed_s=time.perf_counter() - started,
            probe_pictures=lambda probes: self._probe_thumbnails(probes),
        )

    @reading
    def search(
        self,
        query: AnyQuery | str | Path,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Hits:
        """The logits that behave most like the concept, best first.

        With the default rule published labels that say a text's words count too, as far as
        behaviour does not contradict them, unless `behaviour_only`. Nothing is written to the hub.

        Args:
            query: Words, a `TextQuery`, `ImageQuery` or `LogitQuery`; a Path is an example picture.
            options: How to search; see `SearchOptions`.
            **keywords: Fields of `SearchOptions`; they go before those of `options`.

        Returns:
            A sequence of `Hit`, with notes and the probes that decided.

        Raises:
            UsageError: For what the hub cannot answer, or an option that there is not.

        Example:
            >>> hub.search("violin", top=1)[0].model  # doctest: +SKIP
            'exp_final_v3'
        """
        options = with_keywords(options or SearchOptions(), keywords)
        return self.nearest(self.query_vector(query), options)

    @reading
    def _probe_thumbnails(self, probes: Sequence[int]) -> tuple[SmallPicture, ...]:
        from lagotto.hub.reports.notebook import probe_thumbnails

        return probe_thumbnails(self.reader, probes)

"""A hub in Python: made once, filled with models, searched.

The facade: the only file that knows all rooms of the hub, and the order of their work.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from lagotto.core.arguments.names import as_name_list, as_names
from lagotto.core.arguments.one_or_many import (
    OneNameOrMany,
    OnePathOrMany,
    as_path,
    as_paths,
    as_sources,
)
from lagotto.core.arguments.options import with_keywords
from lagotto.core.errors import LagottoError
from lagotto.core.progress import Progress, Silent
from lagotto.core.results.html import SmallPicture
from lagotto.core.types import Hits
from lagotto.encoders.base import Encoder
from lagotto.hub.ingest.add import AddReport, add_models
from lagotto.hub.ingest.create import create_hub
from lagotto.hub.ingest.inspect_files import InspectReport, inspect_paths
from lagotto.hub.open_hub import OpenHub, in_turn, reading
from lagotto.hub.probes.subset import Choosing, Share
from lagotto.hub.query.types import (
    AnyQuery,
    QueryVector,
    as_query,
)
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.search.options import SearchKeywords, SearchOptions
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.lock import hub_lock
from lagotto.jobs.worker_limits import Limits

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hub.confidence.judge import Judge
    from lagotto.hub.labels.audit import ModelAudit
    from lagotto.hub.labels.coverage import ModelCoverage
    from lagotto.hub.labels.describe import ModelDescription
    from lagotto.hub.labels.duplicates import DuplicateReport
    from lagotto.hub.labels.trust import LabelTrust
    from lagotto.hub.prepare import SegmentCounts
    from lagotto.hub.search.recall import IndexReport
    from lagotto.hub.searcher import Searcher
    from lagotto.hub.text.meaning import LabelEmbeddings


class Hub(OpenHub):
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

    def __init__(self, reader: HubReader) -> None:
        """A hub over an open reader; users call `Hub.open`."""
        super().__init__(reader)
        self._searcher: Searcher | None = None

    @classmethod
    def create(
        cls,
        folder: Path | str,
        probes: OnePathOrMany,
        encoder: Encoder | str,
        *,
        max_probes: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> "Hub":
        """Makes a hub with a fixed probe set, embedded once by the encoder.

        The folder appears when it is complete.

        Args:
            folder: Where the hub is made; nothing may be there.
            probes: One or many: image folders, parquet files or jsonl files with captions.
            encoder: An encoder, or where one is.
            max_probes: Keep a random sample of so many probes; None: all.
            seed: Of that sample.
            progress: Told of the work.

        Raises:
            UsageError: If something is there already, or no probes are given.
            ProbeError: If the sources yield no usable probe set.
            EncoderError: If the encoder cannot be loaded.
        """
        place = as_path(folder, "hub folder")
        create_hub(
            place,
            as_paths(probes, "probes"),
            encoder,
            max_probes=max_probes,
            seed=seed,
            progress=progress or Silent(),
        )
        return cls.open(place, None if isinstance(encoder, str) else encoder)

    def close(self) -> None:
        """Lets files, memory maps and the encoder go; using the hub afterwards is a UsageError."""
        with self._lock:
            super().close()
            self._searcher = None

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
            limits: Of the worker processes.
            progress: Told of the work.

        Returns:
            What was added, skipped, and what failed with its reason; a note where the labels could
            not be audited, as without the hub's encoder: the models are added all the same.

        Raises:
            UsageError: If no models are given, or a path holds none.
            SourceError: If a remote source is out of reach.

        Example:
            >>> hub.add("models/").done  # doctest: +SKIP
            ('exp_final_v3', 'old_laptop_copy')
        """
        from lagotto.hub.prepare import prepare_searches

        sources = as_sources(models, "models")
        self._forget_models()
        hub, meter, share = self.reader, progress or Silent(), None
        if probes_per_model is not None:
            share = Share(probes_per_model, hub.probe_embeddings, choosing)
        given = (sources, limits or Limits(), meter, share)
        report = add_models(self._layout, hub.probe_set, *given, as_references=reference)
        try:
            prepare_searches(hub, meter, audit_all=False)
        except LagottoError as error:
            note = f"labels were not all audited: {error}; then run: lagotto audit HUB --all"
            return replace(report, notes=(*report.notes, note))
        finally:
            self._searcher = None
        return report

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
            hub=str(self.folder),
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
    def describe(
        self, model: str, vocabulary: OneNameOrMany | None = None, *, top: int = 5
    ) -> "ModelDescription":
        """Proposed names for each output of a model, from its behaviour alone, `top` an output.

        Args:
            model: A model of the hub, by name, or outside it, by path.
            vocabulary: The names to choose from: a comma list or a file of names in one string, or
                a list. None: the common words that ship with the package.
        """
        from lagotto.hub.labels.describe import describe_model

        names = None if vocabulary is None else as_names(vocabulary, "vocabulary names")
        return describe_model(self.reader, self.reader.responses_of(model), names, top=top)

    @reading
    def audit(self, model: str, labels: OneNameOrMany | None = None) -> "ModelAudit":
        """A model's published labels, or others given for it, against its behaviour.

        `model` is as in `describe`; `labels`, in the order of the outputs, are a comma list or a
        file of names in one string, or a list. In a file, numbers place the names.
        """
        from lagotto.hub.labels.audit_references import audit_by_all

        known = self.reader.responses_of(model)
        names = None if labels is None else as_name_list(labels, "labels")
        return audit_by_all(self.reader, known, names)

    @in_turn
    def audit_labels(self, progress: Progress | None = None) -> "tuple[ModelAudit, ...]":
        """Audits the published labels of all models and keeps the verdicts, which searches read.

        `add` audits the lists that it adds, against the models that the hub then holds. This makes
        all verdicts anew: for a hub of an older version, or after many models were added. Raises
        HubError if the hub cannot be written to, or its responses are damaged.
        """
        from lagotto.hub.prepare import prepare_searches

        try:
            return prepare_searches(self.reader, progress or Silent(), audit_all=True)
        finally:
            self._searcher = None

    @reading
    def duplicates(self, progress: Progress | None = None) -> "DuplicateReport":
        """Models that are nearly the same, and models of one kind."""
        from lagotto.hub.labels.duplicates import find_duplicates

        return find_duplicates(self.reader, progress)

    @reading
    def cover(self, labels: OneNameOrMany, *, top: int = 10) -> "tuple[ModelCoverage, ...]":
        """The models that cover a set of labels best, each with its output for every label.

        `labels` are a comma list or a file of names in one string, or a list.
        """
        from lagotto.hub.labels.coverage import cover_labels

        return cover_labels(self.reader, as_names(labels, "labels"), top=top)

    @in_turn
    def build_index(
        self, rank: int | None = None, *, progress: Progress | None = None
    ) -> "IndexReport":
        """Makes the low-rank index of all logits, and says what it misses.

        It serves until models are added or removed. `rank` is the numbers that are kept of a logit;
        None: 64, or fewer so that they take a tenth of the descriptors' size. Raises UsageError for
        a hub without models, or a rank that it cannot have.
        """
        from lagotto.hub.prepare import keep_blocks
        from lagotto.hub.search.recall import make_index

        hub = self.reader
        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            keep_blocks(hub, catalogue)
            logit_index = hub.logit_index()
            hub.refresh()
            return make_index(
                self._layout, logit_index, hub.probe_digest, rank, progress or Silent()
            )

    @in_turn
    def remove_index(self) -> bool:
        """Takes the low-rank index away; False if there was none."""
        from lagotto.hub.index.low_rank_file import remove_index

        with hub_lock(self.folder):
            self.reader.refresh()
            return remove_index(self._layout)

    @in_turn
    def remove(self, model: str) -> None:
        """Removes a model, its responses and its logits; UsageError for an unknown name."""
        from lagotto.hub.prepare import remove_model

        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            remove_model(self.reader, catalogue, model)

    @in_turn
    def compact(self, progress: Progress | None = None) -> "SegmentCounts":
        """Merges the segments that the descriptors lie in, and frees the room of removed models.

        The answers stay the same. It needs as much free disk as the descriptors take.
        """
        from lagotto.hub.prepare import compact_hub

        return compact_hub(self.reader, progress or Silent())

    def _forget_models(self) -> None:
        """Drops what was read of the hub's models; the next use reads it again."""
        super()._forget_models()
        self._searcher = None

    @reading
    def _probe_thumbnails(self, probes: Sequence[int]) -> tuple[SmallPicture, ...]:
        from lagotto.hub.reports.notebook import probe_thumbnails

        return probe_thumbnails(self.reader, probes)

    def _search_state(self) -> "Searcher":
        """What searches share, made at the first one; searches load nothing that others need."""
        from lagotto.hub.searcher import Searcher

        if self._searcher is None:
            self._searcher = Searcher(self.reader)
        return self._searcher

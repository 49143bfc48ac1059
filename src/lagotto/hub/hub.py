"""A hub in Python: made once, filled with models, searched.

The order of the stages is here; probing.py runs models, search.py compares descriptors.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.core.errors import LagottoError
from lagotto.core.files import writing
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import Hits
from lagotto.encoders.base import Encoder
from lagotto.hub.ingest.add import (
    AddReport,
    add_models,
    rebuild_blocks,
)
from lagotto.hub.ingest.create import create_hub
from lagotto.hub.ingest.inspect import Inspection, inspect_models
from lagotto.hub.probes.subset import Choosing, Share
from lagotto.hub.query.background import keep_background
from lagotto.hub.query.build import (
    image_vector,
    logit_vector,
    text_vector,
)
from lagotto.hub.query.types import (
    AnyQuery,
    ImageQuery,
    LogitQuery,
    QueryVector,
    TextQuery,
)
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.search.approximate import select_index
from lagotto.hub.search.engine import (
    checked_rule,
    find_logits,
    is_judged,
)
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.responses import check_logit
from lagotto.jobs.worker_limits import Limits

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hub.confidence.judge import Judge
    from lagotto.hub.confidence.label_margin import LabelStats
    from lagotto.hub.labels.audit import ModelAudit
    from lagotto.hub.labels.coverage import ModelCoverage
    from lagotto.hub.labels.describe import ModelDescription
    from lagotto.hub.labels.duplicates import DuplicateReport
    from lagotto.hub.labels.trust import LabelTrust
    from lagotto.hub.search.recall import IndexReport
    from lagotto.hub.text.meaning import LabelEmbeddings


class Hub(HubReader):
    """A folder of probed models; open it with `Hub.open`, make one with `Hub.create`.

    Paths may be strings. Progress is silent unless a `core.progress.Progress` is given.
    """

    _judge: "Judge | None" = None
    _label_stats: "LabelStats | None" = None
    _label_trust: "LabelTrust | None" = None
    _label_embeddings: "LabelEmbeddings | None" = None

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
        return cls(layout, read_hub_manifest(layout.folder), encoder)

    @property
    def label_trust(self) -> "LabelTrust":
        """How far the published labels are believed, by the audits in the catalogue."""
        from lagotto.hub.labels.trust import LabelTrust

        if self._label_trust is None:
            self._label_trust = LabelTrust(self.label_lists())
        return self._label_trust

    @property
    def label_embeddings(self) -> "LabelEmbeddings":
        """The published labels as vectors, by which they are matched by meaning."""
        from lagotto.hub.labels.label_embeddings import open_label_embeddings

        if self._label_embeddings is None:
            source = self.label_texts(), self.encoder, self.space
            self._label_embeddings = open_label_embeddings(self._layout.label_embeddings, *source)
        return self._label_embeddings

    def judge(self) -> "Judge | None":
        """What tells how far to believe hits; None while the hub has no searchable logit."""
        from lagotto.hub.confidence.calibrator import shipped_calibrator
        from lagotto.hub.confidence.judge import Judge
        from lagotto.hub.confidence.reference_file import open_background_stats

        logit_index = self.logit_index()
        if not logit_index.usable:
            return None
        if self._judge is None or self._judge.logit_index is not logit_index:
            background = open_background_stats(
                self._layout.rivals, self.space, self.encoder, logit_index, self.probe_digest
            )
            note = shipped_calibrator().encoder_note(self.encoder.info)
            notes = () if note is None else (note,)
            self._judge = Judge(self.space, logit_index, background, notes=notes)
        return self._judge

    def add(
        self,
        models: Sequence[Path | str],
        *,
        probes_per_model: int | None = None,
        choosing: Choosing = "spread",
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> AddReport:
        """Probes models and adds their descriptors.

        `models` are files, folders that are scanned, or remote sources: `hf:ORG/NAME[@REV]`,
        `timm:NAME`, `hf-search:key=value,...` (docs/how-to/remote-models.md). Models already in the
        hub, by content, are skipped; failed ones are tried again. A run that was cut off is resumed
        by the same call. With `probes_per_model` each model sees that many probes of its own, and
        one that is there and saw fewer sees more (docs/explanation/completion.md). Raises
        SourceError where a hub of models is out of reach.

        Afterwards the published labels of the new models are audited, and what searches read of the
        background words is measured (see `audit_labels`). Where that fails, as without the hub's
        encoder, the report has a note: the models are added, their labels not audited.
        """
        self._forget_models()
        share = None
        if probes_per_model is not None:
            share = Share(probes_per_model, self.probe_embeddings, choosing)
        meter = progress or Silent()
        report = add_models(self._layout, self.probe_set, models, limits or Limits(), meter, share)
        try:
            self._prepare_searches(meter, audit_all=False)
        except LagottoError as error:
            note = f"labels were not all audited: {error}; then run: lagotto audit HUB --all"
            return replace(report, notes=(*report.notes, note))
        return report

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

    def nearest(  # as `search`
        self,
        vector: QueryVector,
        *,
        top: int = 10,
        k: int | None = None,
        by_model: bool = False,
        rule: str = "default",
        behaviour_only: bool = False,
        low_rank: bool | None = None,
    ) -> Hits:
        """The logits that answer a query vector; see `search`."""
        logit_index = select_index(self.logit_index(), low_rank, self.folder)
        name = checked_rule(rule)
        if name == "default" and not behaviour_only and any(c.text for c in vector.concepts):
            from lagotto.hub.labels.trust import with_names

            trust = self.label_trust
            concepts = with_names(self, trust, vector.concepts, self.label_embeddings)
            vector = replace(vector, concepts=concepts, notes=(*vector.notes, *trust.notes))
        judge = self.judge() if is_judged(vector, name) else None
        if judge is not None and not behaviour_only:
            judge = replace(judge, labels=self._make_label_stats(judge))
        return find_logits(
            logit_index, vector, rule=name, top=top, k=k, by_model=by_model, judge=judge
        )

    def search(  # a keyword for each choice that users have
        self,
        query: AnyQuery | str,
        *,
        top: int = 10,
        k: int | None = None,
        by_model: bool = False,
        rule: str = "default",
        behaviour_only: bool = False,
        low_rank: bool | None = None,
    ) -> Hits:
        """The logits that behave most like the concept; a string is a text query.

        `k` is the number of probes that decide (default 50, or all of a smaller hub; a known logit
        is compared on all); `by_model` keeps the best logit of each model; `rule` is "default",
        "paper" or "full-query". With the default rule published labels that say a text's words
        count too, as far as behaviour does not contradict them, unless `behaviour_only`.
        `low_rank`: go through the hub's index (docs/how-to/large-hubs.md) wherever it can serve
        (True), never (False), or where it pays. Raises UsageError for what the hub cannot answer.

        Nothing is written to the hub, as long as its blocks are those of its models: a search after
        an `add` that was cut off makes them first.
        """
        vector = self.query_vector(query)
        return self.nearest(
            vector,
            top=top,
            k=k,
            by_model=by_model,
            rule=rule,
            behaviour_only=behaviour_only,
            low_rank=low_rank,
        )

    def describe(
        self, model: str, vocabulary: Sequence[str] | None = None, *, top: int = 5
    ) -> "ModelDescription":
        """Proposed names for each output of a model of the hub, by name, or outside it, by path.

        Without a vocabulary from the common words that ship with the package.
        """
        from lagotto.hub.labels.describe import describe_model

        return describe_model(self, self.responses_of(model), vocabulary, top=top)

    def audit(self, model: str, labels: Sequence[str] | None = None) -> "ModelAudit":
        """A model's published labels, or others given for it, against its behaviour."""
        from lagotto.hub.labels.audit import audit_model

        return audit_model(self, self.responses_of(model), labels)

    def audit_labels(self, progress: Progress | None = None) -> "tuple[ModelAudit, ...]":
        """Audits the published labels of all models and keeps the verdicts, which searches read.

        `add` audits the lists that it adds, against the models that the hub then holds. This makes
        all verdicts anew: for a hub of an older version, or after many models were added.

        Returns:
            An audit of every probed model, in the order of the hub.

        Raises:
            HubError: the hub cannot be written to, or its responses are damaged.
        """
        return self._prepare_searches(progress or Silent(), audit_all=True)

    def duplicates(self, progress: Progress | None = None) -> "DuplicateReport":
        """Models that are nearly the same, and models of one kind."""
        from lagotto.hub.labels.duplicates import find_duplicates

        return find_duplicates(self, progress)

    def cover(self, labels: Sequence[str], *, top: int = 10) -> "tuple[ModelCoverage, ...]":
        """The models that cover a set of labels best, each with its output for every label."""
        from lagotto.hub.labels.coverage import cover_labels

        return cover_labels(self, labels, top=top)

    def build_index(
        self, rank: int | None = None, *, progress: Progress | None = None
    ) -> "IndexReport":
        """Makes the low-rank index of all logits, and says what it misses
        (docs/how-to/large-hubs.md).

        `rank` numbers a logit; by default 64, or fewer so that it takes a tenth of the descriptors'
        size. It serves until models are added or removed: make it again then. Raises UsageError for
        a hub without models or a rank that it cannot have.
        """
        from lagotto.hub.search.recall import make_index

        logit_index = self.logit_index()
        with hub_lock(self.folder):
            self._logit_index = None
            return make_index(
                self._layout, logit_index, self.probe_digest, rank, progress or Silent()
            )

    def remove_index(self) -> bool:
        """Takes the low-rank index away; False if there was none."""
        from lagotto.hub.index.low_rank_file import remove_index

        with hub_lock(self.folder):
            self._logit_index = None
            return remove_index(self._layout)

    def remove(self, model: str) -> None:
        """Removes a model, its responses and its logits; UsageError for an unknown name."""
        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            removed = catalogue.remove(model)
            self._forget_models()
            path = self._layout.responses_of(removed.digest)
            with writing(path):
                path.unlink(missing_ok=True)
            rebuild_blocks(self._layout, catalogue.models("done"), self.probe_digest)
            with suppress(LagottoError):  # a search measures what is not kept
                self._keep_background(Silent())

    def _forget_models(self) -> None:
        """Drops what was read of the hub's models; the next use reads it again."""
        self._logit_index, self._label_trust, self._label_stats = None, None, None
        self._label_embeddings = None

    def _prepare_searches(self, progress: Progress, *, audit_all: bool) -> "tuple[ModelAudit, ...]":
        """Makes and keeps what searches read: statistics of background words, audits of labels.

        Returns the audits that were made: of every model, or of the lists that had none.
        """
        from lagotto.hub.labels.label_embeddings import keep_label_embeddings
        from lagotto.hub.labels.trust import audit_lists

        self.logit_index()  # makes blocks that are out of date, for which it locks the hub itself
        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            self._keep_background(progress)
            source = self.label_texts(), self.encoder, self.space
            keep_label_embeddings(self._layout.label_embeddings, *source, progress)
            audits = audit_lists(self, catalogue, progress, anew=audit_all)
            old = self._layout.old_label_trust
            with writing(old):
                old.unlink(missing_ok=True)
        self._label_trust, self._label_stats, self._label_embeddings = None, None, None
        return audits

    def _keep_background(self, progress: Progress) -> None:
        """Keeps the embeddings of the background words, and how they score in this hub."""
        from lagotto.hub.confidence.reference_file import keep_background_stats

        keep_background(self._layout.background, self.encoder, progress)
        logit_index = self.logit_index()
        if logit_index.usable:
            keep_background_stats(
                self._layout.rivals, self.space, self.encoder, logit_index, self.probe_digest
            )

    def _make_label_stats(self, judge: "Judge") -> "LabelStats":
        """The labels as rivals, kept for as long as the hub's models stay the same."""
        from lagotto.hub.confidence.label_margin import LabelStats

        if self._label_stats is None or self._label_stats.background is not judge.background:
            index, background = judge.logit_index, judge.background
            self._label_stats = LabelStats(self, index, background, self.label_trust)
        return self._label_stats

    def _logit_vector(self, query: LogitQuery) -> QueryVector:
        known = self.responses_of(query.model)
        check_logit(query.model, query.index, known.values.shape[1])
        itself = (known.name, query.index) if known.in_hub else None
        return logit_vector(query, known.values[:, query.index], itself)

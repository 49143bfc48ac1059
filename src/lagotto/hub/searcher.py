"""An open hub and a query come in; hits go out, judged where they can be.

It keeps what is costly to make and the same for every search, until the hub's models change.
"""

from dataclasses import replace
from functools import cached_property

from lagotto.core.types import Hits
from lagotto.hub.confidence.judge import Judge
from lagotto.hub.confidence.label_margin import LabelStats
from lagotto.hub.confidence.reference_file import open_background_stats
from lagotto.hub.labels.label_embeddings import open_label_embeddings
from lagotto.hub.labels.named import NameSources, far_note, with_names, with_ways
from lagotto.hub.labels.pictured import ReferenceLabels, with_picture_names
from lagotto.hub.labels.trust import LONG, LabelTrust
from lagotto.hub.labels.twins.stored import HubTwins, open_twins
from lagotto.hub.query.boolean import sought_terms
from lagotto.hub.query.build import image_vector, logit_vector, text_vector
from lagotto.hub.query.types import AnyQuery, ImageQuery, LogitQuery, QueryVector, TextQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.search.approximate import select_index
from lagotto.hub.search.engine import find_logits, is_judged
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.responses import check_logit
from lagotto.hub.text.meaning import LabelEmbeddings

_NO_REFERENCE = (
    "this hub has no reference model: searches go by audited labels and behaviour; add one with: "
    "lagotto hub add HUB MODEL --reference"
)


class Searcher:
    """Searches an open hub; for one thread at a time."""

    def __init__(self, hub: HubReader) -> None:
        self._hub = hub
        self._label_trust: LabelTrust | None = None
        self._label_embeddings: LabelEmbeddings | None = None
        self._twins: HubTwins | None = None
        self._judge: Judge | None = None
        self._label_stats: LabelStats | None = None
        self._reference_labels: ReferenceLabels | None = None

    @cached_property
    def _references(self) -> tuple[str, ...]:
        return self._hub.references()

    @property
    def label_trust(self) -> LabelTrust:
        """How far the published labels are believed, by the audits in the catalogue."""
        if self._label_trust is None:
            self._label_trust = LabelTrust(self._hub.label_lists(), self._references)
        return self._label_trust

    @property
    def label_embeddings(self) -> LabelEmbeddings:
        """The published labels as vectors, by which they are matched by meaning."""
        if self._label_embeddings is None:
            hub, file = self._hub, HubLayout(self._hub.folder).label_embeddings
            self._label_embeddings = open_label_embeddings(
                file, hub.label_texts(), hub.encoder, hub.space
            )
        return self._label_embeddings

    @property
    def twins(self) -> HubTwins:
        """Which outputs behave like believed labelled ones."""
        if self._twins is None:
            file = HubLayout(self._hub.folder).twins
            self._twins = open_twins(file, self._hub, self.label_trust)
        return self._twins

    def judge(self) -> Judge | None:
        """Says how far to believe hits; None while the hub has no searchable logit."""
        hub = self._hub
        logit_index = hub.logit_index()
        if not logit_index.usable:
            return None
        if self._judge is None or self._judge.logit_index is not logit_index:
            file = HubLayout(hub.folder).rivals
            background = open_background_stats(
                file, hub.space, hub.encoder, logit_index, hub.probe_digest
            )
            spans = map(logit_index.columns_of, self._references)
            detailed = tuple(span for span in spans if span.stop - span.start >= LONG)
            self._judge = Judge(hub.space, logit_index, background, references=detailed)
        return self._judge

    def make_vector(self, query: AnyQuery) -> QueryVector:
        """The values that a logit which recognises the concept would have on the probes."""
        hub = self._hub
        match query:
            case TextQuery():
                return text_vector(hub.encoder, hub.space, query)
            case ImageQuery():
                return image_vector(hub.encoder, hub.space, query)
            case LogitQuery(model, index):
                known = hub.responses_of(model)
                check_logit(model, index, known.values.shape[1])
                itself = (known.name, index) if known.in_hub else None
                return logit_vector(query, known.values[:, index], itself)

    def find(self, vector: QueryVector, options: SearchOptions) -> Hits:
        """The logits that answer a query vector."""
        hub = self._hub
        logit_index = select_index(hub.logit_index(), options.low_rank, hub.folder)
        if options.references and not self._references:
            vector = replace(vector, notes=(*vector.notes, _NO_REFERENCE))
        sources = self._name_sources(vector, options)
        if sources is not None:
            concepts = with_names(hub, vector.concepts, sources)
            if sources.references and not all(concept.text for concept in concepts):
                concepts = with_picture_names(
                    concepts, self._labels_of_references(sources), sources
                )
            far = far_note(concepts, sources, logit_index)
            notes = (*vector.notes, *sources.notes, *(() if far is None else (far,)))
            vector = replace(vector, concepts=concepts, notes=notes)
        judge = self.judge() if is_judged(vector, options.rule_name) else None
        if judge is not None and not options.behaviour_only:
            judge = replace(judge, labels=self._labels_of(judge))
        hidden = () if options.with_references else self._references
        found = find_logits(logit_index, vector, options, judge, hidden)
        if sources is None:
            return found
        sought = [vector.concepts[index] for index in sought_terms(vector.expression)]
        return with_ways(found, sought, sources, logit_index)

    def name_sources(self, *, published: bool, references: bool | None) -> NameSources | None:
        """Which names are read; None for none.

        Args:
            published: Read the labels of all models.
            references: Read those of references: True, False, or None where there are any.
        """
        trust = self.label_trust
        taught = references is not False and bool(trust.references)
        if not published and not taught:
            return None
        return NameSources(trust, self.label_embeddings, self.twins, published, taught)

    def _name_sources(self, vector: QueryVector, options: SearchOptions) -> NameSources | None:
        """Which names a search reads; None for one that reads no names."""
        if options.rule != "default" or not vector.concepts:
            return None
        published = not options.behaviour_only and any(each.text for each in vector.concepts)
        return self.name_sources(published=published, references=options.references)

    def _labels_of_references(self, sources: NameSources) -> ReferenceLabels:
        """The labels of references as pictures are compared with them, made once."""
        if self._reference_labels is None:
            self._reference_labels = ReferenceLabels.of(self._hub, sources)
        return self._reference_labels

    def _labels_of(self, judge: Judge) -> LabelStats:
        """The labels as rivals, kept for as long as the hub's models stay the same."""
        if self._label_stats is None or self._label_stats.background is not judge.background:
            self._label_stats = LabelStats(
                self._hub, judge.logit_index, judge.background, self.label_trust
            )
        return self._label_stats

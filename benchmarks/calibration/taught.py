"""A hub with references and its right answers come in; searches with known right hits go out.

Each text is asked of the hub as it is, and without the outputs that answer it: then it is absent,
unless a reference's own output is asked for, and references are no hits.
"""

import shutil
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.progress import Silent
from lagotto.evaluation.retrieval.truth import TruthQuery
from lagotto.hub.confidence.calibrator import CONFIDENCE_POOL, HitEvidence
from lagotto.hub.confidence.judge import Judge, JudgedHits, Judgement
from lagotto.hub.hub import Hub
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.named import NameSources, with_names
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.stored import HubTwins, open_twins
from lagotto.hub.labels.twins.table import Twins, choose_teachers, join_twins
from lagotto.hub.prepare import refresh_twins
from lagotto.hub.query.types import ConceptQuery, QueryVector
from lagotto.hub.search.engine import find_logits
from lagotto.hub.search.options import SearchOptions
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.references import record_references


@dataclass(frozen=True)
class TaughtTrial:
    """One text asked of one hub: its best hits, which are right, and what is known of them.

    Attributes:
        text: the text.
        kind: its kind in the truth file.
        present: whether the hub has an output that answers it, besides those of references.
        right: which hits answer it.
        confidence: of the hits, without teachers.
        presence: the concept's probability, without teachers.
        twins: how likely each hit is a twin of a teacher; 0 for none.
        has_teacher: whether a believed label of the hub has the words of the text.
    """

    text: str
    kind: str
    present: bool
    right: list[bool]
    confidence: list[float]
    presence: float
    twins: list[float]
    has_teacher: bool


@dataclass(frozen=True)
class Recording(Judge):
    """A judge that keeps what it was shown."""

    kept: list[HitEvidence] = field(default_factory=list)

    def judge(self, concept: ConceptQuery, query: JudgedHits) -> Judgement | None:
        pool = replace(query, hits=query.pool[:0], has_bonus=query.has_bonus[: len(query.pool)])
        columns = np.unique(query.pool)
        evidence = self.weigh(concept, pool, *self.logit_index.plain_and_blended(columns))
        if evidence is not None:
            self.kept.append(evidence)
        return super().judge(concept, query)


class CachedFinder(TwinFinder):
    """Compares a model with the labelled outputs once, however often some of its outputs hide."""

    def __init__(self, index: LogitIndex, labelled: Sequence[tuple[int, int, str]]) -> None:
        super().__init__(index, choose_teachers(labelled))
        self._table = lru_cache(4)(self._all_correlations)

    def _all_correlations(self, owner: int) -> Float32[np.ndarray, "outputs teachers"]:
        first = int(self._index.firsts[owner])
        columns = first + np.arange(int(self._index.outputs(np.array([owner]))[0]))
        return super()._correlations(owner, columns)

    def _correlations(
        self, owner: int, columns: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows teachers"]:
        return self._table(owner)[columns - int(self._index.firsts[owner])]


class TaughtHub:
    """A copy of a hub with references, of which outputs can be hidden for one search."""

    def __init__(self, hub: Path, encoder: str, references: Sequence[str], folder: Path) -> None:
        shutil.copytree(hub, folder, ignore=shutil.ignore_patterns("cache", "twins*"))
        with Catalog(folder / "catalogue.sqlite", writable=True) as catalogue:
            record_references(catalogue, references)
        self.hub = Hub.open(folder, encoder)
        with hub_lock(folder):
            refresh_twins(self.hub.reader, Silent())
        self.references = tuple(references)
        reader, self._trust = self.hub.reader, self.hub.label_trust
        self.index = reader.logit_index()
        self._twins = open_twins(folder / "twins.safetensors", reader, self._trust)
        judge = self.hub.judge()
        assert judge is not None
        self._judge = Recording(
            judge.space, self.index, judge.background, references=judge.references
        )
        labelled = []
        for model in references:
            first = self.index.columns_of(model).start
            owner = int(self.index.owners(np.array([first]))[0])
            teaching = zip(self.hub.labels(model), self._trust.teaching(model), strict=True)
            labelled += [
                (owner, first + logit, str(label))
                for logit, (label, teaches) in enumerate(teaching)
                if label is not None and teaches
            ]
        self._finder = CachedFinder(self.index, labelled)

    def trials(self, texts: Sequence[TruthQuery]) -> Iterator[TaughtTrial]:
        """Each text that an output of no reference answers, with and without these outputs."""
        for query in texts:
            correct = [pair for pair in query.correct if pair[0] not in self.references]
            columns = [self.index.column(*pair) for pair in correct]
            answers = np.array(sorted(c for c in columns if c is not None), np.int64)
            if not len(answers):
                continue
            vector = self.hub.query_vector(query.text)
            if len(vector.concepts) != 1:
                continue
            for hidden in (answers[:0], answers):
                trial = self._trial(query, vector, answers, hidden)
                if trial is not None:
                    yield trial

    def _trial(
        self,
        query: TruthQuery,
        vector: QueryVector,
        answers: Int64[np.ndarray, " columns"],
        hidden: Int64[np.ndarray, " columns"],
    ) -> TaughtTrial | None:
        twins = self._without(hidden) if len(hidden) else self._twins
        embeddings = self.hub.label_embeddings
        sources = NameSources(self._trust, embeddings, twins, published=False)
        concepts = with_names(self.hub.reader, vector.concepts, sources)
        options = SearchOptions(top=CONFIDENCE_POOL, behaviour_only=True)
        names = (*self.references, *(f"#{column}" for column in hidden.tolist()))
        self._judge.kept.clear()
        index = _Hiding.of(self.index)
        found = find_logits(index, replace(vector, concepts=concepts), options, self._judge, names)
        if not self._judge.kept:
            return None
        columns = [self.index.column(hit.model, hit.logit) for hit in found.hits]
        calibrator, evidence = self._judge.calibrator, self._judge.kept[0]
        return TaughtTrial(
            query.text,
            query.kind,
            not len(hidden),
            np.isin(np.array(columns), answers).tolist(),
            calibrator.confidence(evidence.features).tolist(),
            calibrator.concept_probability(evidence.features),
            evidence.teaching.probability.tolist(),
            evidence.teaching.has_teacher,
        )

    def _without(self, hidden: Int64[np.ndarray, " columns"]) -> HubTwins:
        """The twins of a hub that lacks some columns."""
        owners = np.unique(self.index.owners(hidden))
        kept = self._twins.references
        rest = ~np.isin(self.index.owners(kept.columns), owners)
        parts = [Twins(kept.teachers[rest], kept.columns[rest], kept.probability[rest])]
        for owner in owners.tolist():
            first = int(self.index.firsts[owner])
            columns = first + np.arange(int(self.index.outputs(np.array([owner]))[0]))
            wanted = np.setdiff1d(columns, hidden)
            parts.append(self._finder.of_model(owner, wanted, absent=hidden))
        return replace(self._twins, references=join_twins(parts))


class _Hiding(LogitIndex):
    """A logit index that gives single columns by names such as #17 too."""

    @classmethod
    def of(cls, index: LogitIndex) -> "_Hiding":
        hiding = copy(index)
        hiding.__class__ = cls
        return hiding  # type: ignore[return-value]

    def columns_of(self, model: str) -> slice:
        if model.startswith("#"):
            return slice(int(model[1:]), int(model[1:]) + 1)
        return super().columns_of(model)

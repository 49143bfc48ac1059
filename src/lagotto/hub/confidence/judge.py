"""The hits of a concept in words in; confidence, quality and the concept's probability out.

A `Judge` puts together what is measured of the hits: margins over background words and labels,
agreement, probe coverage. It is made once for a hub. What takes long to make of it is kept in the
hub's folder.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.hub.confidence.calibrator import (
    Calibrator,
    Features,
    HitEvidence,
    concept_note,
    hit_agreement,
    shipped_calibrator,
)
from lagotto.hub.confidence.label_margin import LabelStats
from lagotto.hub.confidence.margin import fitted_scores, hit_context
from lagotto.hub.confidence.probe_coverage import coverage_note
from lagotto.hub.confidence.quality import expected_quality, quality_table
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    measure_names,
    name_from_scores,
)
from lagotto.hub.confidence.taught import teaching_of
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.query.types import ConceptQuery


@dataclass(frozen=True, slots=True)
class JudgedHits:
    """The hits that a judge is asked about.

    Attributes:
        pool: columns of the best CONFIDENCE_POOL hits, or of all of fewer.
        hits: columns of the hits to judge; a hit may be of the pool.
        has_bonus: for the pool and then the hits, whether a label raised the hit's score.
        sample_sums: the concept's raw scores on the sample of logits, if it was scored with the
            default k; else they are computed.
    """

    pool: Int64[np.ndarray, " pool"]
    hits: Int64[np.ndarray, " hits"]
    has_bonus: Bool[np.ndarray, " both"]
    sample_sums: Float32[np.ndarray, "2 sample"] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be believed of hits, and of the search as a whole.

    Attributes:
        confidence: the expected precision of each hit.
        quality: the share of the concept's pictures that each hit is expected to recognize.
        concept_probability: how likely any logit of the hub recognizes the concept.
        probe_coverage: how surely any probe shows the concept.
    """

    confidence: Float64[np.ndarray, " hits"]
    quality: Float64[np.ndarray, " hits"]
    concept_probability: float
    probe_coverage: float

    def notes(self, text: str) -> tuple[str, ...]:
        """What the user has to know before reading the hits of the query `text`."""
        notes = (
            concept_note(text, self.concept_probability),
            coverage_note(text, self.probe_coverage),
        )
        return tuple(note for note in notes if note is not None)


@dataclass(frozen=True, slots=True)
class Judge:
    """A hub as its hits are judged.

    Attributes:
        space: the probes in the encoder's space.
        logit_index: the hub's logits.
        background: the background words, rivals of any query.
        labels: the published labels, rivals on their own logits; None to judge by behaviour alone.
        calibrator: what turns features into probabilities.
        references: the columns of reference models with many labels, which speak against hits too:
            one of few has labels such as "bird", of which no output of a finer model is a twin.
    """

    space: ProbeSpace
    logit_index: LogitIndex
    background: BackgroundStats
    labels: LabelStats | None = None
    calibrator: Calibrator = field(default_factory=shipped_calibrator)
    references: tuple[slice, ...] = ()

    def judge(self, concept: ConceptQuery, query: JudgedHits) -> Judgement | None:
        """Judges the hits of a concept in words.

        None for an encoder that takes every background word for the concept, which then has no
        rival.
        """
        columns, positions = _distinct(query)
        descriptors, blended = self.logit_index.plain_and_blended(columns)
        evidence = self.weigh(concept, query, descriptors, blended)
        if evidence is None:
            return None
        features = evidence.features
        confidence, probability = self.calibrator.believe(evidence)
        hits = slice(features.pool, None)
        outputs = self.logit_index.outputs(features.owners[hits])
        table = quality_table(descriptors[:, positions[hits]], features.agreement[hits], outputs)
        return Judgement(
            confidence[hits],
            expected_quality(table, confidence[hits]),
            probability,
            features.probe_coverage,
        )

    def weigh(
        self,
        concept: ConceptQuery,
        query: JudgedHits,
        descriptors: Float32[np.ndarray, "probes distinct"],
        blended: Float32[np.ndarray, "probes distinct"],
    ) -> HitEvidence | None:
        """What is known of the hits; None where the concept has no rival.

        Args:
            concept: The concept.
            query: The hits.
            descriptors: Those of the distinct columns of pool and hits, ascending.
            blended: Their blended descriptors.
        """
        columns, positions = _distinct(query)
        margins = self._margins(concept, query.sample_sums, columns, blended)
        if margins is None:
            return None
        owners, pool = self.logit_index.owners(columns)[positions], len(query.pool)
        features = Features(
            margins.margin[positions],
            hit_agreement(descriptors[:, positions], owners, pool),
            concept.probe_coverage,
            margins.label_margin[positions],
            margins.has_label[positions],
            owners,
            pool,
        )
        matches, claims = margins.matches[positions], margins.claims[positions] & query.has_bonus
        return HitEvidence(
            features,
            matches,
            claims,
            teaching_of(concept.named, columns[positions], self.references),
        )

    def _margins(
        self,
        concept: ConceptQuery,
        sample_sums: Float32[np.ndarray, "2 sample"] | None,
        columns: Int64[np.ndarray, " hits"],
        blended: Float32[np.ndarray, "probes hits"],
    ) -> "_Margins | None":
        """The concept against the words and the labels on some logits; None without any rival."""
        embedding = _embedding(self.space, concept)
        directions = self.logit_index.directions(columns)
        context = hit_context(self.background, embedding, blended, directions)
        if not np.isfinite(context.rival_scores).all():
            return None
        if sample_sums is None:
            name = measure_names(self.background, embedding[None], concept.weights[None])
        else:
            name = name_from_scores(self.background, embedding, concept.weights, sample_sums)
        scores = fitted_scores(self.background, name, context)[0]
        margin = (scores - context.rival_scores).astype(np.float64)
        if self.labels is None:
            none = np.zeros(len(columns), bool)
            return _Margins(margin, margin, none, none, none)
        labels = self.labels.score_labels(concept.text, embedding, columns, context)
        rivals = np.maximum(context.rival_scores, labels.rival_scores)
        label_margin = (scores - rivals).astype(np.float64)
        return _Margins(margin, label_margin, labels.believed, labels.matches, labels.claims)


def _distinct(
    query: JudgedHits,
) -> tuple[Int64[np.ndarray, " distinct"], Int64[np.ndarray, " both"]]:
    """The columns of pool and hits, each once and ascending, and where each of both is there."""
    columns, positions = np.unique(np.concatenate([query.pool, query.hits]), return_inverse=True)
    return columns, positions.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Margins:
    """A concept's margins on some logits, and what their labels say: `Features`, `HitLabels`."""

    margin: Float64[np.ndarray, " hits"]
    label_margin: Float64[np.ndarray, " hits"]
    has_label: Bool[np.ndarray, " hits"]
    matches: Bool[np.ndarray, " hits"]
    claims: Bool[np.ndarray, " hits"]


def _embedding(space: ProbeSpace, concept: ConceptQuery) -> Float32[np.ndarray, " dim"]:
    """The unit embedding of a concept in words."""
    return np.asarray(concept.direction + space.background_mean, dtype=np.float32)

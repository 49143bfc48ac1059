"""Stage 5g of hub search: hits of a concept in words → what is to be believed of them.

Puts the clues together: rivals, agreement, coverage, labels → confidence, presence, quality. A
`Judge` is made once a hub; what is costly about it is kept in the hub's folder.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.hub.confidence.calibrator import (
    Features,
    family_agreement,
    presence_note,
    shipped_calibrator,
)
from lagotto.hub.confidence.label_margin import LabelStats
from lagotto.hub.confidence.margin import fitted_scores, seen_logits
from lagotto.hub.confidence.probe_coverage import coverage_note
from lagotto.hub.confidence.quality import expected_quality, quality_table
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    measure_names,
    measured_name,
)
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.query.types import ConceptQuery


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be believed of hits, and of the search as a whole.

    `presence` is how likely any logit of the hub recognises the concept, `coverage` how surely any
    probe shows it.
    """

    confidence: Float64[np.ndarray, " hits"]
    quality: Float64[np.ndarray, " hits"]
    presence: float
    coverage: float

    def notes(self, text: str) -> tuple[str, ...]:
        """What the user has to know before reading the hits of the query `text`."""
        notes = (presence_note(text, self.presence), coverage_note(text, self.coverage))
        return tuple(note for note in notes if note is not None)


@dataclass(frozen=True, slots=True)
class Judge:
    """A hub as hits are judged in it: its logit index, and the words that are rivals of any query.

    Where names are asked too, `labels` are rivals on their own logits.
    """

    space: ProbeSpace
    logit_index: LogitIndex
    rivals: BackgroundStats
    labels: LabelStats | None = None

    def judge(
        self,
        concept: ConceptQuery,
        pool: Int64[np.ndarray, " pool"],
        hits: Int64[np.ndarray, " hits"],
        usual: Float32[np.ndarray, "2 sample"] | None = None,
    ) -> Judgement | None:
        """Judges hits (columns of the logit index) of a concept in words.

        `pool` are the best POOL hits, or all of fewer; a hit may be of the pool. `usual` are the
        concept's raw sums on the sample of logits, if it was asked with the default k. None for an
        encoder that takes every background word for the concept: nothing tells it from them.
        """
        columns, places = np.unique(np.concatenate([pool, hits]), return_inverse=True)
        found, raised = self.logit_index.plain_and_blended(columns)
        asked = self._ask(concept, usual, columns, raised)
        if asked is None:
            return None
        owners = self.logit_index.owners(columns)
        clues = Features(
            asked.lead[places],
            family_agreement(found[:, places], owners[places], len(pool)),
            concept.coverage,
            asked.named[places],
            asked.believed[places],
            owners[places],
            len(pool),
        )
        calibrator = shipped_calibrator()
        confidence, presence = calibrator.confidence(clues), calibrator.presence(clues)
        called = asked.called[places]
        if called.any():  # what its model is believed to call so is as sure as anything may be
            confidence = np.where(called, calibrator.named_hit.ceiling, confidence)
            presence = max([presence, *confidence[: len(pool)][called[: len(pool)]]])
        shown = slice(len(pool), None)
        outputs = self.logit_index.outputs(owners[places[shown]])
        table = quality_table(found[:, places[shown]], clues.agreement[shown], outputs)
        return Judgement(
            confidence[shown],
            expected_quality(table, confidence[shown]),
            float(presence),
            clues.coverage,
        )

    def _ask(
        self,
        concept: ConceptQuery,
        usual: Float32[np.ndarray, "2 sample"] | None,
        columns: Int64[np.ndarray, " hits"],
        raised: Float32[np.ndarray, "probes hits"],
    ) -> "_Asked | None":
        """The concept, the words and the labels on some logits; None without any rival."""
        embedding = _embedding(self.space, concept)
        seen = seen_logits(self.rivals, embedding, raised, self.logit_index.directions(columns))
        levels = seen.levels
        if not np.isfinite(levels).all():
            return None
        if usual is None:
            own = measure_names(self.rivals, embedding[None], concept.weights[None])
        else:
            own = measured_name(self.rivals, embedding, concept.weights, usual)
        scores = fitted_scores(self.rivals, own, seen)[0]
        lead = (scores - levels).astype(np.float64)
        if self.labels is None:
            none = np.zeros(len(columns), bool)
            return _Asked(lead, lead, none, none)
        labels = self.labels.score_labels(concept.text, embedding, columns, seen)
        named = (scores - np.maximum(levels, labels.rival_scores)).astype(np.float64)
        return _Asked(lead, named, labels.believed, labels.matches)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A concept's leads on some logits: see Clues. `called` are those named so, believably."""

    lead: Float64[np.ndarray, " hits"]
    named: Float64[np.ndarray, " hits"]
    believed: Bool[np.ndarray, " hits"]
    called: Bool[np.ndarray, " hits"]


def _embedding(space: ProbeSpace, concept: ConceptQuery) -> Float32[np.ndarray, " dim"]:
    """The unit embedding of a concept in words."""
    return np.asarray(concept.direction + space.background_mean, dtype=np.float32)

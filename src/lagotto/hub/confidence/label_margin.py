"""Hits with believed labels come in; how high each label scores on its own hit goes out.

Where behaviour bears out a model's list of labels, the label of a hit says what the hit is about.
If that is not the queried concept, the concept has to score higher on the hit than the label does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.hub.confidence.margin import HitContext, label_levels
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    Names,
    join_names,
    measure_names,
)
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.query.probe_weights import text_weights
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import (
    FIRMLY,
    name_likeness,
    name_words,
)
from lagotto.hub.text.normalize import readable_label

_CACHE_SIZE = 4096
"""Labels whose measurements are cached; beyond that the cache is emptied."""


@dataclass(frozen=True, slots=True)
class HitLabels:
    """The published labels of some hits, as far as they are believed.

    `believed` marks hits with a believed label, `matches` those whose believed label is the text of
    the query. `rival_scores` are the fitted scores of the labels on their own hits: -inf without a
    believed label, and where the label names the queried concept, which is no rival of itself.
    """

    believed: Bool[np.ndarray, " hits"]
    matches: Bool[np.ndarray, " hits"]
    rival_scores: Float32[np.ndarray, " hits"]


class LabelStats:
    """How the labels of a hub score on its logits; each label is measured at its first use."""

    def __init__(
        self,
        hub: HubReader,
        logit_index: LogitIndex,
        background: BackgroundStats,
        trust: LabelTrust,
    ) -> None:
        self._hub = hub
        self._trust = trust
        self._logit_index = logit_index
        self.background = background
        self._measured: dict[str, Names] = {}

    def score_labels(
        self,
        text: str,
        concept: Float32[np.ndarray, " dim"],
        columns: Int64[np.ndarray, " hits"],
        context: HitContext,
    ) -> HitLabels:
        """Scores the believed labels of hits as rivals of a queried concept.

        Args:
            text: the concept in words.
            concept: its unit embedding.
            columns: the hits, as columns of the logit index.
            context: the same hits, as names are scored on them.

        Returns:
            The labels and their scores, one entry a hit.
        """
        labels = self._believed_labels(columns)
        believed = np.array([label is not None for label in labels])
        query_words = name_words(text)
        rivals = {
            label: readable_label(label)
            for label in labels
            if label is not None and name_likeness(query_words, label) < 1
        }
        if not rivals:
            return HitLabels(believed, believed, np.full(len(columns), -np.inf, np.float32))
        texts = sorted(set(rivals.values()))
        rows = {rival: row for row, rival in enumerate(texts)}
        label_rows = np.array(
            [rows[rivals[label]] if label in rivals else -1 for label in labels], np.int64
        )
        scores = label_levels(self.background, self._names(texts), label_rows, concept, context)
        return HitLabels(believed, believed & (label_rows < 0), scores)

    def _believed_labels(self, columns: Int64[np.ndarray, " hits"]) -> list[str | None]:
        """The label of each hit where it is believed whatever a query says, else None."""
        index = self._logit_index
        labels: list[str | None] = []
        for column, owner in zip(columns.tolist(), index.owners(columns).tolist(), strict=True):
            digest = index.digests[owner]
            logit = column - int(index.firsts[owner])
            firm = self._trust.level(index.names[digest], logit) >= FIRMLY
            labels.append(index.labels(digest)[logit] if firm else None)
        return labels

    def _names(self, texts: Sequence[str]) -> Names:
        """Labels as names that are scored in this hub; those not in the cache are measured."""
        new = [text for text in texts if text not in self._measured]
        if len(self._measured) + len(new) > _CACHE_SIZE:
            self._measured.clear()
            new = list(texts)
        if new:
            template = self._hub.encoder.info.prompt_template
            embeddings = self._hub.encoder.embed_texts([template.replace("{}", t) for t in new])
            weights = text_weights(self._hub.space, embeddings)
            for text, embedding, row in zip(new, embeddings, weights, strict=True):
                self._measured[text] = measure_names(self.background, embedding[None], row[None])
        return join_names([self._measured[text] for text in texts])

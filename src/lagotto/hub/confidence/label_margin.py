"""Stage 5d of hub search: the published labels of hits → what a concept has to beat there too.

Where behaviour agrees with a model's list of labels, the label of a hit says what the hit is about;
if it is not the concept, the concept has to fit the hit better than its own label does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from lagotto.core.progress import Progress
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

_KEPT = 4096
"""Labels that are kept as they were measured; all are forgotten beyond that."""


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """Which hits carry a believed label, and its fitted score there; -inf where it is the concept's
    own name, which is no rival. `called` are those whose believed label is the words themselves."""

    believed: Bool[np.ndarray, " hits"]
    called: Bool[np.ndarray, " hits"]
    levels: Float32[np.ndarray, " hits"]


class LabelStats:
    """The labels of a hub as rivals on their own logits; each is measured when it is first met."""

    def __init__(
        self, hub: HubReader, logit_index: LogitIndex, rivals: BackgroundStats, trust: LabelTrust
    ) -> None:
        self._hub = hub
        self._trust = trust
        self._logit_index = logit_index
        self.rivals = rivals
        self._measured: dict[str, Names] = {}

    def ask(
        self,
        text: str,
        concept: Float32[np.ndarray, " dim"],
        columns: Int64[np.ndarray, " hits"],
        seen: HitContext,
        progress: Progress,
    ) -> OwnLabels:
        """What the labels of some logits say of a concept, given in words and by its embedding.

        The lists of models that are met for the first time are audited.
        """
        labels = self._believed_labels(columns, progress)
        believed = np.array([label is not None for label in labels])
        asked = name_words(text)
        spoken = {
            label: readable_label(label)
            for label in labels
            if label is not None and name_likeness(asked, label) < 1
        }
        if not spoken:
            return OwnLabels(believed, believed, np.full(len(columns), -np.inf, np.float32))
        texts = sorted(set(spoken.values()))
        places = {each: place for place, each in enumerate(texts)}
        own = np.array([places[spoken[each]] if each in spoken else -1 for each in labels])
        levels = label_levels(self.rivals, self._names(texts), own, concept, seen)
        return OwnLabels(believed, believed & (own < 0), levels)

    def _believed_labels(
        self, columns: Int64[np.ndarray, " hits"], progress: Progress
    ) -> list[str | None]:
        logit_index, trust = self._logit_index, self._trust
        owners = logit_index.owners(columns).tolist()
        labelled = {
            logit_index.names[logit_index.digests[owner]]
            for owner in set(owners)
            if any(label is not None for label in logit_index.labels(logit_index.digests[owner]))
        }
        trust.check(sorted(labelled), progress)
        found: list[str | None] = []
        for column, owner in zip(columns.tolist(), owners, strict=True):
            digest = logit_index.digests[owner]
            model, logit = logit_index.names[digest], column - int(logit_index.firsts[owner])
            firm = model in labelled and float(trust.believed(model)[logit]) >= FIRMLY
            found.append(logit_index.labels(digest)[logit] if firm else None)
        return found

    def _names(self, texts: Sequence[str]) -> Names:
        new = [text for text in texts if text not in self._measured]
        if len(self._measured) + len(new) > _KEPT:
            self._measured.clear()
            new = list(texts)
        if new:
            template = self._hub.encoder.info.prompt_template
            embeddings = self._hub.encoder.embed_texts([template.replace("{}", t) for t in new])
            weights = text_weights(self._hub.space, embeddings)
            for text, embedding, row in zip(new, embeddings, weights, strict=True):
                self._measured[text] = measure_names(self.rivals, embedding[None], row[None])
        return join_names([self._measured[text] for text in texts])

"""A concept in pictures and the labels of references come in; the logits that these name go out.

The hub's encoder says which label of a reference the pictures show, if one is clearly nearer than
all others. Its output and the twins of it have the label as a name then, as for a text with its
words. Pictures of what no label says have no name: the nearest label is not clear there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.text.names import first_name, name_words
from lagotto.core.vectors import unit_rows
from lagotto.hub.labels.named import NameSources, named_through
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import NOBODY, Named


@dataclass(frozen=True, slots=True)
class PictureNameConfig:
    """When pictures have a name. Set by benchmarks/quality/reference_pictures.py.

    Attributes:
        least_cosine: cosine of pictures and label, as directions from the mean of the probes and of
            the background words, from which the label may be theirs.
        least_lead: how much nearer it is than every label of another name.
    """

    least_cosine: float = 0.4
    least_lead: float = 0.1


PICTURE_NAMES = PictureNameConfig()
"""The thresholds that the package uses."""


@dataclass(frozen=True, slots=True)
class ReferenceLabels:
    """The labels of references that teach, as directions in the encoder's space.

    Attributes:
        columns: the labelled outputs, as columns of the logit index, ascending.
        names: a number for the words of each label.
        directions: of the labels, less what all background words have in common; of unit length.
        trust: how far each is believed.
    """

    columns: Int64[np.ndarray, " labelled"]
    names: Int64[np.ndarray, " labelled"]
    directions: Float32[np.ndarray, "labelled dim"]
    trust: Float32[np.ndarray, " labelled"]

    @classmethod
    def of(cls, hub: HubReader, sources: NameSources) -> "ReferenceLabels":
        """Those of a hub."""
        embeddings, index, trust = sources.embeddings, hub.logit_index(), sources.trust
        rows = {label: row for row, label in enumerate(embeddings.labels)}
        numbers: dict[frozenset[str], int] = {}
        found: list[tuple[int, int, int, float]] = []
        for model in trust.references & set(trust.teaching_models):
            first = index.columns_of(model).start
            believed = zip(hub.labels(model), trust.believed(model), strict=True)
            for logit, (label, level) in enumerate(believed):
                if label in rows and level > 0 and index.steps[first + logit] > 0:
                    words = name_words(first_name(label)) or frozenset([label])
                    number = numbers.setdefault(words, len(numbers))
                    found.append((first + logit, number, rows[label], float(level)))
        found.sort()
        places = [row for _, _, row, _ in found]
        values = embeddings.values[places].astype(np.float32) * embeddings.steps[places][:, None]
        return cls(
            np.array([column for column, *_ in found], np.int64),
            np.array([name for _, name, _, _ in found], np.int64),
            unit_rows(values) if found else values,
            np.array([level for *_, level in found], np.float32),
        )

    def named(
        self,
        direction: Float32[np.ndarray, " dim"],
        sources: NameSources,
        config: PictureNameConfig = PICTURE_NAMES,
    ) -> Named:
        """The logits that the label of some pictures names; none where no label is clear.

        Args:
            direction: the pictures' embedding, less what all probes have in common.
            sources: the twins that are read.
            config: the thresholds.
        """
        length = float(np.linalg.norm(direction))
        if not len(self.columns) or length == 0:
            return NOBODY
        cosines = self.directions @ (direction / np.float32(length))
        best = int(cosines.argmax())
        same = self.names == self.names[best]
        rival = float(cosines[~same].max(initial=-1.0))
        if cosines[best] < max(config.least_cosine, rival + config.least_lead):
            return NOBODY
        columns = self.columns[same]
        ones = np.ones(len(columns), np.float32)
        return named_through(Named(columns, ones, self.trust[same]), sources.tables)


def with_picture_names(
    concepts: Sequence[ConceptQuery], labels: ReferenceLabels, sources: NameSources
) -> tuple[ConceptQuery, ...]:
    """The same concepts, those in pictures with the logits that labels of references name."""
    return tuple(
        concept
        if concept.text
        else replace(concept, named=labels.named(concept.direction, sources))
        for concept in concepts
    )

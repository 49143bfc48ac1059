"""Concepts come in; the same concepts with the logits that labels or twins name so go out.

A label is like a text if it holds words of it, or if it is of similar meaning. What a believed
label says of its own logit, it says of the twins of that logit with their probability (twins/).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from lagotto.core.results.through import Through
from lagotto.core.types import Hits
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.stored import NO_HUB_TWINS, HubTwins
from lagotto.hub.labels.twins.table import Twins
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.text.matching import Named, find_named
from lagotto.hub.text.meaning import LabelEmbeddings

LIKELY = 0.5
"""Probability of a twin from which a label counts as its name where there is room for one."""


@dataclass(frozen=True, slots=True)
class NameSources:
    """Which names of a hub a search reads.

    Attributes:
        trust: how far published labels are believed.
        embeddings: the labels as vectors.
        twins: the twins of believed labels.
        published: read the labels of all models, and the twins of audited ones.
        references: read the labels of references and their twins.
    """

    trust: LabelTrust
    embeddings: LabelEmbeddings
    twins: HubTwins = NO_HUB_TWINS
    published: bool = True
    references: bool = True

    @property
    def tables(self) -> tuple[Twins, ...]:
        """The tables of twins that are read."""
        references = (self.twins.references,) if self.references else ()
        return (*references, self.twins.audited) if self.published else references

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user has to know of a search by these names."""
        doubted = self.trust.doubted_references if self.references else ()
        return (*self.trust.notes, *doubted, *self.twins.notes)

    def reads(self, model: str) -> bool:
        """Whether the labels of a model are read."""
        is_reference = model in self.trust.references
        return self.references if is_reference else self.published


def with_names(
    hub: HubReader, concepts: tuple[ConceptQuery, ...], sources: NameSources
) -> tuple[ConceptQuery, ...]:
    """The same concepts, each with the logits whose name is like its text.

    A concept without text, such as a picture, has no name.
    """
    return tuple(
        replace(concept, named=named_logits(hub, concept.text, concept.direction, sources))
        if concept.text
        else concept
        for concept in concepts
    )


def named_logits(
    hub: HubReader, text: str, direction: Float32[np.ndarray, " dim"], sources: NameSources
) -> Named:
    """The logits whose name, or whose twin's name, is like a text.

    Args:
        hub: the hub.
        text: a concept in words.
        direction: its embedding, less what all background words have in common.
        sources: which names are read.
    """
    similar = sources.embeddings.likeness(direction)

    def labelled(texts: Sequence[str]) -> Sequence[tuple[str, int, str]]:
        found = (*hub.labelled(texts), *hub.logits_labelled(similar))
        return [entry for entry in found if sources.reads(entry[0])]

    column, trust = hub.logit_index().column, sources.trust.level
    named = find_named(text, labelled, column, trust, similar)
    return named_through(named, sources.tables)


def far_note(
    concepts: Sequence[ConceptQuery], sources: NameSources, logit_index: LogitIndex
) -> str | None:
    """What the user has to know if no believed label of a reference comes near a concept's words.

    None where references are not read, or each concept in words has such a label.
    """
    if not sources.references:
        return None
    far = []
    for concept in concepts:
        columns = concept.named.labelled[concept.named.trust > 0]
        owners = np.unique(logit_index.owners(columns)).tolist()
        models = {logit_index.names[logit_index.digests[owner]] for owner in owners}
        if concept.text and not models & sources.trust.references:
            far.append(repr(concept.text))
    if not far:
        return None
    return (
        f"no label of the hub's references comes near {', '.join(far)}: found by behaviour"
        f"{' and other labels' if sources.published else ''}; try the name of a class, in the "
        "language of the encoder"
    )


def likely_labels(
    hub: HubReader, trust: LabelTrust, twins: HubTwins, model: str
) -> tuple[str | None, ...]:
    """For each output of a model what it most likely recognizes, as labels say it.

    That is its published label, unless this is not believed at all and it is as likely as not a
    twin of a believed label's output: then that label. None without either.
    """
    published, index = hub.labels(model), hub.logit_index()
    labels = list(published)
    columns = index.columns_of(model)
    likeliest = np.full(len(labels), LIKELY)
    for table in (twins.references, twins.audited):
        for row in table.of_columns(np.arange(columns.start, columns.stop)).tolist():
            output, probability = int(table.columns[row]) - columns.start, table.probability[row]
            own = published[output] is not None and trust.level(model, output) > 0
            if probability >= likeliest[output] and not own:
                likeliest[output] = probability
                labels[output] = label_of(index, int(table.teachers[row]))
    return tuple(labels)


def label_of(logit_index: LogitIndex, column: int) -> str | None:
    """The published label of a column."""
    owner = int(logit_index.owners(np.array([column]))[0])
    return logit_index.labels(logit_index.digests[owner])[column - int(logit_index.firsts[owner])]


def with_ways(
    found: Hits, concepts: Sequence[ConceptQuery], sources: NameSources, logit_index: LogitIndex
) -> Hits:
    """The same hits, each with the labelled output of another model that led to it, if any did.

    `concepts` are those that are sought: a concept behind NOT leads to no hit.
    """
    hits = []
    for hit in found.hits:
        column = logit_index.column(hit.model, hit.logit)
        ways = [_way(concept.named, column, sources, logit_index) for concept in concepts]
        way = max(filter(None, ways), key=lambda way: way.probability, default=None)
        hits.append(hit if way is None else replace(hit, through=way))
    return replace(found, hits=tuple(hits))


def _way(
    named: Named, column: int | None, sources: NameSources, logit_index: LogitIndex
) -> Through | None:
    if named.teachers is None or named.probability is None:
        return None
    for row in np.flatnonzero((named.columns == column) & (named.teachers != column)).tolist():
        teacher = named.teachers[row : row + 1]
        owner = int(logit_index.owners(teacher)[0])
        digest, logit = logit_index.digests[owner], int(teacher[0] - logit_index.firsts[owner])
        model, label = logit_index.names[digest], logit_index.labels(digest)[logit]
        belief = "reference" if model in sources.trust.references else "list fits"
        return Through(model, logit, label or "", float(named.probability[row]), belief)
    return None


def named_through(named: Named, tables: Sequence[Twins]) -> Named:
    """The logits that labels name, and the twins of those whose label is believed at all.

    A logit with several names keeps the one that says most: by the square of its likeness, times
    its probability.

    Args:
        named: the logits whose own labels are like a concept's name.
        tables: twins of labelled logits.
    """
    columns = named.columns[named.trust > 0]
    found = [(table, table.of_teachers(columns)) for table in tables if len(columns)]
    if not any(len(rows) for _, rows in found):
        return named
    through = np.concatenate([table.teachers[rows] for table, rows in found])
    twins = np.concatenate([table.columns[rows] for table, rows in found])
    likely = np.concatenate([table.probability[rows] for table, rows in found])
    rows = np.searchsorted(named.columns, through)
    alike = np.concatenate([named.likeness, named.likeness[rows]])
    trust = np.concatenate([named.trust, named.trust[rows]])
    everyone = np.concatenate([named.columns, twins])
    probability = np.concatenate([np.ones(len(named.columns), np.float32), likely])
    order = np.lexsort((-np.square(alike) * trust * probability, everyone))
    kept = order[np.append(True, everyone[order][1:] != everyone[order][:-1])]
    teachers = np.concatenate([named.columns, through])
    return Named(everyone[kept], alike[kept], trust[kept], probability[kept], teachers[kept])

"""Responses of a model come in; the believed labels of other models go out whose twins they are."""

import numpy as np

from lagotto.core.results.through import Through
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.labels.trust import LabelTrust
from lagotto.hub.labels.twins.agreement import agreed_labels
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.sources import TwinSources
from lagotto.hub.labels.twins.table import choose_teachers
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.responses import ModelResponses
from lagotto.hub.text.matching import FIRMLY


class TwinNames:
    """Names the outputs of one model after another by what a hub's believed labels teach.

    Args:
        hub: the hub whose probes the models have seen.
        trust: how far the hub's labels are believed.
        firm_references: read the labels of references alone, those that an audit bears out.
    """

    def __init__(self, hub: HubReader, trust: LabelTrust, *, firm_references: bool = False) -> None:
        sources = TwinSources(hub, trust)
        if firm_references:
            labelled = sources.labelled(True, FIRMLY)
        else:
            labelled, _ = agreed_labels(sources, sources.labelled(True))
            labelled += sources.labelled(False)
        teachers = choose_teachers(labelled)
        self._index, self._trust = sources.index, trust
        self._label_of = {column: label for _, column, label in labelled}
        self._finder = TwinFinder(self._index, teachers) if len(teachers.columns) else None

    def of(self, known: ModelResponses) -> dict[int, tuple[Through, ...]]:
        """By the number of an output its twins, the likeliest first.

        A model's own labels have no part in the answer. A model of the hub that saw a share of the
        probes is compared on what both saw.
        """
        if self._finder is None:
            return {}
        index, first = self._index, 0
        columns = index.columns_of(known.name) if known.in_hub else slice(0, 0)
        if columns.stop:
            first, everyone = columns.start, np.arange(columns.start, columns.stop)
            twins = self._finder.of_model(int(index.owners(everyone[:1])[0]), everyone)
        else:
            twins = self._finder.of_responses(standardize(known.values).values)
        found: dict[int, list[Through]] = {}
        for row in np.argsort(-twins.probability, kind="stable").tolist():
            way = self._way(int(twins.teachers[row]), float(twins.probability[row]))
            found.setdefault(int(twins.columns[row]) - first, []).append(way)
        return {output: tuple(ways) for output, ways in found.items()}

    def _way(self, teacher: int, probability: float) -> Through:
        index = self._index
        owner = int(index.owners(np.array([teacher]))[0])
        name, logit = index.names[index.digests[owner]], teacher - int(index.firsts[owner])
        belief = "reference" if name in self._trust.references else "list fits"
        return Through(name, logit, self._label_of[teacher], probability, belief)

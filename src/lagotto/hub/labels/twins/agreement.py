"""Labels of references come in; those that no better reference contradicts go out."""

from collections.abc import Sequence

from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.sources import TwinSources
from lagotto.hub.labels.twins.table import choose_teachers


def agreed_labels(
    sources: TwinSources, labelled: Sequence[tuple[int, int, str]]
) -> tuple[list[tuple[int, int, str]], tuple[str, ...]]:
    """The labels of references that are heard, and a line for each two that contradict each other.

    Two references contradict each other if the names that both have stand on outputs that do not
    behave alike. If the audit bears out the list of only one of them, the other is not heard.

    Args:
        sources: the hub and how far its labels are believed.
        labelled: (model, column, label) of the labels of references, as `TwinSources.labelled`
            gives them.
    """
    models = {model for model, _, _ in labelled}
    if len(models) < 2:
        return list(labelled), ()
    index = sources.index
    names = {model: index.names[index.digests[model]] for model in models}
    firm = {model: sources.trust.is_firm(names[model]) for model in models}
    unheard, lines = set[int](), []
    for one, other, shared, alike in TwinFinder(index, choose_teachers(labelled)).disagreements():
        doubted = [model for model in (one, other) if not firm[model]]
        advice = "remove the wrong one"
        if len(doubted) == 1:
            unheard.add(doubted[0])
            advice = f"the labels of {names[doubted[0]]}, which nothing bears out, teach nothing"
        lines.append(
            f"the references {names[one]} and {names[other]} contradict each other: of {shared} "
            f"names that both have, {alike} behave alike; {advice}"
        )
    return [entry for entry in labelled if entry[0] not in unheard], tuple(lines)

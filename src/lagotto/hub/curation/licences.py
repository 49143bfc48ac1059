"""Candidates and what a user states come in; each with its licence and author goes out."""

from collections.abc import Sequence
from dataclasses import replace

from lagotto.core.errors import UsageError
from lagotto.core.sources.credits import is_unknown
from lagotto.core.types import Credit
from lagotto.hub.probes.candidate import ProbeCandidate
from lagotto.hub.probes.datasets.sample import DatasetFacts

NOT_STATED = "not stated"


def with_credit(
    candidate: ProbeCandidate, datasets: Sequence[DatasetFacts], stated: Credit
) -> ProbeCandidate:
    """The candidate with the licence of its row, else of its dataset, else what the user states.

    A dataset that states none has none: what the user states is of pictures on disk.
    """
    credit = candidate.credit
    dataset = _dataset_of(candidate, datasets)
    licence, author = (stated.licence, stated.author) if dataset is None else (dataset.licence, "")
    licence = "" if is_unknown(licence) else licence
    found = replace(credit, licence=credit.licence or licence, author=credit.author or author)
    return replace(candidate, credit=found)


def check_licences(candidates: Sequence[ProbeCandidate], datasets: Sequence[DatasetFacts]) -> None:
    """Raises UsageError for pictures on disk whose licence nobody states.

    Datasets were asked about before they were fetched.
    """
    bare = [
        item.source
        for item in candidates
        if not item.credit.licence and _dataset_of(item, datasets) is None
    ]
    if bare:
        require_licence("", f"{len(bare)} of {len(candidates)} pictures ({bare[0]})")


def require_licence(licence: str, what: str) -> None:
    """Raises UsageError where no licence is given."""
    if is_unknown(licence):
        raise UsageError(
            f'no licence is stated for {what}; say which it is, as in --licence "CC BY 4.0", or '
            "take them without one with --accept"
        )


def _dataset_of(candidate: ProbeCandidate, datasets: Sequence[DatasetFacts]) -> DatasetFacts | None:
    return next((facts for facts in datasets if facts.commit in candidate.source), None)

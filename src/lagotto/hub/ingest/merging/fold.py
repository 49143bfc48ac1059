"""One model's responses in several hubs come in; one file with all of them goes out."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lagotto.core.errors import HubError
from lagotto.core.files import writing
from lagotto.core.temporary.leftovers import temporary_name
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.merging.empty_copy import link_or_copy
from lagotto.hub.store.responses import Responses, SeenProbes, read_responses, write_responses
from lagotto.hub.store.tensorfile import is_intact

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class FoldedResponses:
    """A file of responses that was put in its place.

    `invalid` says of each logit why it cannot be searched, or "".
    """

    sha256: str
    probes_seen: int
    invalid: tuple[str, ...]


def read_checked(path: Path, digest: str, sha256: str, probe_digest: str) -> Responses:
    """The responses of a model in a part; raises HubError unless they are as they were written."""
    responses = read_responses(path, probe_digest)
    if responses.header.behaviour_digest != digest or responses.sha256 != sha256:
        raise HubError(f"{path} is another file than the one that its catalogue recorded")
    if not is_intact(path):
        raise HubError(f"{path} is altered: its bytes do not give its checksum")
    return responses


def place_responses(
    found: Sequence[tuple[Path, Responses]], target: Path
) -> FoldedResponses | None:
    """Puts the responses of one model in its place in a hub.

    Where one file has all that the others have, it is linked or copied as it is. Otherwise a file
    is written with the answers of each, those of the first where several saw a probe.

    Args:
        found: The files and what is in them, in order; one may be the target itself.
        target: Where they belong.

    Returns:
        What is there now; None if that was there before.

    Raises:
        HubError: The file cannot be written.
    """
    seen = [set(responses.seen_probes.tolist()) for _, responses in found]
    everything = set().union(*seen)
    for (path, responses), probes in zip(found, seen, strict=True):
        if probes == everything:
            if path == target:
                return None
            temporary = target.with_name(temporary_name(target.name, next(_numbers)))
            with writing(target):
                link_or_copy(path, temporary)
                os.replace(temporary, target)
            invalid = measure_moments(responses.values).invalid
            return FoldedResponses(responses.sha256, len(probes), invalid)
    values, held = found[0][1].values, found[0][1].seen_probes
    for _, responses in found[1:]:
        new = ~np.isin(responses.seen_probes, held)
        values = np.concatenate([values, responses.values[new]])
        held = np.concatenate([held, responses.seen_probes[new]])
    order = np.argsort(held)
    values, first = values[order], found[0][1]
    checksum = write_responses(target, values, first.header, SeenProbes(held[order], first.probes))
    return FoldedResponses(checksum, len(held), measure_moments(values).invalid)

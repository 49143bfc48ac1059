"""Stage 1 of hub search: candidates → probes, by content, with what was set aside and why."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.core.images import decode_picture
from lagotto.core.parsing.captioned_tables import merged
from lagotto.core.types import Probe, Skipped
from lagotto.hub.probes.sources import ProbeCandidate, read_probe_source

__all__ = ["MIN_PROBES", "Chosen", "ProbeCandidate", "choose_probes", "read_probe_source"]

MIN_PROBES = 2
"""A response is standardised over the probes; over one probe it would be nothing."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The probes, in source order, and the candidates looked at that did not become one."""

    probes: tuple[Probe, ...]
    set_aside: tuple[Skipped, ...]


def choose_probes(
    candidates: Sequence[ProbeCandidate],
    max_probes: int | None,
    seed: int,
    keep: Callable[[str, bytes], None],
    on_progress: Callable[[int, int], None] | None = None,
) -> Chosen:
    """The decodable candidates, all or a random sample of `max_probes`, in source order.

    The sample depends on the seed and the order of the candidates alone; one that cannot be decoded
    is replaced by the next in the seed's order. Byte-identical pictures become one probe at the
    place of the first, with the captions of all those looked at. `keep(digest, bytes)` is called
    once a probe; one picture is held in memory at a time. `on_progress` is told the probes found
    and the most there can be.

    Raises ProbeError if fewer than MIN_PROBES can be had, UsageError for a smaller max_probes.
    """
    if max_probes is not None and max_probes < MIN_PROBES:
        raise UsageError(f"max probes {max_probes} is too few; give at least {MIN_PROBES}")
    ranked = _ranked(len(candidates), seed) if max_probes is not None else range(len(candidates))
    wanted = min(max_probes or len(candidates), len(candidates))
    places: dict[str, list[int]] = {}
    refused: dict[int, str] = {}
    looked_at = 0
    # A round takes no more than are still missing, in source order: so the result is the shortest
    # beginning of the ranking that suffices, and a file is read forward.
    while len(places) < wanted and looked_at < len(ranked):
        round_end = looked_at + wanted - len(places)
        for place in sorted(ranked[looked_at:round_end]):
            try:
                data = candidates[place].load()
                decode_picture(data)
            except PictureError as error:
                refused[place] = str(error)
                continue
            digest = hashlib.sha256(data).hexdigest()
            if digest not in places:
                keep(digest, data)
            places.setdefault(digest, []).append(place)
            if on_progress is not None:
                on_progress(len(places), wanted)
        looked_at = round_end
    if len(places) < MIN_PROBES:
        raise ProbeError(_too_few(candidates, len(places), refused))
    return _folded(candidates, places, refused)


def _ranked(count: int, seed: int) -> list[int]:
    """0 .. count - 1 in a random order that is the same on every machine and version."""

    def lot(place: int) -> bytes:
        return hashlib.sha256(f"{seed}:{place}".encode()).digest()

    return sorted(range(count), key=lot)


def _folded(
    candidates: Sequence[ProbeCandidate], places: dict[str, list[int]], refused: dict[int, str]
) -> Chosen:
    """One probe a digest, at its first place; the other places join those set aside."""
    probes: dict[int, Probe] = {}
    aside = dict(refused)
    for digest, same in places.items():
        first, *others = sorted(same)
        captions: tuple[str, ...] = ()
        for place in (first, *others):
            captions = merged(captions, candidates[place].captions)
        probes[first] = Probe(digest, candidates[first].source, captions)
        for place in others:
            aside[place] = f"the same picture as {candidates[first].source}"
    return Chosen(
        tuple(probes[place] for place in sorted(probes)),
        tuple(Skipped(candidates[place].source, aside[place]) for place in sorted(aside)),
    )


def _too_few(candidates: Sequence[ProbeCandidate], found: int, refused: dict[int, str]) -> str:
    """The message for a set of none or one, with the first three reasons."""
    reasons = [f"{candidates[place].source}: {refused[place]}" for place in sorted(refused)[:3]]
    because = f" ({'; '.join(reasons)})" if reasons else ""
    usable = "none" if found == 0 else f"only {found}"
    return (
        f"of {len(candidates)} pictures {usable} can be used as a probe{because}; "
        f"give at least {MIN_PROBES} different pictures"
    )

"""Candidate pictures come in; distinct probes go out, and the skipped pictures with reasons."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.core.images import decode_picture
from lagotto.core.parsing.captioned_tables import merge_captions
from lagotto.core.progress import Progress
from lagotto.core.types import Probe, Skipped
from lagotto.hub.probes.candidate import ProbeCandidate

MIN_PROBES = 2
"""Responses are standardized over the probes; over a single probe they would all be zero."""


@dataclass(frozen=True, slots=True)
class SampledProbes:
    """The probes in source order, and the candidates that were tried and skipped.

    `repeated` has the captions of candidates that are pictures known before, by digest.
    """

    probes: tuple[Probe, ...]
    skipped: tuple[Skipped, ...]
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class SelectionMeter:
    """Reports to a progress how many probes are selected, of how many at most."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count = 0

    def __call__(self, count: int, most: int) -> None:
        """`count` probes are selected by now."""
        if self._count == 0:
            self._progress.start("reading probes", most, "pictures")
        self._progress.advance(count - self._count)
        self._count = count


def sample_probes(
    candidates: Sequence[ProbeCandidate],
    max_probes: int | None,
    seed: int,
    store: Callable[[str, bytes], None],
    on_progress: Callable[[int, int], None] | None = None,
    known: Mapping[str, Probe] | None = None,
) -> SampledProbes:
    """Selects the pictures that can be decoded: all of them, or a random sample, in source order.

    The sample depends only on the seed and the order of the candidates. A picture that cannot be
    decoded is replaced by the next one in the order of the seed. Byte-identical pictures become one
    probe, at the position of the first, with the captions of all of them that were tried. One
    picture is in memory at a time.

    Args:
        candidates: The pictures, in source order.
        max_probes: The size of the sample; None takes all candidates.
        seed: Seed of the sample.
        store: Called once a probe with the sha256 and the bytes of its file.
        on_progress: Called with the number of probes so far, and the most there can be.
        known: Probes of a set that is to grow, by digest: a picture of theirs is no new one.

    Returns:
        The probes, and the skipped candidates with their reasons.

    Raises:
        ProbeError: Fewer than MIN_PROBES distinct pictures can be decoded; or, of a set that is to
            grow, not one.
        UsageError: `max_probes` is below that.
    """
    fewest = MIN_PROBES if known is None else 1
    known = known or {}
    if max_probes is not None and max_probes < fewest:
        raise UsageError(f"max probes {max_probes} is too few; give at least {fewest}")
    ranked = _ranked(len(candidates), seed) if max_probes is not None else range(len(candidates))
    target = min(max_probes or len(candidates), len(candidates))
    positions: dict[str, list[int]] = {}
    repeats: dict[str, list[int]] = {}
    reasons: dict[int, str] = {}
    tried = 0
    # A round tries as many candidates as probes are still missing, in source order. So the result
    # is the shortest beginning of the ranking that suffices, and files are read forward.
    while len(positions) < target and tried < len(ranked):
        round_end = tried + target - len(positions)
        for index in sorted(ranked[tried:round_end]):
            try:
                data = candidates[index].load()
                decode_picture(data)
            except PictureError as error:
                reasons[index] = str(error)
                continue
            digest = hashlib.sha256(data).hexdigest()
            if digest in known:
                repeats.setdefault(digest, []).append(index)
                continue
            if digest not in positions:
                store(digest, data)
            positions.setdefault(digest, []).append(index)
            if on_progress is not None:
                on_progress(len(positions), target)
        tried = round_end
    if len(positions) < fewest:
        raise ProbeError(
            _nothing_new(len(candidates), len(repeats), reasons)
            if known
            else _too_few(candidates, len(positions), reasons)
        )
    repeated = {
        digest: _captions(candidates, indices, known[digest].captions)
        for digest, indices in repeats.items()
    }
    for digest, indices in repeats.items():
        reasons.update(dict.fromkeys(indices, f"the same picture as {known[digest].source}"))
    return _merge_duplicates(candidates, positions, reasons, repeated)


def _ranked(count: int, seed: int) -> list[int]:
    """0 .. count - 1 in a random order that is the same on every machine and version."""

    def key(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{index}".encode()).digest()

    return sorted(range(count), key=key)


def _captions(
    candidates: Sequence[ProbeCandidate], indices: Sequence[int], first: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The captions `first`, and then those of some candidates in their order."""
    captions = first
    for index in sorted(indices):
        captions = merge_captions(captions, candidates[index].captions)
    return captions


def _merge_duplicates(
    candidates: Sequence[ProbeCandidate],
    positions: Mapping[str, list[int]],
    reasons: Mapping[int, str],
    repeated: Mapping[str, tuple[str, ...]],
) -> SampledProbes:
    """One probe a digest, at its first position; its other positions are skipped."""
    probes: dict[int, Probe] = {}
    skipped = dict(reasons)
    for digest, indices in positions.items():
        first, *others = sorted(indices)
        item = candidates[first]
        probes[first] = Probe(digest, item.source, _captions(candidates, indices), item.credit)
        for index in others:
            skipped[index] = f"the same picture as {candidates[first].source}"
    return SampledProbes(
        tuple(probes[index] for index in sorted(probes)),
        tuple(Skipped(candidates[index].source, skipped[index]) for index in sorted(skipped)),
        repeated,
    )


def _nothing_new(pictures: int, repeated: int, reasons: Mapping[int, str]) -> str:
    """The message for sources without a picture that the set lacks."""
    return (
        f"none of {pictures} pictures is new: {repeated} are probes of the hub already, "
        f"{len(reasons)} cannot be used; give other pictures"
    )


def _too_few(candidates: Sequence[ProbeCandidate], usable: int, reasons: dict[int, str]) -> str:
    """The message for fewer than two probes, with the first three reasons."""
    lines = [f"{candidates[index].source}: {reasons[index]}" for index in sorted(reasons)[:3]]
    because = f" ({'; '.join(lines)})" if lines else ""
    count = "none" if usable == 0 else f"only {usable}"
    return (
        f"of {len(candidates)} pictures {count} can be used as a probe{because}; "
        f"give at least {MIN_PROBES} different pictures"
    )

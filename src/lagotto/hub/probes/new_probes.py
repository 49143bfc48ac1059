"""A probe set and further sources come in; the probes that it lacks go out, and both joined."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lagotto.core.files import writing
from lagotto.core.sources.count import SourceCount
from lagotto.core.types import Skipped
from lagotto.hub.probes.datasets.sample import DatasetSample
from lagotto.hub.probes.probe_set import (
    ProbeSet,
    count_sources,
    picture_path,
    read_candidates,
    read_datasets,
    store_picture,
    store_probes,
    write_datasets,
)
from lagotto.hub.probes.select import SampledProbes, sample_probes


@dataclass(frozen=True, slots=True)
class NewProbes:
    """Probes that a set lacks, in a folder of their own.

    `repeated` has, by digest, the captions of the pictures of the set that the sources hold too:
    its own and the new ones.
    """

    probe_set: ProbeSet
    repeated: Mapping[str, tuple[str, ...]]


def select_new(
    folder: Path,
    known: ProbeSet,
    sources: Sequence[Path | DatasetSample],
    max_probes: int | None,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> NewProbes:
    """Selects pictures that a probe set lacks, and stores them in a folder as a set.

    Args:
        folder: Where the new probes are stored.
        known: The set that is to grow.
        sources: Image folders, .jsonl manifests or .parquet files, in order.
        max_probes: The size of a random sample of the pictures; None takes all that are new.
        seed: Seed of the sample.
        on_progress: Called with the number of new probes so far, and the most there can be.

    Raises:
        UsageError: A source is missing or of no known kind.
        ProbeError: A source cannot be read, or none of the pictures is new.
        HubError: The folder cannot be written.
    """
    candidates, passed_over = read_candidates(sources)
    store = partial(store_picture, folder)
    probes = {probe.digest: probe for probe in known.probes}
    selection = sample_probes(candidates, max_probes, seed, store, on_progress, probes)
    write_datasets(folder, [s.facts for s in sources if isinstance(s, DatasetSample)])
    count = count_sources(len(candidates), selection, passed_over)
    return NewProbes(store_probes(folder, selection, count), selection.repeated)


def join_probes(folder: Path, known: ProbeSet, new: NewProbes) -> ProbeSet:
    """Stores a probe set and the new probes behind it in a folder, as one set.

    It is the set that all the sources would have given at once, if all their pictures were taken.
    Pictures of the same disk are linked, not copied.

    Raises:
        HubError: A list cannot be read, or the folder cannot be written.
    """
    for part in (known, new.probe_set):
        for probe in part.probes:
            target = picture_path(folder, probe.digest)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(picture_path(part.folder, probe.digest), target)
    repeated = new.repeated
    probes = [replace(p, captions=repeated.get(p.digest, p.captions)) for p in known.probes]
    skipped: list[Skipped] = [*known.skipped(), *new.probe_set.skipped()]
    write_datasets(folder, [*read_datasets(known.folder), *read_datasets(new.probe_set.folder)])
    selection = SampledProbes((*probes, *new.probe_set.probes), tuple(skipped))
    return store_probes(folder, selection, _sum(known.source_count(), new.probe_set.source_count()))


def _link(source: Path, target: Path) -> None:
    """A second name of a file, or a copy of it where the disk has no such names."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _sum(first: SourceCount | None, second: SourceCount | None) -> SourceCount | None:
    """Both counts together; None where the first is unknown, as in a hub of an older version."""
    if first is None or second is None:
        return None
    kinds = Counter(first.passed_over) + Counter(second.passed_over)
    return SourceCount(first.taken + second.taken, first.skipped + second.skipped, kinds)

"""A hub comes in; the files that others get of it go out, with their digests, and its listing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.core.files import sha256_file
from lagotto.core.progress import Progress
from lagotto.core.remote.spec import REPOSITORY
from lagotto.core.temporary.leftovers import temporary_folder
from lagotto.hub.descriptors.blocks import block_path
from lagotto.hub.probes.probe_set import (
    COUNT_NAME,
    DATASETS_NAME,
    PROBES_NAME,
    SKIPPED_NAME,
    ProbeSet,
)
from lagotto.hub.publish.listing import ProbeLicence, PublishedFile, PublishedListing
from lagotto.hub.publish.neutral_catalogue import write_neutral_catalogue
from lagotto.hub.reader.verify import verify_hub
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.copies.origin import read_origin
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.manifest import HUB_MANIFEST, read_hub_manifest, write_hub_manifest
from lagotto.hub.store.segments import read_segments, read_unplaced


@dataclass(frozen=True, slots=True)
class Contents:
    """What is published of a hub: its listing, where each listed file lies here, and notes."""

    listing: PublishedListing
    sources: tuple[Path, ...]
    notes: tuple[str, ...]


@contextmanager
def published_contents(
    folder: Path, progress: Progress, *, pictures: bool = True
) -> Iterator[Contents]:
    """What others get of a hub, while the block runs: nobody writes to the hub meanwhile.

    The pictures of the probes are left out on request. What can be made anew in little time (pixels
    and kept texts, the map) is never there; segments of descriptors, statistics and embeddings of
    labels are, for they let a reader search at once, without the encoder's work.

    Raises:
        HubError: There is no hub, it is damaged, another process writes to it, or pictures are
            asked for and it has none.
    """
    layout, manifest = HubLayout(folder), read_hub_manifest(folder)
    origin = read_origin(folder)
    with _held(folder, fetched=origin.fetched), temporary_folder("publish") as place:
        _check_whole(layout)
        neutral = HubLayout(place)
        named = manifest.encoder_spec or origin.encoder_spec
        lasting = named if named.startswith((REPOSITORY, "open_clip:")) else Path(named).name
        write_hub_manifest(place, replace(manifest, encoder_spec=lasting))
        write_neutral_catalogue(layout.catalogue, neutral.catalogue)
        probe_set = manifest.open_probes(layout.probes)
        with_pictures = pictures and origin.pictures
        with Catalog(neutral.catalogue) as catalogue:
            done = catalogue.models("done")
            segments = [record.id for record in read_segments(catalogue)]
            unplaced = len(read_unplaced(catalogue))
        found = [place / HUB_MANIFEST, neutral.catalogue]
        lists = (PROBES_NAME, SKIPPED_NAME, COUNT_NAME, DATASETS_NAME)
        found += [layout.probes / name for name in lists if (layout.probes / name).exists()]
        derived = [layout.background, layout.label_embeddings, layout.rivals, layout.twins]
        derived += [layout.completion, layout.low_rank]
        found += [layout.embeddings, *(path for path in derived if path.exists())]
        found += [block_path(layout.blocks, number) for number in sorted(segments)]
        found += [layout.responses_of(record.digest) for record in done]
        count = len(probe_set.probes) if with_pictures else 0
        found += dict.fromkeys(probe_set.picture_file(index) for index in range(count))
        listing = PublishedListing(
            lagotto=str(import_module("lagotto").__version__),
            models=len(done),
            probes=manifest.probes,
            encoder=manifest.encoder_name,
            pictures=with_pictures,
            licences=_licences(probe_set),
            files=tuple(_measured(found, layout.folder, place, progress)),
        )
        notes = _notes(lasting, unplaced, wanted=pictures, present=origin.pictures)
        yield Contents(listing, tuple(found), notes)


def _check_whole(layout: HubLayout) -> None:
    """Raises HubError if a file that others would get is not as it was written."""
    left_out = (str(layout.cache), str(layout.map))
    for damage in verify_hub(layout.folder):
        if not damage.what.startswith(left_out):
            raise HubError(
                f"nothing of {layout.folder} is published, for not all of it can be read as it was "
                f"written: {damage.what}: {damage.reason}; {damage.remedy}"
            )


@contextmanager
def _held(folder: Path, *, fetched: bool) -> Iterator[None]:
    """Keeps writers away; a hub that was fetched, or that none can write to, has none."""
    if fetched or not os.access(folder, os.W_OK):
        yield
        return
    with hub_lock(folder):
        yield


def _measured(
    found: list[Path], hub: Path, place: Path, progress: Progress
) -> Iterator[PublishedFile]:
    progress.start("reading the hub", len(found), "files")
    for path in found:
        base = place if path.is_relative_to(place) else hub
        name = path.relative_to(base).as_posix()
        digest = sha256_file(path, HubError)
        yield PublishedFile(name, path.stat().st_size, digest)
        progress.advance(1)
    progress.finish()


def _licences(probe_set: ProbeSet) -> tuple[ProbeLicence, ...]:
    return tuple(
        ProbeLicence(facts.source, facts.commit, facts.licence) for facts in probe_set.datasets()
    )


def _notes(encoder: str, unplaced: int, *, wanted: bool, present: bool) -> tuple[str, ...]:
    notes = []
    if not encoder.startswith((REPOSITORY, "open_clip:")):
        notes.append(
            "the encoder is a folder of this machine; who opens the copy gives the same encoder "
            "with --encoder"
        )
    if unplaced:
        notes.append(
            f"the descriptors of {unplaced} models are not kept in the hub, so each reader makes "
            "them anew; lagotto audit HUB --all makes them once"
        )
    if wanted and not present:
        notes.append("the pictures of the probes are not here, so they are left out")
    return tuple(notes)

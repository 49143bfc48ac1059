"""A hub comes in; its digests are recomputed, and each damage goes out with a remedy."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import HubError, unreadable
from lagotto.core.files import sha256_file
from lagotto.core.lock import folder_lock
from lagotto.core.temporary.leftovers import Leftover, remove_leftovers
from lagotto.hub.descriptors.blocks import (
    SEEN_ONLY,
    block_path,
    block_paths,
    damaged_blocks,
    open_blocks,
)
from lagotto.hub.descriptors.segments import segment_damages
from lagotto.hub.index.low_rank_file import index_damage
from lagotto.hub.probes.pixel_cache import ProbeCache
from lagotto.hub.probes.probe_set import (
    PROBES_NAME,
    SKIPPED_NAME,
    ProbeSet,
)
from lagotto.hub.store.audits import audit_damages
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.copies.origin import read_origin
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.leftovers import find_leftovers, unfinished
from lagotto.hub.store.manifest import Manifest, read_hub_manifest
from lagotto.hub.store.records import ModelRecord
from lagotto.hub.store.references import reference_damages
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.segments import has_segments, read_segments, ways_made
from lagotto.hub.store.tensorfile import check_readable, is_intact

_RESTORE = "restore it from a copy, or make the hub anew"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file or record that is not as it was written: its name, the reason, and the remedy."""

    what: str
    reason: str
    remedy: str


def verify_hub(folder: Path) -> tuple[Damage, ...]:
    """Reads every file of a hub and reports what is damaged or missing; writes nothing.

    Args:
        folder: The folder of the hub.

    Returns:
        One entry for each damage; none if every file is as it was written.

    Raises:
        HubError: There is no hub, or its manifest cannot be read.
    """
    manifest = read_hub_manifest(folder)
    layout = HubLayout(folder)
    return (
        *_probe_damages(layout, manifest),
        *_model_damages(layout, manifest),
        *_block_damages(layout, manifest),
        *_index_damages(layout, manifest),
        *_derived_damages(layout),
    )


def remove_hub_leftovers(folder: Path) -> tuple[Leftover, ...]:
    """Removes what killed runs left in a hub and beside it, and returns it.

    Nothing is removed while another process writes to the hub, or where it may not be written to.
    """
    layout = HubLayout(folder)
    if not find_leftovers(layout) and not layout.growing.exists():
        return ()
    try:
        with folder_lock(folder, "hub", HubError):
            found = [Path(item.path) for item in find_leftovers(layout)]
            resumable = (layout.fetched, layout.growing)
            found += [path for path in (*unfinished(layout), *resumable) if path.exists()]
            return tuple(remove_leftovers(dict.fromkeys(found)))
    except HubError:
        return ()


def _probe_damages(layout: HubLayout, manifest: Manifest) -> Iterator[Damage]:
    try:
        probe_set = ProbeSet.open(layout.probes)
    except HubError as error:
        yield _damage("probe set", str(error))
        return
    if probe_set.digest != manifest.probe_digest:
        actual, expected = probe_set.digest[:12], manifest.probe_digest[:12]
        yield Damage("probe set", f"is {actual}, and the manifest names {expected}", _RESTORE)
    for line in probe_set.verify(pictures=read_origin(layout.folder).pictures):
        yield _damage("probe set", line)
    for path, expected_sha256 in (
        (layout.embeddings, manifest.embeddings_sha256),
        (layout.probes / PROBES_NAME, manifest.probe_list_sha256),
        (layout.probes / SKIPPED_NAME, manifest.set_aside_sha256),
    ):
        try:
            if sha256_file(path) != expected_sha256:
                yield Damage(str(path), "altered", _RESTORE)
        except HubError as error:
            yield _damage(str(path), str(error))


def _damage(what: str, message: str) -> Damage:
    """The damage that a message tells, with the remedy behind its last semicolon, if it has one."""
    reason, told, remedy = message.rpartition("; ")
    return Damage(what, reason, remedy) if told else Damage(what, message, _RESTORE)


def _model_damages(layout: HubLayout, manifest: Manifest) -> Iterator[Damage]:
    try:
        with Catalog(layout.catalogue) as catalogue:
            yield from (Damage("catalogue", line, _RESTORE) for line in catalogue.damages())
            audit_again = f"run: lagotto audit {layout.folder} --all"
            yield from (Damage("audits", line, audit_again) for line in audit_damages(catalogue))
            name_again = f"run: lagotto hub add {layout.folder} MODEL --reference"
            damages = reference_damages(catalogue)
            yield from (Damage("references", line, name_again) for line in damages)
            models = catalogue.models("done")
    except HubError as error:
        yield _damage("catalogue", str(error))
        return
    for model in models:
        path, what = layout.responses_of(model.digest), f"responses of {model.name}"
        if (unread := _unreadable(path)) is not None:
            yield Damage(what, *unread)
        elif reason := _responses_damage(path, model, manifest):
            remedy = f"delete {path} and run hub add with {model.source} again"
            yield Damage(what, reason, remedy)
    known = {layout.responses_of(model.digest).name for model in models}
    for path in sorted(layout.responses.glob("*")):
        if path.name not in known:
            yield Damage(str(path), "belongs to no model of the catalogue", f"delete {path}")


def _unreadable(path: Path) -> tuple[str, str] | None:
    """(reason, remedy) for a file that the system does not let be read; None if it is missing."""
    try:
        if not path.exists():
            return None
        check_readable(path)
    except OSError as error:  # of its folder nothing may be known
        reason, _, remedy = str(unreadable(path, error, HubError)).partition("; ")
        return reason, f"{remedy}; it may well be as it was written"
    except HubError as error:
        reason, _, remedy = str(error).partition("; ")
        return reason, f"{remedy}; it may well be as it was written"
    return None


def _responses_damage(path: Path, model: ModelRecord, manifest: Manifest) -> str:
    """What is wrong with the responses of a model, or an empty string."""
    try:
        responses = read_responses(path, manifest.probe_digest)
        if not is_intact(path):
            return "altered: its bytes do not give its checksum"
    except HubError as error:
        return str(error)
    if (
        responses.sha256 != model.responses_sha256
        or responses.header.behaviour_digest != model.digest
    ):
        return "another file than the one that the catalogue recorded"
    return ""


def _block_damages(layout: HubLayout, manifest: Manifest) -> Iterator[Damage]:
    remedy = f"delete {layout.blocks} and run: lagotto audit {layout.folder} --all"
    for path in sorted(layout.blocks.glob("*")):
        if (unread := _unreadable(path)) is not None:
            yield Damage(str(path), *unread)
            return
    if _unreadable(layout.catalogue) is not None:
        return  # told above; nothing is known of the blocks
    altered = damaged_blocks(layout.blocks)
    for path in altered:
        yield Damage(str(path), "altered: its bytes do not give its checksum", remedy)
    if altered:
        return
    try:
        with Catalog(layout.catalogue) as catalogue, catalogue.snapshot():
            if not has_segments(catalogue):
                open_blocks(layout.blocks, manifest.probe_digest)
                return
            present = block_paths(layout.blocks)
            for record in read_segments(catalogue) if present else ():  # all may be deleted
                path = block_path(layout.blocks, record.id)
                lines = segment_damages(catalogue, record, path, manifest.probe_digest)
                yield from (Damage(str(path), line, remedy) for line in lines)
    except HubError as error:
        yield Damage(str(layout.blocks), str(error), remedy)


def _index_damages(layout: HubLayout, manifest: Manifest) -> Iterator[Damage]:
    damage = index_damage(layout.low_rank, manifest.probe_digest)
    if damage is not None:
        yield Damage("low-rank index", *damage)


def _derived_damages(layout: HubLayout) -> Iterator[Damage]:
    """Files that can be made anew: an altered one is not used, or replaced, by what needs it."""
    again = f"run: lagotto audit {layout.folder} --all"
    of_words = (layout.background, layout.rivals, layout.label_embeddings)
    for path in (*of_words, layout.twins, layout.completion, layout.map, *layout.text_caches):
        if not path.exists():
            continue
        if (unread := _unreadable(path)) is not None:
            yield Damage(str(path), *unread)
        elif not is_intact(path):
            remedy = "the next look at the map makes it anew"
            remedy = remedy if path == layout.map else f"delete it and {again}"
            yield Damage(str(path), "altered: its bytes do not give its checksum", remedy)
    if not layout.completion.exists() and _is_completed(layout):
        yield Damage(str(layout.completion), "missing, and models were completed with it", again)
    with suppress(HubError):  # without a probe set, which is told above, there is no cache of it
        for path in ProbeCache(layout.probes, layout.cache).damaged():
            remedy = "the next lagotto hub add makes it anew"
            yield Damage(str(path), "altered: the pixels of a probe", remedy)


def _is_completed(layout: HubLayout) -> bool:
    """Whether columns in use were made with a completion; False if the catalogue does not say."""
    with suppress(HubError), Catalog(layout.catalogue) as catalogue:
        return bool(ways_made(catalogue) - {SEEN_ONLY})
    return False

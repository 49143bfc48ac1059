"""A hub comes in; a hub without models, with the same probes and encoder, goes out."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from lagotto.core.arguments.one_or_many import as_path
from lagotto.core.errors import MismatchError, UsageError
from lagotto.core.files import writing
from lagotto.core.temporary.draft import drafted
from lagotto.hub.ingest.merging.shard import ModelShard
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import (
    HUB_MANIFEST,
    Manifest,
    read_hub_manifest,
)


def copy_empty(source: Path, folder: Path) -> None:
    """Makes a hub without models in a new folder; it appears when it is complete.

    Pictures of the same disk are linked, not copied. The encoder is not needed.

    Args:
        source: A hub, of which nothing but its probes is read.
        folder: Where the new one is made.

    Raises:
        HubError: `source` is no hub or is damaged, or the folder cannot be written.
    """
    manifest, old = read_hub_manifest(source), HubLayout(source)
    probe_set = manifest.open_probes(old.probes)
    manifest.open_embeddings(old.embeddings)
    with drafted(folder) as draft, writing(folder):
        new = HubLayout(draft)
        shutil.copytree(probe_set.folder, new.probes, copy_function=link_or_copy)
        if old.background.exists():
            shutil.copyfile(old.background, new.background)
        shutil.copyfile(source / HUB_MANIFEST, draft / HUB_MANIFEST)
        for made in (new.responses, new.blocks):
            made.mkdir()
        Catalog(new.catalogue, writable=True).close()


def shard_layout(hub: HubLayout, shard: ModelShard) -> HubLayout:
    """The hub that a shard is added to, made like another hub if it is not there.

    Raises:
        MismatchError: It has other probes or another encoder; both are named.
        UsageError: It is the hub itself.
    """
    layout = HubLayout(as_path(shard.out, "folder of the shard"))
    if layout.folder.resolve() == hub.folder.resolve():
        raise UsageError(f"{layout.folder} is the hub itself; give --out a folder of its own")
    if not layout.folder.exists():
        copy_empty(hub.folder, layout.folder)
    manifests = (read_hub_manifest(each.folder) for each in (hub, layout))
    check_same(hub.folder, next(manifests), layout.folder, next(manifests))
    return layout


def check_same(first: Path, one: Manifest, second: Path, other: Manifest) -> None:
    """Raises MismatchError, which names both, unless two hubs have the same probes and encoder."""
    if one.probe_digest != other.probe_digest:
        raise MismatchError(
            f"{first} has probe set {one.probe_digest[:12]} ({one.probes} probes), and {second} "
            f"has {other.probe_digest[:12]} ({other.probes}); only hubs of the same probes become "
            "one: add the models of the second to the first with lagotto hub add"
        )
    if one.encoder_fingerprint != other.encoder_fingerprint:
        raise MismatchError(
            f"{first} was made with encoder {one.encoder_name} ({one.encoder_fingerprint[:12]}), "
            f"and {second} with {other.encoder_name} ({other.encoder_fingerprint[:12]}); only hubs "
            "of the same encoder become one"
        )


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """A second name of a file, or a copy of it where the disk has no such names; raises OSError."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)

"""Picture sources and an encoder come in; the folder of a new hub goes out."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from lagotto.core.devices.placement import CPU
from lagotto.core.errors import UsageError
from lagotto.core.files import sha256_file, writing
from lagotto.core.progress import Progress
from lagotto.core.temporary.draft import drafted
from lagotto.encoders.base import Encoder
from lagotto.encoders.canary import measure_canary
from lagotto.encoders.registry import lasting_spec, load_encoder
from lagotto.hub.probes.datasets.sample import DatasetSample
from lagotto.hub.probes.embed import embed_probes, write_embeddings
from lagotto.hub.probes.fill_cache import prepare_pixels
from lagotto.hub.probes.probe_set import (
    PROBES_NAME,
    SKIPPED_NAME,
    ProbeSet,
)
from lagotto.hub.probes.select import SelectionMeter
from lagotto.hub.query.background import keep_background
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import Manifest, write_hub_manifest
from lagotto.jobs.worker_limits import Limits


def create_hub(
    folder: Path,
    sources: Sequence[Path | DatasetSample],
    encoder: Encoder | str,
    *,
    max_probes: int | None,
    seed: int,
    progress: Progress,
    device: str = CPU,
) -> None:
    """Makes a new hub: its probes are selected and embedded, its catalogue is empty.

    The hub is made in a hidden folder beside its path and renamed when it is complete.

    Args:
        folder: The path of the hub; nothing may exist there.
        sources: Image folders, .jsonl manifests, .parquet or .tar files, and fetched datasets.
        encoder: A loaded encoder, or its spec.
        max_probes: The size of a random sample of the pictures; None takes all of them.
        seed: Seed of that sample.
        progress: Receives each stage.
        device: Where the encoder runs, if it is loaded here.

    Raises:
        UsageError: Something exists at the path, or a source or the encoder is not found.
        ProbeError: The sources give no usable probe set.
        HubError: The folder cannot be written.
    """
    check_new_hub(folder)
    spec = lasting_spec(encoder) if isinstance(encoder, str) else encoder.info.name
    loaded = load_encoder(spec, device=device) if isinstance(encoder, str) else encoder
    with drafted(folder) as draft:
        _fill(HubLayout(draft), sources, loaded, spec, max_probes, seed, progress)


def check_new_hub(folder: Path) -> None:
    """Raises UsageError if something exists at the path of a new hub."""
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            f"{folder} exists already; choose another name, or delete it first "
            f"(to add models to it: lagotto hub add {folder} MODELS)"
        )


def _fill(
    layout: HubLayout,
    sources: Sequence[Path | DatasetSample],
    encoder: Encoder,
    spec: str,
    max_probes: int | None,
    seed: int,
    progress: Progress,
) -> None:
    probe_set, _ = ProbeSet.create(
        layout.probes, sources, max_probes, seed, SelectionMeter(progress)
    )
    progress.finish()
    with writing(layout.cache):
        layout.cache.mkdir()
    runner = Limits().start(layout.cache)
    try:
        pixels = encoder.info.pixels
        cache = prepare_pixels(runner, probe_set, layout.cache, [pixels], progress)
        embeddings = embed_probes(encoder, cache.open(pixels), progress)
    finally:
        runner.close()
    shutil.rmtree(layout.cache)
    write_embeddings(layout.embeddings, embeddings)
    keep_background(layout.background, encoder, progress)
    Catalog(layout.catalogue, writable=True).close()
    for derived in (layout.responses, layout.blocks):
        with writing(derived):
            derived.mkdir()
    manifest = Manifest(
        encoder_spec=spec,
        encoder_name=encoder.info.name,
        encoder_fingerprint=encoder.info.fingerprint,
        probe_digest=probe_set.digest,
        probes=len(probe_set.probes),
        embeddings_sha256=sha256_file(layout.embeddings),
        probe_list_sha256=sha256_file(layout.probes / PROBES_NAME),
        set_aside_sha256=sha256_file(layout.probes / SKIPPED_NAME),
        canary=measure_canary(encoder).as_json(),
    )
    write_hub_manifest(layout.folder, manifest)

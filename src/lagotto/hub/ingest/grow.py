"""A hub and further pictures come in; the same hub with more probes goes out.

Its models see the new probes only. The work goes on in HUB/growing, where a killed run is resumed.
The grown hub is made beside the old one and takes its place in one step at the very end.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.errors import HubError, LagottoError, UsageError
from lagotto.core.files import sha256_file, sync, writing
from lagotto.core.lock import LOCK_NAME
from lagotto.core.progress import Progress
from lagotto.core.sources.count import SourceCount
from lagotto.core.temporary.leftovers import make_draft
from lagotto.core.temporary.swap import replace_folder
from lagotto.core.types import JsonObject, ModelSource, Skipped
from lagotto.encoders.base import Encoder
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.ingest.add import now_text
from lagotto.hub.ingest.input_record import is_inferred
from lagotto.hub.ingest.known_models import KnownModels
from lagotto.hub.ingest.probing import ProbingJob, place_limits, probe_models
from lagotto.hub.ingest.response_files import tidy
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.probes.datasets.sample import DatasetSample
from lagotto.hub.probes.embed import embed_probes, write_embeddings
from lagotto.hub.probes.fill_cache import prepare_pixels
from lagotto.hub.probes.new_probes import NewProbes, join_probes, select_new
from lagotto.hub.probes.probe_set import (
    PROBES_NAME,
    SKIPPED_NAME,
    ProbeSet,
    probe_set_digest,
    read_header,
)
from lagotto.hub.probes.select import SelectionMeter
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.copies.origin import check_pictures_kept
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.manifest import Manifest, read_hub_manifest, write_hub_manifest
from lagotto.hub.store.records import FailedModel, ModelRecord
from lagotto.hub.store.responses import Responses, SeenProbes, read_responses, write_responses
from lagotto.hub.store.tensorfile import is_intact
from lagotto.jobs.base import Runner
from lagotto.jobs.worker_limits import Limits

GONE = "gone"
"""The kind of failure of a model whose file is no longer what was probed."""


@dataclass(frozen=True, slots=True)
class GrowReport:
    """What became of a hub that grew from `probes_before` to `probes`.

    `extended` are the models that saw the new probes. `unseen` are those that did not, each with
    its reason: they are searched as models that saw a share of the probes. `skipped` are pictures
    that are no new probes. `resumed` counts models that a killed run had already finished.
    """

    probes_before: int
    probes: int
    probe_digest: str
    extended: tuple[str, ...]
    unseen: tuple[FailedModel, ...]
    skipped: tuple[Skipped, ...]
    source_count: SourceCount | None
    resumed: int
    notes: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        count = None if self.source_count is None else self.source_count.as_json()
        fields: JsonObject = json.loads(json.dumps({**asdict(self), "source_count": count}))
        return fields


@dataclass(frozen=True, slots=True)
class Growth:
    """Where a hub grows from: its files, its manifest, and how its work is done."""

    layout: HubLayout
    manifest: Manifest
    encoder: Encoder
    limits: Limits
    progress: Progress

    @property
    def pictures(self) -> Path:
        """The set of the new probes."""
        return self.layout.growing / "probes"

    @property
    def cache(self) -> Path:
        """The pixels of the new probes."""
        return self.layout.growing / "cache"

    @property
    def staging(self) -> Path:
        """Responses that workers are writing."""
        return self.layout.growing / "staging"

    def responses_of(self, digest: str) -> Path:
        """The responses of a model on the new probes."""
        return self.layout.growing / "responses" / f"{digest}.safetensors"


def grow_hub(
    layout: HubLayout,
    encoder: Encoder,
    sources: Sequence[Path | DatasetSample],
    limits: Limits,
    progress: Progress,
    *,
    max_probes: int | None = None,
    seed: int = 0,
) -> GrowReport:
    """Adds probes to a hub; its models see the new ones only.

    Args:
        layout: The hub.
        encoder: Its encoder.
        sources: Image folders, .jsonl manifests or .parquet files with pictures.
        limits: Workers, time, memory and disk that may be used.
        progress: Receives each stage.
        max_probes: The size of a random sample of the new pictures; None takes all of them.
        seed: Seed of that sample.

    Raises:
        UsageError: A source is not found, or no model of the hub could see the new probes.
        ProbeError: The sources have no picture that is new.
        HubError: Another process writes to the hub, or it cannot be written.
    """
    folder = layout.folder.resolve()
    manifest, limits = read_hub_manifest(folder), place_limits(limits)
    growth = Growth(HubLayout(folder), manifest, encoder, limits, progress)
    check_pictures_kept(folder)
    with hub_lock(folder):
        known = growth.manifest.open_probes(growth.layout.probes)
        with Catalog(growth.layout.catalogue, writable=True) as catalogue:
            tidy(growth.layout, catalogue, keep_fetched=False)
            records, copies = catalogue.models("done"), catalogue.copies()
        for record in records:  # damage is told before the work
            read_responses(growth.layout.responses_of(record.digest), known.digest)
        models = KnownModels(records, copies)
        if records and len(models.missing) == len(records):
            first = records[0]
            raise UsageError(
                f"no model of {folder} could see new probes: {models.missing[first.digest]}"
                f"{' (and others)' if len(records) > 1 else ''}; put the files back where they "
                "were, or make a new hub. The hub stays as it was"
            )
        new = _select(growth, known, sources, max_probes, seed)
        _check_disk(growth.layout, len(new.probe_set.probes) / max(len(known.probes), 1))
        failures, resumed, notes = _probe(growth, new.probe_set, records, models)
        embeddings = _embed(growth, new.probe_set)
        report = GrowReport(
            probes_before=len(known.probes),
            probes=len(embeddings),
            probe_digest=probe_set_digest([*known.probes, *new.probe_set.probes]),
            extended=tuple(item.name for item in records if item.digest not in failures),
            unseen=tuple(
                FailedModel(item.name, item.source, *failures[item.digest])
                for item in records
                if item.digest in failures
            ),
            skipped=tuple(new.probe_set.skipped()),
            source_count=new.probe_set.source_count(),
            resumed=resumed,
            notes=notes,
        )
        _assemble(growth, known, new, embeddings, records)
    return report


def _select(
    growth: Growth,
    known: ProbeSet,
    sources: Sequence[Path | DatasetSample],
    max_probes: int | None,
    seed: int,
) -> NewProbes:
    """The new probes, in HUB/growing; what a killed run did with other ones is deleted."""
    fresh = growth.layout.growing / "selection"
    with writing(fresh):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    meter = SelectionMeter(growth.progress)
    new = select_new(fresh, known, sources, max_probes, seed, meter)
    growth.progress.finish()
    try:
        is_same = read_header(growth.pictures).digest == new.probe_set.digest
    except HubError:
        is_same = False
    with writing(growth.pictures):
        if not is_same:
            for path in growth.layout.growing.iterdir():
                if path != fresh:
                    shutil.rmtree(path)
        shutil.rmtree(growth.pictures, ignore_errors=True)
        fresh.rename(growth.pictures)
        for folder in (growth.cache, growth.staging, growth.responses_of("").parent):
            folder.mkdir(exist_ok=True)
    return replace(new, probe_set=ProbeSet.open(growth.pictures))


def _check_disk(layout: HubLayout, share: float) -> None:
    """Raises HubError if the grown hub does not fit beside the old one."""
    parts = (layout.responses, layout.blocks)
    present = sum(path.stat().st_size for part in parts for path in part.glob("*"))
    needed = present * (1 + share)
    free = shutil.disk_usage(layout.folder).free
    if needed > free:
        raise HubError(
            f"the grown hub takes {needed / 1e9:,.1f} GB beside {layout.folder} until it takes its "
            f"place, and {free / 1e9:,.1f} GB are free; free some, or take fewer new probes "
            "(--max-probes). The hub stays as it was"
        )


def _probe(
    growth: Growth, new: ProbeSet, records: Sequence[ModelRecord], models: KnownModels
) -> tuple[dict[str, tuple[str, str]], int, tuple[str, ...]]:
    """Runs the models over the new probes.

    Returns (kind, reason) of each failure by digest, how many models were finished before, and
    notes on what was begun before and is damaged.
    """
    by_digest = {record.digest: record for record in records}
    finished = {digest for digest in by_digest if _is_finished(growth, digest, new)}
    begun = [item for item in records if item.digest not in finished]
    damaged = [item for item in begun if growth.responses_of(item.digest).exists()]
    failures: dict[str, tuple[str, str]] = {}
    runner = growth.limits.start(growth.cache, growth.staging)
    try:
        for batch in _batches(growth, models):
            jobs = {
                digest: ProbingJob(source, record=_inferred(by_digest[digest]))
                for digest, source in batch.items()
                if digest not in finished
            }
            outputs = {digest: by_digest[digest].outputs for digest in jobs}
            failures.update(_run(growth, runner, jobs, new, outputs))
    finally:
        runner.close()
    gone = {digest: (GONE, why) for digest, why in models.missing.items() if digest not in finished}
    notes = (f"{growth.responses_of(m.digest)} was damaged: {m.name} ran again" for m in damaged)
    return {**gone, **failures}, len(finished), tuple(notes)


def _batches(growth: Growth, models: KnownModels) -> Iterator[Mapping[str, ModelSource]]:
    """The models on disk, and then the remote ones as they are fetched."""
    yield models.local
    yield from models.fetched(growth.layout.fetched, growth.limits.cache_bytes, growth.progress)


def _run(
    growth: Growth,
    runner: Runner,
    jobs: Mapping[str, ProbingJob],
    new: ProbeSet,
    outputs: Mapping[str, int],
) -> dict[str, tuple[str, str]]:
    """Runs some models, which have so many outputs; the failures by digest."""
    failures: dict[str, tuple[str, str]] = {}
    if not jobs:
        return failures
    for probed in probe_models(runner, jobs, new, growth.cache, growth.staging, growth.progress):
        if probed.failure is not None:
            failures[probed.digest] = (probed.failure.kind, probed.failure.reason)
            continue
        before, now = outputs[probed.digest], 0 if probed.facts is None else probed.facts.outputs
        if now != before:
            reason = f"gave {now} outputs, and {before} when it was probed before"
            failures[probed.digest] = ("error", reason)
            continue
        target = growth.responses_of(probed.digest)
        with writing(target):
            probed.staged.rename(target)
    return failures


def _inferred(record: ModelRecord) -> JsonObject | None:
    """How a model is fed, if that was inferred: new probes must be seen as the old ones were."""
    described: JsonObject = {"input": record.input, "notes": [*record.notes]}
    return described if is_inferred(described) else None


def _is_finished(growth: Growth, digest: str, new: ProbeSet) -> bool:
    """Whether a killed run has left the whole responses of a model on these new probes."""
    path = growth.responses_of(digest)
    try:
        responses = read_responses(path, new.digest)
    except LagottoError:
        return False
    return len(responses.values) == len(new.probes) and is_intact(path)


def _embed(growth: Growth, new: ProbeSet) -> Float32[np.ndarray, "probes dim"]:
    """Embeddings of the old probes, as they are kept, and of the new ones."""
    earlier = growth.manifest.open_embeddings(growth.layout.embeddings)
    pixels = growth.encoder.info.pixels
    runner = growth.limits.start(growth.cache)
    try:
        cache = prepare_pixels(runner, new, growth.cache, [pixels], growth.progress)
    finally:
        runner.close()
    later = embed_probes(growth.encoder, cache.open(pixels), growth.progress)
    return np.concatenate([earlier, later])


def _assemble(
    growth: Growth,
    known: ProbeSet,
    new: NewProbes,
    embeddings: Float32[np.ndarray, "probes dim"],
    records: Sequence[ModelRecord],
) -> None:
    """Makes the grown hub beside the old one, and puts it in its place."""
    old = growth.layout
    with writing(old.folder):
        draft = HubLayout(make_draft(old.folder))
    try:
        joined = join_probes(draft.probes, known, new)
        write_embeddings(draft.embeddings, embeddings)
        _copy_lasting(old, draft)
        manifest = replace(
            growth.manifest,
            probe_digest=joined.digest,
            probes=len(joined.probes),
            embeddings_sha256=sha256_file(draft.embeddings),
            probe_list_sha256=sha256_file(draft.probes / PROBES_NAME),
            set_aside_sha256=sha256_file(draft.probes / SKIPPED_NAME),
        )
        write_hub_manifest(draft.folder, manifest)
        growth.progress.start("joining responses", len(records), "models")
        with Catalog(draft.catalogue, writable=True) as catalogue:
            run = catalogue.start_run({"grow": len(new.probe_set.probes)}, now_text())
            for record in records:
                _join_responses(growth, draft, record.digest, joined, catalogue)
                growth.progress.advance(1)
            rebuild_blocks(draft, catalogue, joined.digest)
            catalogue.finish_run(run, now_text(), len(records), 0, 0)
        growth.progress.finish()
        with writing(old.folder):
            draft.folder.chmod(old.folder.stat().st_mode & 0o7777)
            sync(draft.folder)
            replace_folder(draft.folder, old.folder)
            sync(old.folder.parent)
    except LagottoError as error:
        # The reader knows the hub by its own name, not by that of the draft.
        raise type(error)(str(error).replace(str(draft.folder), str(old.folder))) from error
    finally:
        shutil.rmtree(draft.folder, ignore_errors=True)


def _copy_lasting(old: HubLayout, draft: HubLayout) -> None:
    """Copies what does not depend on the probes: the catalogue, and embeddings of words."""
    with writing(draft.folder):
        for made in (draft.responses, draft.blocks, draft.cache):
            made.mkdir()
        shutil.copyfile(old.catalogue, draft.catalogue)
        for path in (old.background, old.label_embeddings, *old.text_caches):
            if path.exists():
                shutil.copyfile(path, draft.folder / path.relative_to(old.folder))
        (draft.folder / LOCK_NAME).touch()


def _join_responses(
    growth: Growth, draft: HubLayout, digest: str, joined: ProbeSet, catalogue: Catalog
) -> None:
    """Writes the responses of a model on all probes that it has seen, and records them."""
    earlier = read_responses(growth.layout.responses_of(digest), growth.manifest.probe_digest)
    values, seen = _joined(earlier, growth.responses_of(digest))
    header = replace(earlier.header, probe_digest=joined.digest)
    target = draft.responses_of(digest)
    checksum = write_responses(target, values, header, SeenProbes(seen, len(joined.probes)))
    catalogue.record_extended(digest, measure_moments(values).invalid, checksum)


def _joined(
    earlier: Responses, file: Path
) -> tuple[Float32[np.ndarray, "seen logits"], Int64[np.ndarray, " seen"]]:
    """Earlier responses, and behind them those on the new probes where a file has them."""
    if not file.exists():
        return earlier.values, earlier.seen_probes
    later = read_responses(file).values
    fresh = np.arange(earlier.probes, earlier.probes + len(later), dtype=np.int64)
    values = np.concatenate([earlier.values, later])
    return values, np.concatenate([earlier.seen_probes, fresh])

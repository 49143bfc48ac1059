"""The spec of a dataset comes in; local files with the row groups of a sample go out.

A dataset may hold terabytes, so a few row groups are drawn at random, and only their columns of
pictures, names and captions are transferred. Shards of webdataset are transferred whole.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lagotto.core.errors import ProbeError, SourceError, UsageError
from lagotto.core.files import writing
from lagotto.core.progress import Progress
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.remote.spec import DatasetSpec, parse_dataset
from lagotto.core.remote.user_cache import user_cache
from lagotto.hub.probes.datasets.choice import SPREAD, choose_dataset_files, in_order_of
from lagotto.hub.probes.datasets.partial_file import PartialFile, fill_footer
from lagotto.hub.probes.datasets.sample import (
    DATASET_SAMPLE,
    DatasetFacts,
    DatasetSample,
    SampledFile,
)
from lagotto.hub.probes.parquet_rows import columns_to_read
from lagotto.jobs.tables.parquet_table import ParquetTable, RowGroup

CONVERTED = "refs/convert/parquet"
"""The branch where the hub keeps a dataset as parquet, whatever the form of its own files."""


@dataclass(frozen=True, slots=True)
class DatasetListing:
    """A dataset as the hub lists it, before anything is transferred."""

    spec: DatasetSpec
    repository: Repository
    files: tuple[RemoteFile, ...]

    @property
    def is_tar(self) -> bool:
        """Whether its pictures are in tars of webdataset, not in parquet."""
        return self.files[0].path.lower().endswith(".tar")


def list_dataset(spec: str, hub: HuggingFace | None = None) -> DatasetListing:
    """The files of `hf:datasets/ORG/NAME[@REV][:CONFIG/SPLIT]` that may hold pictures.

    Raises:
        UsageError: The spec is not understood.
        SourceError: The dataset is gated, gone, or has neither parquet files nor tars.
    """
    parsed, client = parse_dataset(spec), hub or HuggingFace()
    repository = client.dataset(parsed)
    files = choose_dataset_files(parsed, repository, ".parquet")
    if not files and parsed.revision is None:
        try:
            converted = client.dataset(parsed, CONVERTED)
            files = choose_dataset_files(parsed, converted, ".parquet")
            repository = converted if files else repository
        except SourceError:
            files = []
    files = files or choose_dataset_files(parsed, repository, ".tar")
    if not files:
        kinds = sorted({Path(file.path).suffix or file.path for file in repository.files})
        raise SourceError(
            f"{parsed} has neither .parquet files nor .tar shards, also not in {CONVERTED}; it "
            f"has {', '.join(kinds[:8]) or 'nothing'}: download it, and give --probes FOLDER"
        )
    return DatasetListing(parsed, repository, tuple(files))


def fetch_dataset(
    spec: str, count: int | None, seed: int, progress: Progress, *, accept: bool = False
) -> DatasetSample:
    """Transfers what holds a random sample of a dataset's pictures; what is there stays.

    Args:
        spec: `hf:datasets/ORG/NAME[@REV][:CONFIG/SPLIT]`.
        count: Pictures wanted; None for DATASET_SAMPLE. At least as many rows are transferred,
            where there are as many.
        seed: Seed of the draw.
        progress: Told of the pictures.
        accept: Take a dataset that states no licence.

    Raises:
        UsageError: The spec is not understood, or the dataset states no licence.
        SourceError: It is gated, gone, without pictures, or the hub is out of reach.
    """
    hub = HuggingFace()
    listing = list_dataset(spec, hub)
    repository = listing.repository
    check_licence(listing.spec, repository.licence, accept)
    wanted = count or DATASET_SAMPLE
    progress.start("fetching probes", wanted, "pictures")
    take = _take_tars if listing.is_tar else _take_parquet
    files, rows, transferred = take(hub, listing, wanted, seed, progress)
    progress.finish()
    facts = DatasetFacts(
        str(listing.spec), repository.commit, repository.licence, len(files), rows, transferred
    )
    return DatasetSample(facts, tuple(files))


def check_licence(spec: DatasetSpec, licence: str, accept: bool) -> None:
    """Raises UsageError for a dataset without a stated licence that the user did not accept."""
    if not accept and licence.lower() in ("", "unknown", "other"):
        raise UsageError(
            f"{spec} states {f'the licence {licence!r}' if licence else 'no licence'}: read its "
            "page, and if you may use its pictures, add --accept"
        )


def _take_parquet(
    hub: HuggingFace, listing: DatasetListing, wanted: int, seed: int, progress: Progress
) -> tuple[list[SampledFile], int, int]:
    """Row groups of some files, drawn at random, with `wanted` rows if there are as many."""
    files = in_order_of(seed, listing.files, [file.path for file in listing.files])
    share = -(-wanted // min(len(files), SPREAD))
    taken: dict[str, SampledFile] = {}
    rows = transferred = 0
    for limit in (share, wanted):  # a second time through, where the first gave too few
        for file in files:
            if rows >= wanted:
                break
            before = sum(stop - first for first, stop in _spans(taken, file))
            part, moved = _take_groups(hub, listing.repository, file, limit, seed)
            taken[file.path] = part
            gained = sum(stop - first for first, stop in part.spans) - before
            rows, transferred = rows + gained, transferred + moved
            progress.advance(gained)
    return list(taken.values()), rows, transferred


def _spans(taken: dict[str, SampledFile], file: RemoteFile) -> tuple[tuple[int, int], ...]:
    return taken[file.path].spans if file.path in taken else ()


def _take_groups(
    hub: HuggingFace, repository: Repository, file: RemoteFile, wanted: int, seed: int
) -> tuple[SampledFile, int]:
    """Row groups of one file with at least `wanted` rows, or all, and the bytes transferred."""
    target = dataset_folder(repository) / file.path
    local = PartialFile(target, file.size, partial(hub.read_range, repository, file))
    fill_footer(local, file.size)
    table = ParquetTable(target, ProbeError, within=True)
    try:
        columns = columns_to_read(table)
    except ProbeError as error:
        raise ProbeError(
            str(error).replace(str(target), f"{repository.name}: {file.path}")
        ) from error
    groups = table.row_groups([columns.picture, *columns.described])
    names = [f"{file.path}:{number}" for number in range(len(groups))]
    chosen: list[RowGroup] = []
    for group in in_order_of(seed, groups, names):
        if sum(item.stop - item.first for item in chosen) >= wanted:
            break
        _check_disk(target, repository, sum(b - a for a, b in local.missing(group.places)))
        local.fill(group.places)
        chosen.append(group)
    spans = tuple(sorted((group.first, group.stop) for group in chosen))
    return SampledFile(target, f"{repository.source}/{file.path}", spans), local.fetched


def _take_tars(
    hub: HuggingFace, listing: DatasetListing, wanted: int, seed: int, progress: Progress
) -> tuple[list[SampledFile], int, int]:
    """Whole shards, drawn at random, until they have `wanted` pictures."""
    repository, taken = listing.repository, []
    rows = transferred = 0
    for file in in_order_of(seed, listing.files, [item.path for item in listing.files]):
        if rows >= wanted:
            break
        folder = dataset_folder(repository)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        there = (folder / file.path).is_file()
        _check_disk(folder, repository, 0 if there else file.size)
        hub.fetch(repository, [file], folder)
        part = SampledFile(folder / file.path, f"{repository.source}/{file.path}")
        found = sum(1 for _ in part.candidates())
        rows, transferred = rows + found, transferred + (0 if there else file.size)
        progress.advance(found)
        taken.append(part)
    return taken, rows, transferred


def _check_disk(path: Path, repository: Repository, needed: int) -> None:
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise SourceError(
            f"{repository.name}: {needed / 1e6:,.0f} MB more are needed in {place}, and "
            f"{free / 1e6:,.0f} MB are free; free some, take fewer (--max-probes), or set "
            "XDG_CACHE_HOME to another disk"
        )


def dataset_folder(repository: Repository) -> Path:
    """Where the files of a dataset at one commit are kept: they serve the next hub too."""
    name = repository.name.replace("/", "--")
    return user_cache("datasets") / f"{name}@{repository.commit}"

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
from lagotto.core.remote.retry import OutOfReachError, StillBusyError
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
        SourceError: The dataset is gated, gone, or has neither parquet files nor tars; an
            OutOfReachError where there is no network.
    """
    parsed, client = parse_dataset(spec), hub or HuggingFace()
    try:
        repository = client.dataset(parsed)
    except OutOfReachError as error:
        if isinstance(error, StillBusyError):
            raise
        raise OutOfReachError(
            f"{parsed}: the hub does not answer, and datasets are sampled from there (parts of "
            f"{', '.join(_cached_names()) or 'none'} are in {dataset_cache()}); check the network "
            "and HF_ENDPOINT, or give pictures of this machine (--probes FOLDER), or the bundled "
            "ones (--probes bundled)"
        ) from error
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


@dataclass(slots=True)
class _ParquetPart:
    """A parquet file of a dataset: its row groups in a random order, and how many are taken."""

    local: PartialFile
    title: str
    groups: list[RowGroup]
    taken: int = 0

    @property
    def chosen(self) -> list[RowGroup]:
        """The row groups that are taken."""
        return self.groups[: self.taken]

    @property
    def rows(self) -> int:
        """How many rows these have."""
        return sum(group.stop - group.first for group in self.chosen)

    def take(self, wanted: int) -> int:
        """Takes row groups until they have so many rows; the rows that are new."""
        before = self.rows
        while self.rows < wanted and self.taken < len(self.groups):
            self.taken += 1
        return self.rows - before


def _take_parquet(
    hub: HuggingFace, listing: DatasetListing, wanted: int, seed: int, progress: Progress
) -> tuple[list[SampledFile], int, int]:
    """Row groups of some files, drawn at random, with `wanted` rows if there are as many.

    Footers are read first, so that a disk without room is told of before a picture is transferred.
    """
    repository = listing.repository
    files = in_order_of(seed, listing.files, [file.path for file in listing.files])
    share = -(-wanted // min(len(files), SPREAD))
    parts: dict[str, _ParquetPart] = {}
    rows = 0
    for limit in (share, wanted):  # a second time through, where the first gave too few
        for file in files:
            if rows >= wanted:
                break
            if file.path not in parts:
                parts[file.path] = _open_parquet(hub, repository, file, seed)
            rows += parts[file.path].take(limit)
    lacking = [part.local.missing(g.places) for part in parts.values() for g in part.chosen]
    needed = sum(stop - first for places in lacking for first, stop in places)
    _check_disk(dataset_folder(repository), repository, needed)
    for part in parts.values():
        for group in part.chosen:
            part.local.fill(group.places)
            progress.advance(group.stop - group.first)
    sampled = [
        SampledFile(
            part.local.path,
            part.title,
            tuple(sorted((group.first, group.stop) for group in part.chosen)),
        )
        for part in parts.values()
    ]
    return sampled, rows, sum(part.local.fetched for part in parts.values())


def _open_parquet(
    hub: HuggingFace, repository: Repository, file: RemoteFile, seed: int
) -> _ParquetPart:
    """One file, of which the footer is transferred; its row groups in the order of the seed."""
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
    return _ParquetPart(local, f"{repository.source}/{file.path}", in_order_of(seed, groups, names))


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


def dataset_cache() -> Path:
    """The folder in which what was fetched of datasets is kept; it may not exist."""
    return user_cache("datasets")


def _cached_names() -> list[str]:
    """The datasets of which the cache has parts."""
    folders = (path.name for path in dataset_cache().glob("*@*") if path.is_dir())
    return sorted({name.rpartition("@")[0].replace("--", "/", 1) for name in folders})


def dataset_folder(repository: Repository) -> Path:
    """Where the files of a dataset at one commit are kept: they serve the next hub too."""
    return dataset_cache() / f"{repository.name.replace('/', '--')}@{repository.commit}"

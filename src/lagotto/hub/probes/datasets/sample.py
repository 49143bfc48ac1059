"""Fetched files of a dataset come in; candidate pictures and where they are from go out."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lagotto.core.errors import ProbeError
from lagotto.core.types import JsonObject
from lagotto.hub.probes.candidate import ProbeCandidate
from lagotto.hub.probes.datasets.choice import in_order_of
from lagotto.hub.probes.parquet_rows import read_parquet_rows
from lagotto.hub.probes.tar_pictures import read_tar_pictures
from lagotto.jobs.tables.parquet_table import ParquetTable

DATASET_SAMPLE = 2000
"""Pictures that are taken of a dataset where the user gives no number."""


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Where probes are from: the dataset, its commit and licence, and what was read of it."""

    source: str
    commit: str
    licence: str
    files: int
    rows: int
    bytes: int

    def as_json(self) -> JsonObject:
        """The fields by name."""
        return {**asdict(self)}


@dataclass(frozen=True, slots=True)
class SampledFile:
    """A local file of a dataset; of a parquet file the rows in `spans` are there."""

    path: Path
    title: str
    spans: tuple[tuple[int, int], ...] = ()

    def candidates(self) -> Iterator[ProbeCandidate]:
        """The pictures of the file that may become probes."""
        if self.path.suffix == ".tar":
            return read_tar_pictures(self.path, self.title)
        table = ParquetTable(self.path, ProbeError, within=True)
        return read_parquet_rows(table, self.title, self.spans)


@dataclass(frozen=True, slots=True)
class DatasetSample:
    """The files of a dataset that hold the pictures of a sample, and the facts about it."""

    facts: DatasetFacts
    files: tuple[SampledFile, ...] = field(repr=False)
    limit: int | None = None
    seed: int = 0

    def candidates(self) -> Iterator[ProbeCandidate]:
        """The pictures that may become probes, file by file; at most `limit`, drawn at random."""
        found = [item for file in self.files for item in file.candidates()]
        if self.limit is not None and len(found) > self.limit:
            names = [str(number) for number in range(len(found))]
            kept = sorted(in_order_of(self.seed, range(len(found)), names)[: self.limit])
            found = [found[number] for number in kept]
        yield from found

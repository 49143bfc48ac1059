"""An image folder, jsonl manifest or parquet file comes in; candidate pictures go out, in order.

The order is that of the source. The files of a folder are sorted by relative path, because the
order of a file system differs between machines.
"""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.errors import ProbeError, UsageError
from lagotto.core.images import read_picture_file
from lagotto.core.parsing.captioned_tables import (
    PATH_COLUMNS,
    parse_captioned_line,
    storable,
)
from lagotto.core.parsing.delimited_text import text_lines
from lagotto.core.sources.count import way_out
from lagotto.core.sources.credits import credit_of_row
from lagotto.core.sources.folder import count_rest, list_pictures, refuse_outside
from lagotto.core.types import NO_CREDIT, Credit
from lagotto.hub.probes.candidate import ProbeCandidate, load_named
from lagotto.hub.probes.folder_credits import read_folder_credits
from lagotto.hub.probes.parquet_rows import read_parquet_rows
from lagotto.hub.probes.tar_pictures import read_tar_pictures
from lagotto.jobs.tables.parquet_table import ParquetTable

MANIFEST_SUFFIXES = (".jsonl", ".ndjson")

MAX_ROWS = 5_000_000
"""Of a parquet file of probes: each row is a candidate that is held in memory."""


def read_probe_source(
    path: Path, passed_over: Counter[str] | None = None
) -> Iterator[ProbeCandidate]:
    """Reads the names and captions of one picture source; a picture is read when it is loaded.

    Args:
        path: An image folder, a .jsonl (or .ndjson) manifest, a .parquet or .tar file. Of a folder
            without pictures the parquet files in it and in its folders are read.
        passed_over: Gets the number of files of a folder that are no pictures, by kind.

    Returns:
        The candidates in the order of the source. Their names are relative and start with the name
        of the source: `photos/a/1.jpg`, `faces.parquet#17`.

    Raises:
        UsageError: The path is missing or of no known kind.
        ProbeError: The source cannot be read; some errors are raised while iterating.
    """
    if path.is_dir():
        return _read_folder(path, Counter() if passed_over is None else passed_over)
    if not path.exists():
        raise UsageError(
            f"no probes at {path}: no such file or folder; give an image folder, "
            "a .jsonl manifest, a .parquet file, a .tar, or hf:datasets/ORG/NAME"
        )
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return _read_manifest(path)
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    if path.suffix.lower() == ".tar":
        return read_tar_pictures(path, storable(path.name))
    raise UsageError(
        f"{path} is no probe source; give an image folder, a .jsonl manifest, a .parquet file or a "
        f".tar of webdataset{way_out([path.suffix.lower()])}"
    )


def _read_folder(folder: Path, passed_over: Counter[str]) -> Iterator[ProbeCandidate]:
    """Every picture file under a folder, except hidden ones; folder links are not followed."""
    root = folder.resolve()
    listing = list_pictures(root, ProbeError)
    tables: list[Path] = []
    if not listing.pictures and not listing.outside:
        roots = link_roots(root)
        found = sorted(root.rglob("*.parquet"))
        tables = [path for path in found if path.is_file() and stays_inside(path, roots)]
    passed_over.update(count_rest(listing, tables, with_pictures=False))
    outside = dict.fromkeys(listing.outside, refuse_outside)
    files = [*listing.pictures, *listing.outside]
    stated = read_folder_credits(root)
    for name, file in sorted((storable(f.relative_to(root).as_posix()), f) for f in files):
        load = outside.get(file, partial(read_picture_file, file))
        credit = stated.get(name) or stated.get(file.name) or NO_CREDIT
        yield ProbeCandidate(f"{storable(root.name)}/{name}", load, (), credit)
    for table in tables:
        yield from _read_parquet(table)


def _read_manifest(manifest: Path) -> Iterator[ProbeCandidate]:
    """One candidate a picture path, at its first line, with the captions of all its lines.

    Paths are relative to the manifest's folder.
    """
    folder = manifest.resolve().parent
    captions: dict[str, dict[str, None]] = {}
    credits: dict[str, Credit] = {}
    for number, line in text_lines(manifest, ProbeError):
        if line is None:
            raise ProbeError(f"{manifest} line {number} is not UTF-8 text; save it as UTF-8")
        if line.strip():
            name, texts = _parse_line(line, f"{manifest} line {number}")
            captions.setdefault(name, {}).update(dict.fromkeys(texts))
            stated = credit_of_row(json.loads(line))
            credits[name] = stated if stated != NO_CREDIT else credits.get(name, stated)
    for name, known in captions.items():
        load = partial(load_named, folder, name)
        source = storable(f"{folder.name}/{name}")
        yield ProbeCandidate(source, load, tuple(known), credits[name])


def _parse_line(line: str, where: str) -> tuple[str, tuple[str, ...]]:
    """(picture path, captions) of one line."""
    try:
        name, captions = parse_captioned_line(line)
    except ValueError as error:
        raise ProbeError(f"{where} {error}") from error
    if name is None:
        raise ProbeError(
            f"{where} names no picture; give its path as one of {', '.join(PATH_COLUMNS)}"
        )
    return name, captions


def _read_parquet(path: Path) -> Iterator[ProbeCandidate]:
    """One candidate a row. Names and captions are read now, pictures a few rows at a time."""
    table = ParquetTable(path, ProbeError)
    if table.rows > MAX_ROWS:
        raise ProbeError(
            f"{path} has {table.rows:,} rows; at most {MAX_ROWS:,} are looked at, give a part of it"
        )
    return read_parquet_rows(table, storable(path.name), ((0, table.rows),))

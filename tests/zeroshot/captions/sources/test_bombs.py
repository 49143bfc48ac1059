"""Tables made to take memory or time without end: one clear line each, and nothing left behind."""

import gc
import gzip
import io
import json
import resource
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caption_makers import FakeEncoder, png
from lagotto.core.errors import CaptionError, LagottoError, ProbeError
from lagotto.hub.probes.sources import read_probe_source
from lagotto.jobs.tables import worker
from lagotto.zeroshot.captions.sources import json_forms
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.store import CaptionStore

pytestmark = pytest.mark.workers

MIB = 2**20
OWN_BYTES = 400 * MIB
"""What this process may take beside what it has."""


@pytest.fixture(autouse=True)
def _small_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A worker with little memory, and folders for temporary files of this test."""
    monkeypatch.setattr(worker, "MEMORY_BYTES", 256 * MIB)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker._current.clear()
    yield
    gc.collect()  # pytest may hold the error, which holds the worker


def create(path: Path, folder: Path) -> CaptionStore:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        return CaptionStore.create(folder / "store", path, FakeEncoder())
    finally:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < OWN_BYTES, f"{grown / MIB:.0f} MiB in the main process"


def dictionary(value: Any, rows: int, kind: Any = None) -> Any:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value], kind))


def plain(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """A parquet file whose columns are declared as plain ones, however they are packed."""
    options = {"compression": "zstd", "store_schema": False} | options
    pq.write_table(pa.table(columns), path, **options)
    return path


def captions_of_nothing(path: Path) -> Path:
    return plain(path, {"caption": pa.nulls(4_000_000, pa.string())})


def long_caption(path: Path) -> Path:
    return plain(path, {"caption": dictionary("a red thing " * 80_000, 20_000)})


def long_caption_as_dictionary(path: Path) -> Path:
    columns = {"caption": dictionary("a red thing " * 80_000, 300)}
    return plain(path, columns, store_schema=True)


def huge_cell(path: Path) -> Path:
    cells = pa.array([bytes(100 * MIB)], pa.large_binary())
    return plain(path, {"image": cells, "caption": ["a"]}, use_dictionary=False)


def huge_cells(path: Path) -> Path:
    columns = {"image": dictionary(bytes(60 * MIB), 32, pa.binary()), "caption": ["x"] * 32}
    return plain(path, columns)


def many_columns(path: Path) -> Path:
    return plain(path, {**{f"c{n}": [1] for n in range(10_001)}, "caption": ["x"]})


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (captions_of_nothing, "declares 4,000,000 rows"),
        (long_caption, "needs more than 0.25 GiB of memory"),
        (huge_cell, "cells of"),
        (huge_cells, "needs more than 0.25 GiB of memory"),
        (many_columns, "10,002 columns; at most 10,000"),
        (long_caption_as_dictionary, "over 10,000 characters"),
    ],
)
def test_a_parquet_bomb_is_one_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path / "bomb.parquet")
    with pytest.raises(CaptionError, match=words) as refused:
        create(path, tmp_path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "store").exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("make", "words"),
    [(captions_of_nothing, "declares 4,000,000 rows"), (many_columns, "at most 10,000")],
)
def test_a_parquet_bomb_of_probes_is_one_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(ProbeError, match=words):
        list(read_probe_source(make(tmp_path / "bomb.parquet")))


def test_one_row_that_is_too_large_leaves_the_others(tmp_path: Path) -> None:
    count = 100_000
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 1 + count, 2 + count], pa.int32()),
        pa.array(["fine"] + ["red"] * count + ["fine too"]),
    )
    path = plain(tmp_path / "lists.parquet", {"captions": lists})
    store = create(path, tmp_path)
    assert store.texts([0, 1]) == ["fine", "fine too"]
    assert len(store.skipped()) == 1


@pytest.mark.thorough
def test_a_picture_that_is_too_large_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MEMORY_BYTES", 1024 * MIB)
    pictures = pa.array([png(0), bytes(70 * MIB), png(1)], pa.binary())
    path = plain(tmp_path / "p.parquet", {"image": pictures, "caption": list("abc")})
    store = create(path, tmp_path)
    assert store.pictures == 2
    assert "70 MiB; at most 64 are read" in store.skipped()[0].reason


@pytest.mark.thorough
def test_a_worker_ends_with_its_table(tmp_path: Path) -> None:
    (source,) = find_sources(plain(tmp_path / "p.parquet", {"caption": ["a", "b"]}))
    assert len(list(source.read())) == 2
    assert len(list(tmp_path.glob("lagotto-tables-*"))) == 1
    del source
    gc.collect()
    assert not list(tmp_path.glob("lagotto-*"))


def test_a_json_bomb_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "coco.json"
    images = '{"images":[{"id":1,"file_name":"x.png"}],"annotations":['
    path.write_text(images + '{"image_id":1,"caption":"c"},' + "[]," * 6_000_000 + "[]]}")
    with pytest.raises(CaptionError, match=r"coco\.json needs more than 0\.25 GiB") as refused:
        create(path, tmp_path)
    assert "\n" not in str(refused.value)
    monkeypatch.setattr(json_forms, "SMALL_JSON_BYTES", 1000)
    path.write_text('{"images":' + "[" * 3000 + "]" * 3000 + ',"annotations":[]}')
    with pytest.raises(CaptionError, match="is not JSON"):
        create(path, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("form", ["coco", "list", "lines"])
def test_a_large_json_reads_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"{number}.png").write_bytes(png(number))
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(3)]
    notes = [{"image_id": n, "caption": f"caption {n}"} for n in range(3)] + [{"image_id": 9}]
    rows = [{"image": f"{n}.png", "captions": ["a", str(n)]} for n in range(3)] + ["no row"]
    content = {
        "coco": json.dumps({"images": images, "annotations": notes}),
        "list": json.dumps(rows),
        "lines": "\n".join(map(json.dumps, rows[:3])),
    }[form]
    path = tmp_path / "captions.json"
    path.write_text(content)

    def items() -> list[object]:
        (source,) = find_sources(path)
        return [
            (getattr(item, "captions", None), item.source, getattr(item, "reason", None))
            for _ in range(2)
            for item in source.read()
        ]

    here = items()
    monkeypatch.setattr(json_forms, "SMALL_JSON_BYTES", 1)
    assert items() == here
    assert len(here) >= 6


@pytest.mark.thorough
def test_many_captions_of_one_picture_take_linear_time(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(0))
    (tmp_path / "y.png").write_bytes(png(1))
    lines = [json.dumps({"image": "x.png", "caption": f"c{n}"}) for n in range(20_000)]
    path = tmp_path / "same.jsonl"
    path.write_text("\n".join([*lines, '{"image": "y.png", "caption": "z"}']))
    started = time.process_time()
    candidates = list(read_probe_source(path))
    assert len(candidates[0].captions) == 20_000
    images = [{"id": 1, "file_name": "x.png"}]
    notes = [{"image_id": 1, "caption": f"c{n}"} for n in range(20_000)]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}))
    (source,) = find_sources(path)
    assert sum(len(item.captions) for item in source.read()) == 20_000  # type: ignore[union-attr]
    assert time.process_time() - started < 20  # quadratic: minutes


def test_a_line_without_end_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "line.jsonl"
    with path.open("wb") as file:
        file.write(b'{"image":"x.png","caption":"')
        file.truncate(2 << 30)
    for read in (lambda: create(path, tmp_path), lambda: list(read_probe_source(path))):
        with pytest.raises(LagottoError, match="line 1 is over 16 MiB"):
            read()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "text",
    [
        "image,caption\n" + "," * 2_000_000 + "\nx.png,ok\n",
        'image,caption\nx.png,"' + "a,b\n" * 20_000,
        "caption" + ",image" * 100_000 + "\n",
        "a,b\n" + '"' * 2_000_000,
    ],
    ids=["commas", "open quote", "columns", "quotes"],
)
def test_a_csv_bomb_ends_soon(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.png").write_bytes(png(0))
    path = tmp_path / "bomb.csv"
    path.write_text(text)
    started = time.process_time()
    try:
        create(path, tmp_path)
    except CaptionError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert time.process_time() - started < 60


@pytest.mark.thorough
def test_a_compressed_table_is_named_as_such(tmp_path: Path) -> None:
    for name in ("bomb.jsonl", "bomb.csv", "bomb.parquet", "bomb.json"):
        (tmp_path / name).write_bytes(gzip.compress(bytes(5 * MIB)))
        with pytest.raises(CaptionError, match="compressed"):
            create(tmp_path / name, tmp_path)


@pytest.mark.thorough
def test_a_tar_with_a_member_that_is_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "hole.tar"
    with path.open("wb") as file:
        member = tarfile.TarInfo("big.jpg")
        member.size = 8 << 30
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.seek((8 << 30) + 512)
        for name, data in (("q.png", png(0)), ("q.txt", b"fine")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.write(member.tobuf() + data.ljust(-(-len(data) // 512) * 512, b"\0"))
        file.write(bytes(1024))
    store = create(path, tmp_path)
    assert store.texts([0]) == ["fine"]
    with tarfile.open(tmp_path / "many.tar", "w") as archive:
        for number in range(3_000):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"))
        for name, data in (("q.png", png(1)), ("q.txt", b"fine too")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert (
        CaptionStore.create(tmp_path / "many", tmp_path / "many.tar", FakeEncoder()).pictures == 1
    )

"""Image folders, manifests and parquet files as sources of candidates."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.hub.probes.candidate import ProbeCandidate
from lagotto.hub.probes.sources import read_probe_source


def read(path: Path) -> list[ProbeCandidate]:
    return list(read_probe_source(path))


def names(path: Path) -> list[str]:
    return [candidate.source for candidate in read(path)]


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def manifest(folder: Path, rows: Sequence[object]) -> Path:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    return write(folder / "captions.jsonl", text.encode())


def test_a_folder_is_read_in_order_of_relative_path(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("b.JPG", "a/z.png", "a/b.webp", ".hidden.png", ".git/a.png", "notes.txt", "a.pdf"):
        write(photos / name, name.encode())
    assert names(photos) == ["photos/a/b.webp", "photos/a/z.png", "photos/b.JPG"]
    assert [candidate.load() for candidate in read(photos)] == [b"a/b.webp", b"a/z.png", b"b.JPG"]


def test_links_that_leave_the_folder_are_refused_when_loaded(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    inside = write(photos / "a.png")
    outside = write(tmp_path / "elsewhere" / "secret.png")
    (photos / "in.png").symlink_to(inside)
    (photos / "out.png").symlink_to(outside)
    (photos / "folder").symlink_to(outside.parent, target_is_directory=True)
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    (photos / "dangling.png").symlink_to(photos / "none.png")
    found = {candidate.source: candidate for candidate in read(photos)}
    assert list(found) == [f"photos/{name}.png" for name in ("a", "dangling", "in", "out")]
    assert found["photos/in.png"].load() == b"x"
    for name, reason in (("out", "leaves the folder"), ("dangling", "no such file")):
        with pytest.raises(PictureError, match=reason):
            found[f"photos/{name}.png"].load()


def test_a_folder_reached_by_a_link_has_its_real_name(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "photos", target_is_directory=True)
    assert names(tmp_path / "link") == ["photos/a.png"]


def test_a_file_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    try:
        (tmp_path / "p").mkdir()
        Path(str(tmp_path / "p" / "\udcff.png")).write_bytes(b"x")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system wants UTF-8 names")
    (candidate,) = read(tmp_path / "p")
    assert candidate.source == "p/?.png"
    assert candidate.load() == b"x"


def test_a_manifest_gives_pictures_and_captions(tmp_path: Path) -> None:
    write(tmp_path / "coco" / "images" / "1.jpg", b"one")
    path = manifest(
        tmp_path / "coco",
        [
            {"image": "images/1.jpg", "captions": ["a dog", " a dog ", "", "on grass"]},
            {"path": "images/2.jpg", "caption": "a cat"},
            "",
            {"file_name": "3.jpg", "text": ["x"]},
            {"file": "4.jpg"},
            {"image": "images/1.jpg", "caption": "again"},
        ],
    )
    found = read(path)
    assert [(each.source, each.captions) for each in found] == [
        ("coco/images/1.jpg", ("a dog", "on grass", "again")),
        ("coco/images/2.jpg", ("a cat",)),
        ("coco/3.jpg", ("x",)),
        ("coco/4.jpg", ()),
    ]
    assert found[0].load() == b"one"
    with pytest.raises(PictureError, match="no such file"):
        found[1].load()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", "line 2 is not JSON"),
        ("[1]", "line 2 is not an object"),
        ({"caption": "no picture"}, "line 2 names no picture; give its path as one of image"),
        ({"image": 7}, "line 2 names no picture"),
        ({"image": "a\0b"}, "line 2 names no picture"),
        ({"image": "a.jpg", "captions": {"a": 1}}, "line 2 has captions that are neither"),
        ({"image": "a.jpg", "captions": ["a", 1]}, "line 2 has captions that are neither"),
        ("[" * 100_000, "line 2 is not JSON"),
    ],
    ids=range(8),
)
def test_a_malformed_line_is_named(tmp_path: Path, line: object, reason: str) -> None:
    path = manifest(tmp_path, [{"image": "a.jpg"}, line])
    with pytest.raises(ProbeError, match=reason):
        read(path)


def test_texts_that_cannot_be_printed_are_made_so(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m", ['{"image": "\\ud800.jpg", "caption": "a \\udfff"}'])
    (candidate,) = read(path)
    assert (candidate.source, candidate.captions) == ("m/?.jpg", ("a ?",))
    with pytest.raises(PictureError, match="no such file"):
        candidate.load()


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="not UTF-8"):
        read(write(tmp_path / "a.jsonl", b"\xff{}"))
    assert names(write(tmp_path / "b.jsonl", b'\xef\xbb\xbf{"image": "a.jpg"}\n'))[0].endswith(
        "/a.jpg"
    )


def table(path: Path, columns: dict[str, object], rows: int = 3) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def test_parquet_binary_with_names_and_captions(tmp_path: Path) -> None:
    path = table(
        tmp_path / "w.parquet",
        {
            "image": pa.array([b"0", b"1", None], pa.binary()),
            "path": ["a.png", "b.png", None],
            "caption": [["x", "y"], [], None],
        },
    )
    found = read(path)
    assert [(each.source, each.captions) for each in found] == [
        ("w.parquet/a.png", ("x", "y")),
        ("w.parquet/b.png", ()),
        ("w.parquet#2", ()),
    ]
    assert [each.load() for each in found[:2]] == [b"0", b"1"]
    with pytest.raises(PictureError, match="no picture in this row"):
        found[2].load()


def test_parquet_struct_of_bytes_and_path(tmp_path: Path) -> None:
    write(tmp_path / "beside.png", b"beside")
    images = [
        {"bytes": b"0", "path": "a.png"},
        {"bytes": None, "path": "beside.png"},
        {"bytes": b"2", "path": None},
        None,
    ]
    path = table(
        tmp_path / "h.parquet", {"label": [1, 2, 3, 4], "image": images, "text": list("abcd")}
    )
    found = read(path)
    sources = ["h.parquet/a.png", "h.parquet/beside.png", "h.parquet#2", "h.parquet#3"]
    assert [each.source for each in found] == sources
    assert [each.load() for each in found[:3]] == [b"0", b"beside", b"2"]
    assert [each.captions for each in found] == [("a",), ("b",), ("c",), ("d",)]
    with pytest.raises(PictureError, match="no picture"):
        found[3].load()


@pytest.mark.parametrize("column", ["jpg", "png", "image_bytes", "bytes"])
def test_other_names_of_the_picture_column(tmp_path: Path, column: str) -> None:
    (found,) = read(table(tmp_path / "w.parquet", {column: [b"x"], "n": [1]}))
    assert (found.source, found.load()) == ("w.parquet#0", b"x")


def test_parquet_rows_can_be_loaded_in_any_order(tmp_path: Path) -> None:
    values = [str(number).encode() for number in range(100)]
    found = read(table(tmp_path / "w.parquet", {"image": values}, rows=37))
    for order in (range(100), range(99, -1, -1), [50, 3, 99, 36, 37, 37, 38, 0]):
        assert [found[row].load() for row in order] == [values[row] for row in order]


def test_parquet_without_pictures_lists_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "w.parquet", {"image": ["a.png"], "n": [1]})
    with pytest.raises(ProbeError, match=r"found image \(string\), n \(int64\); give one of image"):
        read(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    path = table(tmp_path / "w.parquet", {"image": [bytes(500)] * 50})
    data = bytearray(path.read_bytes())
    with pytest.raises(ProbeError, match=r"cannot read .* as parquet"):
        read(write(tmp_path / "cut.parquet", bytes(data[:100])))
    with pytest.raises(ProbeError, match=r"empty.parquet is empty"):
        read(write(tmp_path / "empty.parquet", b""))
    data[4:60] = b"\xff" * 56
    broken = read(write(tmp_path / "broken.parquet", bytes(data)))
    with pytest.raises(ProbeError, match=r"cannot read .* as parquet"):
        broken[0].load()


def test_captions_of_a_wrong_kind_in_parquet(tmp_path: Path) -> None:
    path = table(tmp_path / "w.parquet", {"image": [b"x"], "caption": [7]})
    with pytest.raises(ProbeError, match="row 0 has captions"):
        read(path)


def test_missing_and_unknown_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no probes at .*; give an image folder"):
        read_probe_source(tmp_path / "none")
    with pytest.raises(UsageError, match="is no probe source; give an image folder"):
        read_probe_source(write(tmp_path / "a.csv"))

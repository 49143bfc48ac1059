"""Caption sources in every format: the pairs that they yield, and the messages for bad ones."""

import io
import json
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caption_makers import (
    FakeEncoder,
    add_member,
    png,
    said,
    write_clip_retrieval,
    write_coco,
    write_csv_folder,
    write_hf_parquet,
    write_img2dataset,
    write_jsonl_folder,
    write_pictures,
    write_tar,
)
from lagotto.core.errors import CaptionError, LagottoError, PictureError, UsageError
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import (
    MAX_CAPTIONS,
    Pair,
    pairs_of_rows,
)
from lagotto.zeroshot.captions.sources.registry import find_sources


def read(path: Path, images: Path | None = None) -> tuple[list[Pair], list[Skipped]]:
    items = [item for source in find_sources(path, images) for item in source.read()]
    pairs = [item for item in items if isinstance(item, Pair)]
    return pairs, [item for item in items if isinstance(item, Skipped)]


def picture(pair: Pair) -> bytes:
    assert pair.load is not None
    return pair.load()


def check(pairs: list[Pair], captions: list[list[str]], numbers: list[int] | None = None) -> None:
    assert [list(pair.captions) for pair in pairs] == captions
    numbers = list(range(len(pairs))) if numbers is None else numbers
    assert [picture(pair) for pair in pairs] == [png(number) for number in numbers]


def one_line(error: LagottoError, *words: str) -> None:
    assert "\n" not in str(error)
    for word in words:
        assert word in str(error)


def test_folder_with_jsonl(tmp_path: Path) -> None:
    pairs, aside = read(write_jsonl_folder(tmp_path / "photos", 5))
    check(pairs, [said(i) for i in range(5)])
    assert pairs[0].source == "photos/images/0000.png"
    assert not aside


def test_folder_with_csv_groups_the_rows_of_a_picture(tmp_path: Path) -> None:
    folder = write_csv_folder(tmp_path / "photos")
    pairs, aside = read(folder)
    check(pairs, [[f"{text}, quoted" for text in said(i)] for i in range(3)])
    assert [pair.rows for pair in pairs] == [2, 2, 2]
    assert find_sources(folder)[0].rows == 6
    assert not aside


@pytest.mark.parametrize("delimiter", [",", "\t", "|", ";"])
def test_delimiters_and_a_csv_called_txt(tmp_path: Path, delimiter: str) -> None:
    names = write_pictures(tmp_path, 2)
    rows = [f"{name}{delimiter} a caption" for name in names]
    text = "\n".join([f"image{delimiter}caption", *rows])
    for ending in ("csv", "txt"):
        (tmp_path / f"results.{ending}").write_text(text)
        pairs, _ = read(tmp_path / f"results.{ending}")
        check(pairs, [["a caption"], ["a caption"]])


def test_bad_lines_are_named_by_number(tmp_path: Path) -> None:
    (name,) = write_pictures(tmp_path, 1)
    good = json.dumps({"image": name, "caption": "a"})
    bad = [b"{", b"[1]", b'{"image": 3, "caption": "a"}', b'{"image": "x", "caption": 1}', b"\xff"]
    path = tmp_path / "captions.jsonl"
    path.write_bytes(b"\n".join([good.encode(), *bad]))
    pairs, aside = read(path)
    check(pairs, [["a"]])
    assert [each.source for each in aside] == [f"captions.jsonl line {n}" for n in range(2, 7)]
    assert "not JSON" in aside[0].reason
    assert "UTF-8" in aside[4].reason

    path = tmp_path / "metadata.csv"
    lines = [b"image,caption", name.encode() + b",a", name.encode() + b",a, b", b",c", b"\xff,d"]
    path.write_bytes(b"\n".join([*lines, b"", name.encode() + b",e"]))
    pairs, aside = read(path)
    assert [list(pair.captions) for pair in pairs] == [["a", "a, b"], ["e"]]
    found = {each.source: each.reason for each in aside}
    assert "names no picture" in found["metadata.csv line 4"]
    assert "UTF-8" in found["metadata.csv line 5"]


def test_text_alone_in_each_form(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one, two\n\n  three  \n")
    (tmp_path / "b.jsonl").write_text('{"text": "one, two"}\n{"caption": "three"}\n')
    (tmp_path / "c.csv").write_text('caption,url\n"one, two",x\nthree,y\n')
    pq.write_table(pa.table({"caption": ["one, two", "three"]}), tmp_path / "d.parquet")
    for name in ("a.txt", "b.jsonl", "c.csv", "d.parquet"):
        pairs, aside = read(tmp_path / name)
        assert [pair.captions for pair in pairs] == [("one, two",), ("three",)]
        assert all(pair.load is None for pair in pairs)
        assert not aside
    assert "text alone" in find_sources(tmp_path / "c.csv")[0].note


def test_coco(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "coco")
    pairs, aside = read(path)
    check(pairs, [said(i) for i in range(3)])
    assert not aside
    path.rename(tmp_path / "elsewhere.json")
    with pytest.raises(CaptionError) as error:
        read(tmp_path / "elsewhere.json")
    one_line(error.value, "0000.png", "--images")
    pairs, _ = read(tmp_path / "elsewhere.json", tmp_path / "coco" / "images")
    check(pairs, [said(i) for i in range(3)])


def test_coco_entries_that_do_not_fit(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"] += [{"image_id": 99, "caption": "x"}, 3]
    content["images"] += [{"id": 50}]
    path.write_text(json.dumps(content))
    pairs, aside = read(path)
    assert len(pairs) == 3
    assert [each.source for each in aside] == [
        f"captions_val.json {place}" for place in ("images[3]", "annotations[6]", "annotations[7]")
    ]
    path.write_text('{"labels": []}')
    with pytest.raises(CaptionError) as error:
        read(path)
    one_line(error.value, "labels", "annotations")


def test_parquet_of_img2dataset(tmp_path: Path) -> None:
    pairs, aside = read(write_img2dataset(tmp_path / "00000.parquet"))
    check(pairs, [["caption 0"], ["caption 2"]], [0, 2])
    assert pairs[1].source == "00000.parquet/002"
    assert aside == [Skipped("00000.parquet/001", "img2dataset: failed_to_download")]


def test_parquet_of_hugging_face(tmp_path: Path) -> None:
    pairs, _ = read(write_hf_parquet(tmp_path / "train.parquet"))
    check(pairs, [said(i) for i in range(3)])


def test_parquet_with_paths_and_with_gaps(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, 2)
    table = {"image": [*names, None], "caption": [["a", None], None, ["c"]]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    pairs, _ = read(tmp_path / "t.parquet")
    assert [pair.captions for pair in pairs] == [("a",), (), ("c",)]
    assert picture(pairs[1]) == png(1)
    with pytest.raises(PictureError, match="no picture"):
        picture(pairs[2])


def test_parquet_without_captions_lists_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"jpg": [png(0)], "label": [3]}), tmp_path / "t.parquet")
    with pytest.raises(CaptionError) as error:
        find_sources(tmp_path / "t.parquet")
    one_line(error.value, "jpg (binary)", "label (int64)", "captions, caption, text, title")


def test_tars_of_a_folder(tmp_path: Path) -> None:
    write_tar(tmp_path / "00001.tar", 3, 2)
    write_tar(tmp_path / "00000.tar", 0, 3)
    pairs, aside = read(tmp_path)
    check(pairs, [[f"caption {i}"] for i in range(5)])
    assert pairs[3].source == "00001.tar/part/0003"
    assert not aside


def test_tar_takes_regular_members_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        add_member(archive, "a.txt", b"text alone, its picture is a link")
        add_member(archive, "b.png", png(1))
        add_member(archive, "b.txt", b"x" * (2**20 + 1))
        add_member(archive, "c.png", png(2))
        add_member(archive, "c.json", b"[]")
        add_member(archive, "../../d.png", png(3))
        add_member(archive, "../../d.txt", b"one\ntwo\n")
        add_member(archive, "../../d.json", b'{"caption": "two"}')
    pairs, aside = read(path)
    assert [pair.captions for pair in pairs] == [
        ("text alone, its picture is a link",),
        ("one", "two"),
    ]
    assert pairs[0].load is None
    assert picture(pairs[1]) == png(3)
    assert [each.source for each in aside] == ["a.tar/b", "a.tar/c"]
    assert {each.name for each in tmp_path.iterdir()} == {"a.tar"}


def test_many_samples_are_judged_by_size(tmp_path: Path) -> None:
    (source,) = find_sources(write_tar(tmp_path / "a.tar", 0, 400))
    assert source.rows == pytest.approx(400, rel=0.05)
    assert len(list(source.read())) == 400


def test_tar_that_is_cut_or_compressed(tmp_path: Path) -> None:
    content = write_tar(tmp_path / "a.tar", 0, 9).read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: len(content) // 2 + 100])
    with pytest.raises(CaptionError) as error:
        read(tmp_path / "cut.tar")
    one_line(error.value, "cut.tar", "tar")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        add_member(archive, "a.txt", b"a")
    (tmp_path / "gz.tar").write_bytes(data.getvalue())
    with pytest.raises(CaptionError) as error:
        read(tmp_path / "gz.tar")
    one_line(error.value, "gunzip")


def test_clip_retrieval_folder(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    folder = write_clip_retrieval(tmp_path / "out", encoder)
    (source,) = find_sources(folder)
    assert source.check is not None
    source.check(encoder)
    pairs, aside = read(folder)
    assert [pair.captions for pair in pairs][:2] == [("caption 0-0",), ("caption 0-1",)]
    assert pairs[0].source == "out//data/0-0.jpg"
    assert [each.source for each in aside] == ["out//data/1-1.jpg"]
    for pair in pairs:
        assert pair.embeddings is not None
        assert pair.embeddings.image is not None
        np.testing.assert_allclose(np.linalg.norm(pair.embeddings.texts, axis=1), 1, atol=1e-6)
        again = encoder.embed_texts(list(pair.captions))
        assert float((again * pair.embeddings.texts).sum()) > 0.999


def test_clip_retrieval_of_another_encoder_is_refused_with_the_similarity(tmp_path: Path) -> None:
    (source,) = find_sources(write_clip_retrieval(tmp_path / "out", FakeEncoder("theirs")))
    assert source.check is not None
    with pytest.raises(CaptionError) as error:
        source.check(FakeEncoder("ours"))
    one_line(error.value, "cosine of ", "0.99", "ours", "--encoder")
    with pytest.raises(CaptionError) as error:
        source.check(FakeEncoder("theirs", dim=9))
    one_line(error.value, "8 values", "gives 9")


def test_clip_retrieval_parts_must_fit(tmp_path: Path) -> None:
    folder = write_clip_retrieval(tmp_path / "out", FakeEncoder())
    np.save(folder / "text_emb" / "text_emb_1.npy", np.zeros((2, 8), np.float32))
    with pytest.raises(CaptionError) as error:
        find_sources(folder)
    one_line(error.value, "2 rows", "3")
    (folder / "text_emb" / "text_emb_1.npy").write_bytes(b"\x93NUMPY junk")
    with pytest.raises(CaptionError) as error:
        find_sources(folder)
    one_line(error.value, "as npy")
    (folder / "text_emb" / "text_emb_1.npy").unlink()
    with pytest.raises(CaptionError) as error:
        find_sources(folder)
    one_line(error.value, "text_emb has 1 parts")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"img,label\nx,3\n", ["img, label", "captions, caption"]),
        ("a.csv", b"", ["empty"]),
        ("a.txt", b"\xff\xfeabc", ["line 1", "UTF-8"]),
        ("a.json", b"{", ["not JSON"]),
        ("a.parquet", b"PAR1 no", ["as parquet"]),
        ("a.tar", b"no tar" * 300, ["as tar"]),
        ("a.zip", b"PK", ["no source of captions", ".jsonl", "clip-retrieval"]),
    ],
)
def test_files_that_are_no_source(
    tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LagottoError) as error:
        read(tmp_path / name)
    one_line(error.value, name, *words)


def test_places_without_captions(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as usage:
        find_sources(tmp_path / "nothing")
    one_line(usage.value, "nothing", "no such file", ".parquet")
    write_pictures(tmp_path / "photos", 1)
    with pytest.raises(CaptionError) as error:
        find_sources(tmp_path / "photos")
    one_line(error.value, "captions.jsonl")


def test_pictures_on_the_web_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,caption\nhttps://example.org/a.jpg,a\n")
    pairs, _ = read(tmp_path / "a.csv")
    with pytest.raises(PictureError, match="img2dataset"):
        picture(pairs[0])


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.text(min_size=1)), max_size=30))
def test_grouping_keeps_every_caption_of_every_row(rows: list[tuple[str, str]]) -> None:
    items = list(pairs_of_rows(((name, "row", (text,)) for name, text in rows), Path("/f")))
    pairs = [item for item in items if isinstance(item, Pair)]
    assert sum(pair.rows for pair in pairs) == len(rows)
    told = {("" if p.load is None else p.source[-1], text) for p in pairs for text in p.captions}
    assert told == set(rows)
    names = [pair.source for pair in pairs if pair.load]
    adjacent = [a.source == b.source for a, b in pairwise(pairs) if a.load]
    assert len(names) == len([p for p in pairs if p.load])
    assert not any(adjacent)


def test_a_picture_named_without_end_does_not_fill_the_memory() -> None:
    rows = (("a.png", "row", (f"caption {n}",)) for n in range(2 * MAX_CAPTIONS + 5))
    sizes = [
        len(item.captions) for item in pairs_of_rows(rows, Path("/f")) if isinstance(item, Pair)
    ]
    assert sizes == [MAX_CAPTIONS, MAX_CAPTIONS, 5]

"""Caption files in the forms in which sets are published: each gives its pairs and a full count."""

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caption_makers import FakeEncoder, add_member, png, write_jsonl_folder
from lagotto.core.errors import CaptionError
from lagotto.core.types import Skipped
from lagotto.zeroshot.captions.sources.pairs import Pair
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.captions.store import CaptionStore

TEXTS = ("a dog runs on grass", "two men on a bench", "a red bus, in a street")


def pictures(folder: Path, names: str = "{}.png") -> Path:
    """Pictures 0 to 2 in a folder."""
    for number in range(len(TEXTS)):
        path = folder / names.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return folder


def items(path: Path, text_only: bool = False) -> tuple[list[Pair], list[Skipped], dict[str, int]]:
    """(pairs, skipped, what was passed over) of a path, read to the end."""
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    passed_over: dict[str, int] = {}
    for source in find_sources(path, text_only=text_only):
        for item in source.read():
            (pairs if isinstance(item, Pair) else skipped).append(item)  # type: ignore[arg-type]
        passed_over.update(source.passed_over)
    return pairs, skipped, {kind: number for kind, number in passed_over.items() if number}


def check(path: Path, texts: tuple[str, ...] = TEXTS) -> dict[str, int]:
    """Each picture has its text and nothing is skipped; returns what was passed over."""
    pairs, skipped, passed_over = items(path)
    assert [pair.captions for pair in pairs] == [(text,) for text in texts]
    assert [pair.load() for pair in pairs if pair.load] == [png(n) for n in range(len(texts))]
    assert not skipped
    return passed_over


def rows(form: str, *, start: str = "") -> str:
    return start + "".join(form.format(n=n, t=text) + "\n" for n, text in enumerate(TEXTS))


TABLES: dict[str, tuple[str, str | bytes]] = {
    "tokens": ("captions.txt", rows("{n}.png#0\t{t}")),
    "tokens with their ending": ("flickr.token", rows("{n}.png#3\t{t}")),
    "pipes": ("results.csv", rows("{n}.png| 0| {t}", start="image_name| number| comment\n")),
    "upper case": ("captions.csv", rows('{n}.png,"{t}"', start="Image,Caption\n")),
    "rare names": ("a.tsv", rows("{n}.png\t{t}", start="Img Path\tDescription\n")),
    "semicolons": ("a.csv", rows("{n}.png;{t}", start="sep=;\nfile_name;text\n")),
    "a byte order mark": ("a.csv", "\ufeff" + rows('{n}.png,"{t}"', start="image,caption\r\n")),
    "UTF-16": ("a.csv", rows('{n}.png,"{t}"', start="image,caption\n").encode("utf-16")),
    "no header, tab": ("a.tsv", rows("{n}.png\t{t}")),
    "no header, comma": ("a.csv", rows("{n}.png,{t}")),
    "no header, number": ("a.tsv", rows("{n}.png\t{n}\t{t}")),
    "a foreign column": ("a.csv", rows('{n},{n}.png,"{t}"', start="id,which,text\n")),
    "ids": ("a.csv", rows('{n},"{t}"', start="image_id,caption\n")),
    "backslashes": ("a.csv", rows('.\\{n}.png,"{t}"', start="image,caption\n")),
    "jsonl, upper case": ("a.jsonl", rows('{{"Image": "{n}.png", "TEXT": "{t}"}}')),
    "jsonl, foreign key": ("a.jsonl", rows('{{"img": "{n}.png", "sentence": "{t}"}}')),
    "json lines in .json": ("a.json", rows('{{"image": "{n}.png", "caption": "{t}"}}')),
}  # fmt: skip


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("as_folder", [False, True])
def test_a_table_beside_its_pictures(tmp_path: Path, form: str, as_folder: bool) -> None:
    name, content = TABLES[form]
    table = pictures(tmp_path) / name
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert check(tmp_path if as_folder else table) == {}


def entries(form: Callable[[int, str], Any]) -> list[Any]:
    return [form(number, text) for number, text in enumerate(TEXTS)]


JSON: dict[str, Any] = {
    "BLIP": entries(lambda n, t: {"image": f"{n}.png", "caption": t, "image_id": f"c_{n}"}),
    "BLIP lists": entries(lambda n, t: {"image": f"{n}.png", "caption": [t, f" {t}"]}),
    "Karpathy": {
        "dataset": "x",
        "images": entries(lambda n, t: {"filename": f"{n}.png", "sentences": [{"raw": t}]}),
    },
    "Karpathy of COCO": {
        "images": entries(
            lambda n, t: {"filepath": "v", "filename": f"{n}.png", "sentences": [{"raw": t}]}
        )
    },
    "COCO, ids of both kinds": {
        "images": entries(lambda n, _: {"id": n + 7, "file_name": f"{n}.png"}),
        "annotations": entries(lambda n, t: {"image_id": str(n + 7), "caption": t}),
    },
    "COCO, lists": {
        "images": entries(lambda n, _: {"id": f"p{n}", "coco_url": f"http://a.org/v/{n}.png"}),
        "annotations": entries(lambda n, t: {"image_id": f"p{n}", "caption": [t]}),
    },
    "under a key": {"annotations": entries(lambda n, t: {"image": f"{n}.png", "caption": t})},
    "a map": {f"{n}.png": [text] for n, text in enumerate(TEXTS)},
}


@pytest.mark.parametrize("form", JSON)
def test_a_json_beside_its_pictures(tmp_path: Path, form: str) -> None:
    (pictures(tmp_path) / "dataset.json").write_text(json.dumps(JSON[form]))
    assert check(tmp_path / "dataset.json") == {}
    assert check(tmp_path) == {}


@pytest.mark.parametrize("place", ["Images/{}.png", "../elsewhere/{}.png"])
def test_pictures_in_a_folder_beside_the_table(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    pictures(folder, place)
    (folder / "captions.txt").write_text(rows('{n}.png,"{t}"', start="image,caption\n"))
    check(folder)


def test_an_unclosed_quote_in_a_tsv_is_a_plain_character(tmp_path: Path) -> None:
    texts = ["a kite", '"welcome" is painted', '"no entry, says a sign', 'a 12" ruler', '"x"', "b"]
    lines = "".join(f"{text}\thttp://a.org/{n}.jpg\n" for n, text in enumerate(texts))
    (tmp_path / "a.tsv").write_text("caption\turl\n" + lines)
    pairs, skipped, _ = items(tmp_path / "a.tsv")
    assert [pair.captions[0] for pair in pairs] == texts
    assert not skipped


def test_a_plainly_quoted_tsv_is_unquoted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('caption\turl\n"a ""b"" c"\tx\n"two\nlines"\ty\n"t\tab"\tz\n')
    pairs, skipped, _ = items(tmp_path / "a.tsv")
    assert [pair.captions[0] for pair in pairs] == ['a "b" c', "two\nlines", "t\tab"]
    assert not skipped


def test_commas_in_captions_that_nobody_quoted(tmp_path: Path) -> None:
    """In a table of a picture and a caption, whatever follows the first comma is the caption."""
    folder = pictures(tmp_path)
    texts = ["a dog , running", 'a 12" ruler, on a desk']
    lines = [f"{number}.png,{text}" for number, text in enumerate(texts)]
    (folder / "captions.txt").write_text("image,caption\n" + "\n".join(lines) + '\n2.png,"a, b"\n')
    found, skipped, _ = items(folder)
    assert [pair.captions for pair in found] == [(texts[0],), (texts[1],), ("a, b",)]
    assert skipped == []
    more = "image,comment,caption\n0.png,x,a dog, running\n1.png,x,a\n2.png,x,b\n"
    (folder / "captions.txt").write_text(more)
    found, skipped, _ = items(folder)
    assert [pair.captions for pair in found] == [("a",), ("b",)]
    assert "has 4 fields, the header 3" in skipped[0].reason


def test_a_runaway_quote_in_a_csv_costs_its_own_line(tmp_path: Path) -> None:
    texts = [f"a photo number {n}" for n in range(300)]
    texts[10], texts[290] = f'"{texts[10]}', f'"{texts[290]}'
    texts[100] = '"two\nlines"'
    lines = "".join(f"x{n},{text}\n" for n, text in enumerate(texts))
    (tmp_path / "a.csv").write_text("url,caption\n" + lines)
    pairs, skipped, _ = items(tmp_path / "a.csv")
    assert len(pairs) == 298
    assert ("two\nlines",) in [pair.captions for pair in pairs]
    assert [row.source for row in skipped] == ["a.csv line 12", "a.csv line 293"]
    assert all("quote mark that nothing closes" in row.reason for row in skipped)


@pytest.mark.parametrize(("first", "second"), [("{t}", "{u}"), ("{u}", "{t}")])
def test_captions_with_addresses_and_no_header(tmp_path: Path, first: str, second: str) -> None:
    form = f"{first}\t{second}\n"
    lines = [form.format(t=text, u=f"http://a.org/{n}.jpg") for n, text in enumerate(TEXTS)]
    (tmp_path / "Train_GCC.tsv").write_text("".join(lines))
    (source,) = find_sources(tmp_path / "Train_GCC.tsv")
    assert "text alone" in source.note
    pairs, skipped, _ = items(tmp_path / "Train_GCC.tsv")
    assert [pair.captions for pair in pairs] == [(text,) for text in TEXTS]
    assert not skipped


def test_plain_texts_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text, of a caption\na dog, a cat\n")
    pairs, _, _ = items(tmp_path / "a.txt")
    assert [pair.captions[0] for pair in pairs] == ["text, of a caption", "a dog, a cat"]


@pytest.mark.parametrize("ending", ["txt", "caption"])
def test_texts_beside_pictures(tmp_path: Path, ending: str) -> None:
    for number, text in enumerate(TEXTS):
        (pictures(tmp_path) / f"{number}.{ending}").write_text(f"\ufeff{text}\r\n")
    assert check(tmp_path) == {}


def test_texts_of_boxes_are_no_captions(tmp_path: Path) -> None:
    (pictures(tmp_path) / "0.txt").write_text("0 0.5 0.5 0.25 0.1\n")
    (tmp_path / "1.txt").write_text("two men")
    pairs, skipped, _ = items(tmp_path)
    assert [pair.captions for pair in pairs] == [("two men",), ()]
    assert "0.txt is not readable as text with captions" in skipped[0].reason


def test_the_files_layout_of_img2dataset_is_read_once(tmp_path: Path) -> None:
    pictures(tmp_path, "00000/{}.png")
    for number, text in enumerate(TEXTS):
        (tmp_path / "00000" / f"{number}.txt").write_text(text)
        (tmp_path / "00000" / f"{number}.json").write_text(json.dumps({"caption": text}))
    table = pa.table({"key": ["0", "1", "2"], "caption": list(TEXTS), "url": ["x"] * 3})
    pq.write_table(table, tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text("{}")
    assert check(tmp_path) == {".parquet": 1, ".json": 1}


def hf(column: str, values: Any, **more: Any) -> dict[str, Any]:
    files = [{"bytes": png(number), "path": None} for number in range(len(TEXTS))]
    return {"image": files, column: values, **more}


def parquet_tables() -> dict[str, dict[str, Any]]:
    data = [png(number) for number in range(len(TEXTS))]
    files = [{"bytes": item, "path": None} for item in data]
    lists = [[text] for text in TEXTS]
    names = [f"{number}.png" for number in range(len(TEXTS))]
    return {
        "numbered": hf("caption_0", list(TEXTS), caption_1=list(TEXTS)),
        "dictionary": hf("caption", pa.array(TEXTS).dictionary_encode()),
        "bytes": hf("text", pa.array([text.encode() for text in TEXTS])),
        "structs": hf("sentences", [[{"raw": text, "sentid": 1}] for text in TEXTS]),
        "one struct": hf("sentences", [{"raw": text, "tokens": ["a"]} for text in TEXTS]),
        "views": hf("Caption", pa.array(TEXTS).cast(pa.string_view())),
        "lists of views": hf("caption", pa.array(lists, pa.list_(pa.string_view()))),
        "large list": hf("captions", pa.array(lists, pa.large_list(pa.string()))),
        "english": hf("text_en", list(TEXTS)),
        "binary view": {"jpg": pa.array(data).cast(pa.binary_view()), "TEXT": list(TEXTS)},
        "upper case": {"IMAGE": data, "TEXT": list(TEXTS)},
        "lists of pictures": {"images": [[item] for item in files], "caption": list(TEXTS)},
        "a foreign column": {"photo_raw": data, "md5": [b"x" * 16] * 3, "caption": list(TEXTS)},
        "members of a webdataset": {"jpg": data, "txt": list(TEXTS), "__key__": names},
        "img": {"img": files, "caption": list(TEXTS)},
        "paths": {"image_path": pa.array(names).dictionary_encode(), "caption": list(TEXTS)},
        "foreign paths": {"where": names, "caption": list(TEXTS)},
    }  # fmt: skip


@pytest.mark.parametrize("form", parquet_tables())
def test_columns_of_parquet(tmp_path: Path, form: str) -> None:
    if "paths" in form:
        pictures(tmp_path)
    pq.write_table(pa.table(parquet_tables()[form]), tmp_path / "t.parquet")
    check(tmp_path / "t.parquet")


def test_parquet_that_cannot_be_told(tmp_path: Path) -> None:
    data = [png(0)]
    pq.write_table(pa.table({"a": data, "b": data, "caption": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(CaptionError, match="columns a, b all hold pictures; rename"):
        find_sources(tmp_path / "t.parquet")
    files = [[{"bytes": png(0), "path": None}] * 2]
    pq.write_table(pa.table({"images": files, "caption": ["x"]}), tmp_path / "u.parquet")
    _, skipped, _ = items(tmp_path / "u.parquet")
    assert skipped[0].reason == "2 pictures in one row; give each a row of its own"


def test_a_snapshot_of_a_hub_dataset(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--org--name"
    snapshot = repository / "snapshots" / "abc"
    (snapshot / "data").mkdir(parents=True)
    (repository / "blobs").mkdir()
    pq.write_table(pa.table(hf("caption", list(TEXTS))), repository / "blobs" / "f00")
    os.symlink("../../../blobs/f00", snapshot / "data" / "train-00000-of-00001.parquet")
    (snapshot / "README.md").write_text("# a set")
    assert check(snapshot) == {".md": 1}


def test_tables_in_folders_of_splits(tmp_path: Path) -> None:
    pictures(tmp_path / "train")
    (tmp_path / "train" / "metadata.csv").write_text(
        rows('{n}.png,"{t}"', start="file_name,text\n")
    )
    check(tmp_path)


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            add_member(archive, name, data)
    return path


def test_members_of_a_tar_with_dots_in_their_keys(tmp_path: Path) -> None:
    members = {}
    for number, text in enumerate(TEXTS):
        members[f"2021.05.{number}-a.png"] = png(number)
        members[f"2021.05.{number}-a.txt"] = text.encode()
    assert check(tar(tmp_path / "a.tar", members)) == {}


def test_further_fields_of_a_sample_are_passed_over(tmp_path: Path) -> None:
    members = {}
    for number, text in enumerate(TEXTS):
        members |= {f"{number}.png": png(number), f"{number}.seg.png": png(9)}
        members |= {f"{number}.txt": text.encode(), f"{number}.cls": b"1"}
    assert check(tar(tmp_path / "a.tar", members)) == {".png": 3, ".cls": 3}


@pytest.mark.parametrize("folders", [("", ""), ("images/", "captions/")])
def test_members_apart_from_their_pair(tmp_path: Path, folders: tuple[str, str]) -> None:
    members = {f"{folders[0]}{number}.png": png(number) for number in range(len(TEXTS))}
    members |= {f"{folders[1]}{n}.txt": text.encode() for n, text in enumerate(TEXTS)}
    assert check(tar(tmp_path / "a.tar", members)) == {}


def test_pictures_never_become_text_alone_unasked(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "laion")
    pq.write_table(
        pa.table({"URL": ["http://a.org"] * 3, "TEXT": list(TEXTS)}), folder / "p.parquet"
    )
    members = {"a.png": png(0), "b.txt": b"a text"}
    archive = tar(tmp_path / "t.tar", members)
    raw = tar(tmp_path / "r.tar", {"a.nef": b"II*\0", "a.txt": b"a text"})
    plain = pictures(tmp_path / "plain")
    (plain / "captions.txt").write_text("a dog\na cat\n")
    for path, count in ((folder, 3), (archive, 1), (raw, 1), (plain, 3)):
        with pytest.raises(CaptionError, match=rf"holds {count} pictures.*--text-only"):
            find_sources(path)
    assert [pair.captions for pair in items(folder, text_only=True)[0]] == [(t,) for t in TEXTS]
    pairs, _, passed_over = items(plain, text_only=True)
    assert [pair.load for pair in pairs] == [None, None]
    assert passed_over == {"pictures that no caption names": 3}


def test_a_store_counts_every_row_and_file(tmp_path: Path) -> None:
    folder = write_jsonl_folder(tmp_path / "photos", 3)
    (folder / "images" / "extra.png").write_bytes(png(9))
    (folder / "notes.md").write_text("x")
    (folder / ".DS_Store").write_text("x")
    with (folder / "captions.jsonl").open("a") as file:
        file.write('{"image": "images/gone.png", "caption": "a"}\n{\n')
    report = CaptionStore.begin(tmp_path / "store", FakeEncoder()).fill(folder)
    count = report.source_count
    assert (count.seen, count.taken, count.skipped) == (8, 3, 2)
    assert count.passed_over == {".md": 1, "hidden file": 1, "pictures that no caption names": 1}
    assert report.as_json()["source_count"] == count.as_json()


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json", "t.parquet", "t.tar", "t.txt"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS pointer"),
        ("<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "saved web page"),
    ],
)
def test_what_was_not_downloaded_is_named(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CaptionError, match=said):
        items(tmp_path / name)

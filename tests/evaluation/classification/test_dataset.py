"""Labelled pictures in every form: content, order and refusals."""

import json
import tracemalloc
from pathlib import Path

import pytest

import labelled_makers as make
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import decode_picture
from lagotto.evaluation.classification.dataset import LabelledSet, open_labelled
from lagotto.zeroshot.prompts.labels import make_labels, read_labels


def names(data: LabelledSet) -> list[str]:
    return [label.name for label in data.labels]


def read(data: LabelledSet) -> list[tuple[str, str]]:
    """(source, label) of all pictures; each must decode."""
    found = []
    for each in data.pictures():
        decode_picture(each.read())
        found.append((each.source, data.labels[each.truth].name))
    return found


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    folder = make.write_folder(tmp_path / "shapes")
    (folder / ".hidden").mkdir()
    (folder / "red" / "notes.txt").write_text("no picture")
    (folder / "empty").mkdir()
    data = open_labelled([folder])
    assert (data.name, len(data)) == ("shapes", 6)
    assert names(data) == ["blue", "empty", "green", "red"]
    assert data.counts == (2, 0, 2, 2)
    assert read(data) == [
        ("blue/00.png", "blue"),
        ("blue/01.png", "blue"),
        ("green/00.png", "green"),
        ("green/01.png", "green"),
        ("red/inside/00.png", "red"),
        ("red/inside/01.png", "red"),
    ]
    assert read(data) == read(open_labelled([folder]))


def test_a_jsonl_and_the_folder_it_lies_in_are_the_same(tmp_path: Path) -> None:
    file = make.write_jsonl(tmp_path / "photos")
    data = open_labelled([file])
    assert (data.name, len(data)) == ("photos", 6)
    assert names(data) == ["blue", "green", "red"]
    assert read(data)[:2] == [("images/0-red.png", "red"), ("images/0-green.png", "green")]
    assert read(open_labelled([file.parent])) == read(data)


def test_a_clip_benchmark_folder_and_its_shards_are_the_same(tmp_path: Path) -> None:
    folder = make.write_clip_benchmark(tmp_path / "wds_colours")
    data = open_labelled([folder])
    assert (data.name, len(data)) == ("wds_colours", 6)
    assert names(data) == list(make.COLOURS)
    assert read(data)[0] == ("0.tar/s0000000", "red")
    assert read(data)[-1] == ("2.tar/s0000005", "blue")
    shards = [folder / "test" / f"{number}.tar" for number in range(3)]
    assert read(open_labelled(shards)) == read(data)
    assert open_labelled(shards).name == "0+1+2"


def test_shards_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    picture = make.file_bytes("red", 0)
    for number in (10, 9, 100):
        make.write_shard(tmp_path / f"{number}.tar", [(f"k{number}", picture, str(number % 2))])
    (tmp_path / "classes.txt").write_text("red\nblue\n")
    assert [source for source, _ in read(open_labelled([tmp_path]))] == [
        "9.tar/k9",
        "10.tar/k10",
        "100.tar/k100",
    ]


def test_a_tar_may_name_its_classes(tmp_path: Path) -> None:
    data = [("a", make.file_bytes("red", 0), "red\n"), ("b", make.file_bytes("blue", 0), "blue")]
    tar = make.write_shard(tmp_path / "named.tar", data)
    assert names(open_labelled([tar])) == ["blue", "red"]
    chosen = make_labels(["red", "blue", "green"])
    assert [each.truth for each in open_labelled([tar], chosen).pictures()] == [0, 1]


def test_several_paths_are_one_data_set(tmp_path: Path) -> None:
    first = make.write_folder(tmp_path / "first", ("red", "green"))
    second = make.write_jsonl(tmp_path / "second")
    data = open_labelled([first, second])
    assert (data.name, len(data), names(data)) == ("first+second", 10, ["blue", "green", "red"])


def test_labels_are_compared_as_words(tmp_path: Path) -> None:
    folder = tmp_path / "dogs"
    for name in ("Golden_Retriever", "poodle"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(make.file_bytes("red", 0))
    assert [label.words for label in open_labelled([folder]).labels] == [
        "Golden Retriever",
        "poodle",
    ]
    chosen = make_labels(["poodle", "cat", "golden retriever"])
    data = open_labelled([folder], chosen)
    assert [each.truth for each in data.pictures()] == [2, 0]
    assert data.counts == (1, 0, 1)


def test_what_cannot_be_read_is_there_and_says_why(tmp_path: Path) -> None:
    file = make.write_jsonl(tmp_path / "photos")
    (file.parent / "images" / "0-red.png").unlink()
    jsonl = next(open_labelled([file]).pictures())
    with pytest.raises(PictureError, match="no such file"):
        jsonl.read()
    tar = make.write_shard(tmp_path / "t.tar", [("a", None, "x"), ("b", b"", "y")])
    first, second = open_labelled([tar]).pictures()
    with pytest.raises(PictureError, match="no picture beside"):
        first.read()
    with pytest.raises(PictureError, match="empty"):
        decode_picture(second.read())


def test_a_label_that_is_not_among_them_is_named(tmp_path: Path) -> None:
    file = make.write_jsonl(tmp_path / "photos")
    with pytest.raises(UsageError, match=r"images/0-green.png has label 'green'.*mean 'greens'"):
        open_labelled([file], make_labels(["red", "blue", "greens"]))
    tar = make.write_shard(tmp_path / "t.tar", [("a", make.file_bytes("red", 0), "7")])
    with pytest.raises(UsageError, match=r"t.tar/a has class number 7, and there are 2 labels"):
        open_labelled([tar], make_labels(["red", "blue"]))
    with pytest.raises(UsageError, match=r"class number 7 and no list of classes.*--labels FILE"):
        open_labelled([tar])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "line 2 is not JSON"),
        ("[1]", "line 2 is not an object"),
        ('{"label": "red"}', "line 2 names no picture"),
        ('{"image": "a.png"}', 'line 2 has no "label"'),
        ('{"image": "a.png", "label": true}', 'line 2 has no "label"'),
        ('{"image": "a.png", "label": " "}', 'line 2 has no "label"'),
    ],
)
def test_a_line_of_another_form_is_refused(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"image": "a.png", "label": "red"}) + f"\n{line}\n")
    with pytest.raises(UsageError, match=said):
        open_labelled([file])


def test_a_tar_of_another_form_is_refused(tmp_path: Path) -> None:
    picture = make.file_bytes("red", 0)
    unlabelled = make.write_shard(tmp_path / "u.tar", [("a", picture, "x"), ("b", picture, None)])
    with pytest.raises(UsageError, match=r"u.tar/b has no .cls"):
        open_labelled([unlabelled])
    empty = make.write_shard(tmp_path / "e.tar", [("a", picture, " ")])
    with pytest.raises(UsageError, match=r"e.tar/a.cls holds no class"):
        open_labelled([empty])
    whole = make.write_shard(tmp_path / "w.tar", [("a", picture, "x"), ("b", picture, "y")])
    cut = tmp_path / "cut.tar"
    for size in (700, 1024 + 200, len(whole.read_bytes()) // 2):
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(UsageError, match=r"cannot read .*cut.tar as tar"):
            open_labelled([cut])


def test_two_lists_of_classes_are_refused(tmp_path: Path) -> None:
    first = make.write_clip_benchmark(tmp_path / "first")
    second = make.write_clip_benchmark(tmp_path / "second")
    (second / "classnames.txt").write_text("blue\ngreen\nred\n")
    with pytest.raises(UsageError, match="different lists of classes"):
        open_labelled([first, second])


def test_a_list_keeps_its_order_where_other_parts_have_none(tmp_path: Path) -> None:
    tars = make.write_clip_benchmark(tmp_path / "tars")
    file = make.write_jsonl(tmp_path / "photos")
    data = open_labelled([file, tars])
    assert names(data) == list(make.COLOURS)
    assert {label for source, label in read(data) if "s0000000" in source} == {"red"}


def test_paths_without_labelled_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.jsonl").write_text("\n")
    (tmp_path / "two" / "red").mkdir(parents=True)
    (tmp_path / "two" / "blue").mkdir()
    for name, said in (
        ("none", "no such file or folder"),
        ("empty", "no class sub-folders"),
        ("a.csv", "of a kind that is not read"),
        ("b.jsonl", "no labelled pictures"),
        ("two", "no labelled pictures"),
    ):
        with pytest.raises(UsageError, match=said):
            open_labelled([tmp_path / name])
    with pytest.raises(UsageError, match="no labelled pictures given"):
        open_labelled([])


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    picture = make.file_bytes("red", 0) + bytes(50_000)
    shards = [[(f"{i:05d}", picture, str(i % 2)) for i in range(size)] for size in (40, 400)]
    peaks = []
    for samples in shards:
        tar = make.write_shard(tmp_path / f"{len(samples)}.tar", samples)
        tracemalloc.start()
        data = open_labelled([tar], make_labels(["red", "blue"]))
        assert sum(len(each.read()) > 0 for each in data.pictures()) == len(samples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000


def numbered_shard(folder: Path, *numbers: int) -> Path:
    picture = make.file_bytes("red", 0)
    rows = [(f"k{i}", picture, str(number)) for i, number in enumerate(numbers)]
    return make.write_shard(folder / "t.tar", rows)


def test_class_numbers_are_those_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "from1.txt").write_text("1: ant\n2: bee\n3: cat\n")
    (tmp_path / "gaps.txt").write_text("0: ant\n5: bee\n7: cat\n")
    from1, gaps = read_labels(tmp_path / "from1.txt"), read_labels(tmp_path / "gaps.txt")
    tar = numbered_shard(tmp_path, 1, 3)
    assert [name for _, name in read(open_labelled([tar], from1))] == ["ant", "cat"]
    tar = numbered_shard(tmp_path, 0, 2)
    assert [name for _, name in read(open_labelled([tar], from1))] == ["ant", "cat"]
    tar = numbered_shard(tmp_path, 5, 7)
    assert [name for _, name in read(open_labelled([tar], gaps))] == ["bee", "cat"]
    tar = numbered_shard(tmp_path, 1)
    with pytest.raises(UsageError, match="class number 1"):
        open_labelled([tar], gaps)


def test_a_list_of_classes_beside_a_tar_may_be_numbered(tmp_path: Path) -> None:
    tar = numbered_shard(tmp_path, 0, 2)
    (tmp_path / "classes.txt").write_text("2 cat\n0 ant\n1 bee\n")
    assert [name for _, name in read(open_labelled([tar]))] == ["ant", "cat"]
    (tmp_path / "classes.txt").write_text("2 cat\n0 ant\n")
    with pytest.raises(UsageError, match="leaves out numbers"):
        open_labelled([tar])


def test_two_classes_of_one_name_stay_two(tmp_path: Path) -> None:
    """As in ImageNet: the number decides; a name means the first of them."""
    tar = numbered_shard(tmp_path, 0, 1, 2)
    (tmp_path / "classes.txt").write_text("missile\ncat\nMissile\n")
    data = open_labelled([tar])
    assert names(data) == ["missile", "cat", "Missile"]
    assert [each.truth for each in data.pictures()] == [0, 1, 2]
    folder = make.write_folder(tmp_path / "shapes", ("red", "green"))
    twice = make_labels(["green", "red", "red"])
    assert open_labelled([folder], twice).counts == (2, 2, 0)

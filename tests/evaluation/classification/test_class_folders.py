"""Class folders inside splits, wrappers and groups, and names that are ids or numbers."""

import json
import os
from pathlib import Path

import pytest

import labelled_makers as make
from lagotto.core.errors import PictureError, UsageError
from lagotto.core.images import decode_picture
from lagotto.evaluation.classification.dataset import LabelledSet, open_labelled
from lagotto.zeroshot.prompts.labels import make_labels, read_labels

PICTURE = make.file_bytes("red", 0)
CLASSES = ("cat", "dog")


def put(folder: Path, *names: str, data: bytes = PICTURE) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def grid(folder: Path, *forms: str, classes: tuple[str, ...] = CLASSES) -> Path:
    """Two pictures of each class in each of some places."""
    names = [form.format(c=name, n=number) for form in forms for name in classes for number in "12"]
    return put(folder, *names)


def shown(data: LabelledSet) -> tuple[list[str], tuple[int, ...], str]:
    """(labels, pictures of each, where the first picture lies)."""
    first = next(data.pictures()).source
    return [label.name for label in data.labels], data.counts, first


@pytest.mark.parametrize(
    ("forms", "flat", "first", "note"),
    [
        (["train/{c}/{n}.png", "test/{c}/{n}.png"], [], "test/cat/1.png", "test/ is taken"),
        (["train/{c}/{n}.png", "val/{c}/{n}.png"], [], "val/cat/1.png", "val/ is taken"),
        (["Train/{c}/{n}.png", "Validation/{c}/{n}.png"], [], "Validation/cat/1.png", "is taken"),
        (["train/{c}/{n}.png"], ["test/1.png", "test/2.png"], "train/cat/1.png", "train/ is"),
        (["train/{c}/images/{n}.png"], ["val/images/1.png"], "train/cat/images/1.png", "train/"),
        (["train/{c}/{n}.png", "val/{c}/{n}.png"], ["extra/1.png"], "val/cat/1.png", "left out"),
        (["data/images/{c}/{n}.png"], [], "data/images/cat/1.png", "those in images/"),
        (["set/test/{c}/{n}.png", "set/train/{c}/{n}.png"], [], "set/test/cat/1.png", "test/ is"),
        (["{c}/train/{n}.png", "{c}/test/{n}.png"], [], "cat/test/1.png", "each class has splits"),
        (["{c}/{n}.png"], [], "cat/1.png", None),
        (["{c}/inside/{n}.png"], [], "cat/inside/1.png", None),
    ],
)
def test_the_folders_around_classes_are_no_classes(
    tmp_path: Path, forms: list[str], flat: list[str], first: str, note: str | None
) -> None:
    data = open_labelled([put(grid(tmp_path, *forms), *flat)])
    assert shown(data) == (["cat", "dog"], (2, 2), first)
    assert (not data.notes) if note is None else (note in " ".join(data.notes))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(data) + sum(data.passed_over.values()) == len(files)


def test_train_is_a_class_beside_other_vehicles(tmp_path: Path) -> None:
    grid(tmp_path, "{c}/{n}.png", classes=("bus", "train/steam", "train/electric"))
    assert shown(open_labelled([tmp_path]))[:2] == (["bus", "train"], (2, 4))


def test_splits_without_class_folders_are_refused_unless_they_are_the_labels(
    tmp_path: Path,
) -> None:
    put(tmp_path, "train/1.png", "test/1.png")
    with pytest.raises(UsageError, match=r"test/, train/ are splits .* --labels test,train"):
        open_labelled([tmp_path])
    assert open_labelled([tmp_path], make_labels(["train", "test"])).counts == (1, 1)


@pytest.mark.parametrize("groups", [("animals", "things"), ("real", "sketch"), ("images", "masks")])
def test_two_levels_of_folders_are_told_by_the_labels(
    tmp_path: Path, groups: tuple[str, str]
) -> None:
    grid(tmp_path, *(f"{group}/{{c}}/{{n}}.png" for group in groups))
    with pytest.raises(UsageError, match=rf"two levels .*{groups[0]}/cat.*--labels"):
        open_labelled([tmp_path])
    assert open_labelled([tmp_path], make_labels(["dog", "cat"])).counts == (4, 4)
    assert open_labelled([tmp_path], make_labels(groups)).counts == (4, 4)


IDS = ("n02099601", "n02123045")
MAPS = {
    "LOC_synset_mapping.txt": "n02123045 tabby, tabby cat\nn02099601 golden retriever\n",
    "words.txt": "n00001740\tentity\nn02099601\tgolden retriever\nn02123045\ttabby, tabby cat\n",
    "map_clsloc.txt": "n02099601 208 golden retriever\nn02123045 282 tabby\n",
    "imagenet_class_index.json": json.dumps(
        {"0": ["n02099601", "golden retriever"], "1": ["n02123045", "tabby"]}
    ),
    "Labels.json": '{"n02099601": "golden retriever", "n02123045": "tabby, tabby cat"}',
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("place", ["", "../", "val/"])
def test_wordnet_ids_are_named_by_the_list_beside(tmp_path: Path, name: str, place: str) -> None:
    root = grid(tmp_path / "set", "val/{c}/{n}.png", classes=IDS)
    (root / place / name).write_text(MAPS[name])
    data = open_labelled([root])
    assert shown(data)[0] == ["golden retriever", "tabby"]
    assert f"{name} says what the WordNet ids mean" in " ".join(data.notes)
    chosen = open_labelled([root], make_labels(["tabby", "golden retriever"]))
    assert [picture.truth for picture in chosen.pictures()] == [1, 1, 0, 0]


def test_wordnet_ids_that_nothing_names(tmp_path: Path) -> None:
    root = grid(tmp_path / "set", "{c}/{n}.png", classes=IDS)
    with pytest.raises(UsageError, match=r"n02099601 are WordNet ids.*LOC_synset_mapping.txt"):
        open_labelled([root])
    with pytest.raises(UsageError, match="are WordNet ids"):
        open_labelled([root], make_labels(["a", "b", "c"]))
    data = open_labelled([root], make_labels(["golden retriever", "tabby"]))
    assert [picture.truth for picture in data.pictures()] == [0, 0, 1, 1]
    assert "n02099601 is 'golden retriever', n02123045 is 'tabby'" in data.notes[0]
    file = tmp_path / "labels.txt"
    file.write_text("n02123045 crane\nn02099601 crane\n")
    data = open_labelled([root], read_labels(file), file)
    assert [picture.truth for picture in data.pictures()] == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("classes", "name", "content", "labels"),
    [
        ("012", "classes.txt", "a\nb\nc\n", ["a", "b", "c"]),
        ("123", "classes.txt", "a\nb\nc\n", ["a", "b", "c"]),
        (("1", "2", "10"), "cat_to_name.json", {"1": "a", "2": "b", "10": "c"}, ["a", "b", "c"]),
        ("013", "labels.txt", "0 a\n1 b\n2 c\n3 d\n", ["a", "b", "d"]),
        ("012", "notes.txt", "a\nb\nc\n", ["0", "1", "2"]),
        ("012", "classes.txt", "a\nb\n", ["0", "1", "2"]),
        (("001.A_bird", "002.B_bird"), "x.txt", "", ["A_bird", "B_bird"]),
        (("n02085620-Chihuahua", "n02085782-Pug"), "x.txt", "", ["Chihuahua", "Pug"]),
    ],
)
def test_numbers_are_named_by_the_list_beside(
    tmp_path: Path, classes: tuple[str, ...], name: str, content: object, labels: list[str]
) -> None:
    root = grid(tmp_path, "{c}/{n}.png", classes=tuple(classes))
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
    data = open_labelled([root])
    assert shown(data)[0] == labels
    sources = [(picture.source, picture.truth) for picture in data.pictures()]
    for source, truth in sources:
        assert truth == list(classes).index(source.split("/")[0])


def test_numbers_are_those_of_the_labels(tmp_path: Path) -> None:
    root = grid(tmp_path, "{c}/{n}.png", classes=("0", "2"))
    data = open_labelled([root], make_labels(["a", "b", "c"]))
    assert data.counts == (2, 0, 2)
    assert "the folders are the numbers of the labels" in data.notes


def test_every_picture_counts_whatever_its_ending(tmp_path: Path) -> None:
    root = put(tmp_path, "cat/a.png", "cat/noending", "dog/b.jpg_large", "dog/c.png", "loose.png")
    put(root, "cat/d.heic", "dog/e.svg", "dog/f.cr2", "cat/gone.jpg", data=b"no picture")
    put(root, "README.md", "cat/.DS_Store", "dog/Thumbs.db", "dog/boxes.json", data=b"x")
    put(root, "annotations/1.xml", ".git/config", "__MACOSX/._a.png", data=b"x")
    os.symlink("/etc/hostname", root / "dog" / "link.png")
    data = open_labelled([root])
    assert (shown(data)[0], len(data)) == (["cat", "dog"], 9)
    unreadable = 0
    for picture in data.pictures():
        try:
            decode_picture(picture.read())
        except PictureError:
            unreadable += 1
    assert unreadable == 5
    assert data.passed_over == {
        ".md": 1, ".db": 1, ".json": 1, "hidden file": 1, "pictures in no class folder": 1,
        "in annotations/": 1, "in .git/": 1, "in __MACOSX/": 1,
    }  # fmt: skip


def test_a_table_of_labels_counts_what_it_does_not_name(tmp_path: Path) -> None:
    file = make.write_jsonl(tmp_path / "photos")
    put(file.parent, "images/more.png", "notes.txt")
    data = open_labelled([file.parent])
    assert (len(data), data.passed_over) == (6, {".txt": 1, "pictures without a label": 1})


def test_members_of_a_tar_are_counted(tmp_path: Path) -> None:
    tar = make.write_shard(tmp_path / "t.tar", [("a.1", PICTURE, "x"), ("b.1", PICTURE, "y")])
    data = open_labelled([tar])
    assert (shown(data)[0], data.counts, data.passed_over) == (["x", "y"], (1, 1), {".json": 2})

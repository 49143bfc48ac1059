"""Labels from a comma list, a text file or jsonl."""

from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.zeroshot.prompts.labels import (
    Label,
    check_labels,
    fold_labels,
    make_labels,
    read_labels,
)


def names_and_words(text: str) -> list[tuple[str, str]]:
    return [(label.name, label.words) for label in read_labels(text).labels]


def test_comma_list() -> None:
    assert names_and_words("cat, golden_retriever,,dog") == [
        ("cat", "cat"),
        ("golden_retriever", "golden retriever"),
        ("dog", "dog"),
    ]


def test_text_file_keeps_commas(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufefftench, Tinca tinca\n\n goldFish \n", encoding="utf-8")
    assert names_and_words(str(file)) == [("tench, Tinca tinca", "tench, Tinca tinca"),
                                ("goldFish", "gold Fish")]  # fmt: skip


def test_jsonl_with_descriptions(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"label": "cat", "descriptions": ["a purring pet", " "]}\n{"label": "dog"}\n')
    assert [label.descriptions for label in read_labels(str(file)).labels] == [
        ("a purring pet",),
        (),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no labels"]),
        (",,", ["no labels"]),
        ("_,cat", ["'_'", "no words"]),
        ("nothere.txt", ["nothere.txt", "no such file"]),
    ],
)
def test_refused(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_labels(text)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["[]", "{", '{"label": 3}', '{"label": "a", "descriptions": "b"}'])
def test_jsonl_names_the_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"label": "cat"}\n' + line + "\n")
    with pytest.raises(UsageError, match="line 2"):
        read_labels(str(file))


def test_a_long_comma_list_is_no_path() -> None:
    text = ",".join(f"label number {i}" for i in range(1000))
    assert len(read_labels(text).labels) == 1000


def test_make_labels_keeps_order() -> None:
    assert [label.name for label in make_labels(["b", "a"])] == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("list.json", '[\n  "violin",\n  "duck"\n]', None),
        ("map.json", '{\n "0": "violin",\n "1": "duck"\n}', (0, 1)),
        ("index.json", '{"0": ["n00", "violin"], "1": ["n01", "duck"]}', (0, 1)),
        ("label2id.json", '{"duck": 1, "violin": 0}', (0, 1)),
        ("classes.csv", "id,name\n0,violin\n1,duck\n", (0, 1)),
        ("numbered.txt", "2 duck\n1 violin\n", (1, 2)),
        ("gaps.txt", "0: violin\n7: duck\n", (0, 7)),
        ("synset.txt", "n01440760 violin\nn01440761 duck\n", None),
        ("data.yaml", "nc: 2\nnames:\n  0: violin\n  1: duck\n", (0, 1)),
        ("names.jsonl", '"violin"\n"duck"\n', None),
    ],
)
def test_every_form_of_file(
    tmp_path: Path, name: str, content: str, numbers: tuple[int, ...] | None
) -> None:
    (tmp_path / name).write_text(content)
    for source in (tmp_path / name, str(tmp_path / name)):
        found = read_labels(source)
        assert [label.name for label in found.labels] == ["violin", "duck"]
        assert found.numbers == numbers


def test_notes_of_a_file_say_that_they_are_about_the_labels(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("1 violin\n2 duck")
    assert read_labels(tmp_path / "l.txt").notes == ("labels: numbered from 1",)


def test_repeated_names_are_folded_with_a_note() -> None:
    labels = (
        Label("missile", "missile", ("a",)),
        Label("duck", "duck"),
        Label("Missile", "Missile", ("b",)),
    )
    found = fold_labels(labels)
    assert found.labels == (Label("missile", "missile", ("a", "b")), labels[1])
    assert found.notes == (
        "1 repeated label was folded into the first of that name: missile = Missile",
    )
    assert fold_labels(found.labels).notes == ()
    with pytest.raises(UsageError, match="the same once cleaned: give one of them"):
        fold_labels(labels[::2])


def test_labels_as_objects_are_taken_as_they_are() -> None:
    labels = (Label("crane", "crane"), Label("crane", "crane"))
    assert check_labels(labels) == labels
    with pytest.raises(UsageError, match="no words"):
        check_labels((Label("x", ""), *labels))

"""Labels from a comma list, a text file or jsonl."""

from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.zeroshot.prompts.labels import (
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
        ("cat", ["one label", "'cat'"]),
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

"""Names as callers write them: lists, comma lists, files; and paths that are none of these."""

from pathlib import Path

import pytest

from lagotto.core.arguments.names import TYPED, as_name_list, as_names
from lagotto.core.errors import UsageError


def test_a_comma_list_and_a_list_are_names_as_they_are() -> None:
    assert as_names("ant, bee,,cat ", "labels") == ("ant", "bee", "cat")
    assert as_names(["0: ant", "Salem, Oregon", "a/b.txt"], "labels") == (
        "0: ant",
        "Salem, Oregon",
        "a/b.txt",
    )
    assert as_names({"bee", "ant"}, "labels") == ("ant", "bee")
    assert as_name_list("ant,ant", "labels").form == TYPED


@pytest.mark.parametrize("text", ['["ant", "bee"]', "ant\nbee\n", "{0: 'ant', 1: 'bee'}"])
def test_a_list_in_one_string_is_read_as_a_file_would_be(text: str) -> None:
    assert as_names(text, "labels") == ("ant", "bee")


def test_a_file_of_any_form_by_path_or_by_string(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('{"1": "bee", "0": "ant", "2": "ant"}')
    assert as_names(file, "labels") == as_names(str(file), "labels") == ("ant", "bee")
    assert as_name_list(file, "labels").names == ("ant", "bee", "ant")


@pytest.mark.parametrize(
    "text",
    [
        *("labels.txt", "labels.JSON", "names.yaml", "labels.pkl", "photos/labels", "./labels"),
        *("~/labels", "C:\\data\\labels", "..\\labels", "model.onnx", "photo.jpg", "/labels"),
        *("https://example.org/labels.txt", "a.txt,b.txt", "./my,labels"),
    ],
)
def test_a_path_that_leads_nowhere_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match="no such file; give a list of names") as caught:
        as_names(text, "labels")
    assert repr(text) in str(caught.value)


def test_a_folder_and_a_foreign_file_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        as_names(str(tmp_path), "labels")
    (tmp_path / "labels.pkl").write_bytes(b"ant")
    with pytest.raises(UsageError, match=r"^labels '.*labels\.pkl' ends in '\.pkl'"):
        as_names(str(tmp_path / "labels.pkl"), "labels")


@pytest.mark.parametrize(
    "text", ["tv/monitor, chair", "St. Bernard", "node.js,C", "Dr. Pepper", "a.b", "cat"]
)
def test_names_that_look_a_little_like_paths(text: str) -> None:
    assert as_names(text, "labels") == tuple(part.strip() for part in text.split(","))


@pytest.mark.parametrize("given", [[], "", " , ", "\n"])
def test_nothing_is_no_list_of_names(given: list[str] | str) -> None:
    with pytest.raises(UsageError, match="labels") as caught:
        as_names(given, "labels")
    assert "\n" not in str(caught.value)

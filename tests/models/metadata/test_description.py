"""model.json, value by value."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import ModelError
from lagotto.core.text.clean import clean_text
from lagotto.models.metadata.description import (
    labels_for,
    parse_description,
)

WHOLE: dict[str, Any] = {
    "name": "n",
    "file": "m.onnx",
    "labels": ["a", "b"],
    "input": {
        "size": [192, 224],
        "layout": "NHWC",
        "channels": "BGR",
        "scale": "-1..1",
        "mean": [0.5, 0.5, 0.5],
        "std": 0.25,
        "resize": "shortest",
        "crop_fraction": 0.875,
        "dtype": "uint8",
    },
    "output": "sigmoid",
    "licence": "unknown keys are left alone",
}


def test_every_value_is_read() -> None:
    said = parse_description(WHOLE)
    assert (said.name, said.file, said.labels, said.output) == (
        "n",
        "m.onnx",
        ("a", "b"),
        "sigmoid",
    )
    values = said.input
    assert values.size == (192, 224)
    assert (values.layout, values.channels, values.scale) == ("NHWC", "BGR", "-1..1")
    assert (values.mean, values.std) == ((0.5, 0.5, 0.5), (0.25,))
    assert (values.resize, values.crop_fraction, values.dtype) == ("crop", 0.875, "uint8")


def test_nothing_said_and_null_are_the_same() -> None:
    nothing = parse_description({})
    assert parse_description({"input": {"size": None, "mean": None}, "labels": None}) == nothing
    assert parse_description({"input": {"size": 32}}).input.size == (32, 32)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"name": ""}, "name is ''; allowed: a text"),
        ({"name": 3}, "name is 3"),
        ({"labels": [1]}, "labels is"),
        ({"input": []}, r"input is \[\]; allowed: an object"),
        ({"input": {"size": [0, 4]}}, r"input.size is \[0, 4\]; allowed: \[height, width\]"),
        ({"input": {"size": [4, 4, 3]}}, "input.size"),
        ({"input": {"size": True}}, "input.size"),
        ({"input": {"size": 10**400}}, "input.size"),
        ({"input": {"layout": "CHW"}}, "input.layout is 'CHW'; allowed: NHWC, NCHW"),
        ({"input": {"channels": "rgb"}}, "allowed: RGB, BGR, L"),
        ({"input": {"scale": 255}}, "input.scale is 255"),
        ({"input": {"mean": [1, 2]}}, "1 or 3 finite numbers"),
        ({"input": {"mean": [float("nan")]}}, "1 or 3 finite numbers"),
        ({"input": {"std": [0, 1, 1]}}, "numbers above 0"),
        ({"input": {"resize": "pad"}}, "allowed: stretch, crop, shortest"),
        ({"input": {"crop_fraction": 2}}, "crop_fraction"),
        ({"input": {"dtype": "int16"}}, "float32, float16, uint8, int8"),
        ({"output_name": ["scores"]}, "output_name is .'scores'.; allowed: a text"),
        ({"output_name": " "}, "output_name"),
        ({"output": "probabilities"}, "allowed: logits, softmax, sigmoid"),
    ],
)
def test_a_wrong_value_is_named_with_the_allowed_ones(raw: Any, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as error:
        parse_description(raw)
    assert len(str(error.value)) < 250


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(WHOLE)), st.sampled_from(sorted(WHOLE["input"])), json_values)
def test_no_value_whatever_is_more_than_a_model_error(outer: str, inner: str, value: Any) -> None:
    for raw in ({outer: value}, {"input": {inner: value}}):
        try:
            parse_description(raw)
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_labels_come_from_a_file_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcat\r\n\r\n d\x1b[31mog\x07 \n\n")
    said = parse_description({"labels": "labels.txt"})
    labels, notes = labels_for(said, tmp_path / "m.onnx", 3)
    assert (labels, notes) == (("cat", "", "d[31mog"), ())


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        ("labels.txt", "2 cat\n0 ant\n1 bee\n", ("ant", "bee", "cat")),
        ("labels.txt", "1: ant\n2: bee\n3: cat\n", ("ant", "bee", "cat")),
        ("labels.txt", "1: bee\n2: cat\n", ("", "bee", "cat")),
        ("labels.txt", "0: ant\n2: cat\n", ("ant", "", "cat")),
        ("labels.json", '{"cat": 2, "ant": 0, "bee": 1}', ("ant", "bee", "cat")),
        ("labels.csv", "id,name\n1,bee\n0,ant\n2,cat\n", ("ant", "bee", "cat")),
        ("labels.dat", "ant\nbee\ncat\n", ("ant", "bee", "cat")),
    ],
)
def test_numbers_place_labels(
    tmp_path: Path, name: str, content: str, labels: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content)
    said = parse_description({"labels": name})
    assert labels_for(said, tmp_path / "m.onnx", 3)[0] == labels


def test_labels_in_model_json_may_be_a_map() -> None:
    said = parse_description({"labels": {"1": "bee", "0": "ant"}})
    labels, notes = labels_for(said, Path("m.onnx"), 2)
    assert labels == ("ant", "bee")
    assert notes == ("labels: placed by their numbers, not by the order in the file",)
    with pytest.raises(ModelError, match=r"model.json: labels .*number 0"):
        parse_description({"labels": {"ant": 0, "bee": 0}})


def test_a_labels_file_that_was_not_downloaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("version https://git-lfs.github.com/spec/v1\noid x\nsize 1\n")
    with pytest.raises(ModelError, match=r"labels file 'l.txt' is a Git LFS pointer"):
        labels_for(parse_description({"labels": "l.txt"}), tmp_path / "m.onnx", 3)


def test_labels_of_another_number_are_left_out_with_a_note(tmp_path: Path) -> None:
    said = parse_description({"labels": ["a", "b"]})
    assert labels_for(said, tmp_path / "m.onnx", 2) == (("a", "b"), ())
    labels, (note,) = labels_for(said, tmp_path / "m.onnx", 3)
    assert labels is None
    assert "2 labels for 3 outputs" in note


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "a/../../x", "", "gone.txt", "../m/in.txt"]
)
def test_labels_stay_inside_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "in.txt").write_text("a")
    with pytest.raises(ModelError, match=r"inside the model's folder|no such file"):
        labels_for(parse_description({"labels": name}), tmp_path / "m" / "m.onnx", 1)


def test_labels_are_beside_the_model_json_even_if_the_weights_lie_deeper(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a")
    said = parse_description({"labels": "labels.txt", "file": "onnx/m.onnx"})
    assert labels_for(said, tmp_path / "onnx" / "m.onnx", 1)[0] == ("a",)


@given(st.text())
def test_clean_text_can_be_stored_and_printed(text: str) -> None:
    clean = clean_text(text + "\ud800\u202e\x9b")
    clean.encode()
    assert not any(ord(character) < 32 or character in "\u202e\x9b" for character in clean)
    assert clean_text(clean) == clean

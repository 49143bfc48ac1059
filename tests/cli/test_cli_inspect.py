"""`lagotto inspect`: what model files are, without a hub."""

import json
from pathlib import Path

import pytest

import lagotto as package
from command_line import lagotto
from lagotto.demo import bundled
from model_makers import Form, write_model
from unread_makers import put

WORDS = ("--workers", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model, a broken one, one that is not read, and notes."""
    file = write_model(Form(), tmp_path / "made", described=False)
    place = put(tmp_path / "models", {"old.pkl": "fastai", "bad.onnx": "page", "notes.md": b"x"})
    file.rename(place / "best.onnx")
    (place / "best.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    return place


def test_every_file_of_a_folder_is_told(folder: Path) -> None:
    answer = lagotto("inspect", folder, *WORDS, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert list(answer.json) == ["models", "not_read", "files"]
    bad, best = answer.json["models"]
    assert "a saved web page" in bad["failure"]
    assert (best["model"], best["format"], best["kind"]) == ("best", "ONNX", "classifier")
    assert (best["architecture"], best["dtype"], best["outputs"]) == ("", "float32", 5)
    assert best["label_names"] == ["ant", "bee", "cat", "dog", "elk"]
    assert best["bytes"] == (folder / "best.onnx").stat().st_size
    origins = {part["field"]: part["origin"] for part in best["input"]}
    assert origins["scale"] == "assumed"
    (unread,) = answer.json["not_read"]
    assert list(unread) == ["file", "format", "reason", "recipe"]
    assert unread["format"] == "fastai learner"
    assert answer.json["files"]["seen"] == 5


def test_in_words(folder: Path) -> None:
    answer = lagotto("inspect", folder, *WORDS)
    assert answer.code == 0
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    for line in (
        "format ONNX, " + f"{(folder / 'best.onnx').stat().st_size:,} bytes",
        "architecture its own graph",
        "kind classifier",
        "labels 5: ant, bee, cat, ... (best.txt)",
        "scale 0..1 (assumed; tried at hub add)",
        "dtype float32 (file)",
        "1 file not read:",
        "5 files seen: 2 models, 1 that belong to them, 2 passed over (1 .md, 1 .pkl)",
    ):
        assert line in lines, answer.out
    assert any(line.startswith("failed bad.onnx is a saved web page") for line in lines)


def test_a_file_that_is_not_read_is_exit_code_1_and_no_model_is_2(folder: Path) -> None:
    answer = lagotto("inspect", folder / "old.pkl", *WORDS)
    assert answer.code == 1
    assert "old.pkl (fastai learner) is a pickle" in answer.out
    lagotto("inspect", folder / "notes.md", *WORDS).refused(2, "is not a model file")
    lagotto("inspect", folder / "none", *WORDS).refused(2, "no such model file or folder")
    lagotto("hub", "add", folder, folder / "old.pkl").refused(1, "hub")


def test_an_empty_folder_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    answer = lagotto("inspect", tmp_path, "--json")
    assert answer.code == 1
    assert answer.json["files"]["seen"] == 1


def test_in_python() -> None:
    report = package.inspect([bundled.MODELS / "ablation_c"], limits=package.Limits(workers=1))
    (found,) = report.models
    assert isinstance(report, package.InspectReport)
    assert (found.failure, found.kind, found.format) == ("", "classifier", "ONNX")
    assert not report.is_failure
    json.dumps(report.as_json())

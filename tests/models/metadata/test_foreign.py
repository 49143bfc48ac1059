"""A model.json → whether it is ours or another tool's, and what a scan does with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lagotto.core.errors import ModelError
from lagotto.models.metadata.foreign import is_foreign
from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import load_model
from model_makers import Form, write_model

GRAPH = {"format": "graph-model", "generatedBy": "2.3", "modelTopology": {}, "weightsManifest": []}


@pytest.mark.parametrize(
    "value",
    [
        GRAPH,
        {"format": "layers-model"},
        {"modelTopology": {"class_name": "Sequential"}, "labels": ["a"]},
        {"class_name": "Functional", "config": {}, "keras_version": "2.3", "backend": "tensorflow"},
        {"name": "net", "input": "image", "output": "scores", "version": 3},
        {"name": "net", "inputs": [{}], "output": ["scores"], "labels": {"0": "a"}},
        {"learner": {}, "version": [1, 7, 0]},
    ],
)
def test_files_of_other_tools(value: dict[str, Any]) -> None:
    assert is_foreign(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "birds"},
        {"labels": ["a"], "comment": "mine"},
        {"labels": "names.txt", "author": "me"},
        {"input": {"scale": "0..2"}, "comment": "a mistake"},
        {"output": "sofmax"},
        {"file": "missing.onnx", "version": 1},
        {"output_name": "scores", "version": 1},
        {"input": 5},
    ],
)
def test_our_files_with_and_without_a_mistake(value: dict[str, Any]) -> None:
    assert not is_foreign(value)


def test_a_foreign_file_is_left_alone_and_the_search_goes_on(tmp_path: Path) -> None:
    for file in ("a/model.onnx", "b/onnx/model.onnx", "c/deep/er/best.onnx"):
        made = write_model(Form(), tmp_path / "made", described=False)
        (tmp_path / file).parent.mkdir(parents=True)
        made.rename(tmp_path / file)
    for folder in ("a", "b", "c", "c/deep"):
        (tmp_path / folder / "model.json").write_text(json.dumps(GRAPH))
    scan = scan_paths([tmp_path])
    assert [source.name for source in scan.models] == ["a", "b", "c/deep/er/best"]
    assert scan.files.passed_over == {
        "model.json of another tool": 3,
        "another form of a model there": 1,  # that of a/model.onnx
    }
    assert all(source.description == {} for source in scan.models)
    for source in scan.models[:2]:
        assert (
            "model.json beside it is another tool's and was left alone"
            in load_model(source).spec.notes
        )
    assert [source.name for source in scan_models([tmp_path / "a/model.json"])] == ["a"]
    (alone,) = scan_models([tmp_path / "a/model.onnx"])
    assert alone.description == {}


def test_a_large_file_of_another_tool_is_told_by_its_head(tmp_path: Path) -> None:
    write_model(Form(), tmp_path, described=False)
    (tmp_path / "model.json").write_text(json.dumps(GRAPH | {"x": "x" * (2 << 20)}))
    assert load_model(scan_models([tmp_path])[0]).spec.outputs == 5
    (tmp_path / "model.json").write_text(json.dumps({"labels": ["x" * (2 << 20)]}))
    with pytest.raises(ModelError, match="larger than 1 MB"):
        load_model(scan_models([tmp_path])[0])

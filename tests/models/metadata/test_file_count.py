"""Folders → the names of their models, and a count in which no file is missing."""

import json
from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.models.metadata.file_count import FileCount
from lagotto.models.metadata.model_names import file_name
from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import load_model
from model_makers import Form, write_model


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a/onnx/model.onnx", "a"),
        ("a/onnx/model_quantized.onnx", "a-quantized"),
        ("a/onnx/best.onnx", "a/best"),
        ("onnx/model.onnx", "models"),
        ("onnx/model_fp16.onnx", "models-fp16"),
        ("a/tflite/model.tflite", "a"),
        ("a/b/best.onnx", "a/b/best"),
        ("best.onnx", "best"),
        ("models--org--bird/snapshots/01ab/model.onnx", "org/bird"),
        ("models--org--bird/snapshots/01ab/onnx/model.onnx", "org/bird"),
        ("models--org--bird/snapshots/01ab/onnx/model_q4.onnx", "org/bird-q4"),
        ("hub/models--bird/snapshots/01ab/best.onnx", "hub/bird/best"),
    ],
)
def test_names_leave_out_the_form_and_the_way_to_a_snapshot(file: str, name: str) -> None:
    root = Path("/models")
    assert file_name(root / file, root, is_lone=False) == name


def test_a_snapshot_is_named_after_its_repository_from_wherever_it_is_given(tmp_path: Path) -> None:
    commit = tmp_path / "models--org--bird/snapshots/01ab"
    blobs = tmp_path / "models--org--bird/blobs"
    touch(blobs, "aa", "bb")
    commit.mkdir(parents=True)
    (commit / "model.onnx").symlink_to("../../blobs/aa")
    (commit / "config.json").symlink_to("../../blobs/bb")
    for given in (tmp_path, commit.parent.parent, commit.parent, commit, commit / "model.onnx"):
        assert [source.name for source in scan_models([given])] == ["org/bird"], given
    assert scan_paths([commit]).files == FileCount(1, 1, {})


def test_external_data_of_a_snapshot_may_lie_in_its_blobs(tmp_path: Path) -> None:
    import onnx

    file = write_model(Form(), tmp_path, described=False)
    commit, blobs = tmp_path / "models--o--n/snapshots/c", tmp_path / "models--o--n/blobs"
    commit.mkdir(parents=True)
    blobs.mkdir()
    graph = onnx.load(file)
    onnx.save(
        graph,
        blobs / "aa",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    (blobs / "model.onnx_data").rename(blobs / "bb")
    (commit / "model.onnx").symlink_to("../../blobs/aa")
    (commit / "model.onnx_data").symlink_to("../../blobs/bb")
    scan = scan_paths([commit])
    assert scan.files == FileCount(1, 1, {})
    assert load_model(scan.models[0]).spec.outputs == 5


def test_every_file_is_a_model_a_fact_or_counted_by_kind(tmp_path: Path) -> None:
    root = tmp_path / "all"
    touch(root, "a/model.onnx", "a/labels.txt", "a/config.json", "a/README.md", "a/one.PNG")
    touch(root, "b/weights.mnn", "b/old.t7", "b/m.onnx.part", "b/.hidden", ".git/config", "b/noend")
    touch(root, "c/adapter_model.safetensors", "c/x.zip", "c/y.lite")
    touch(root, "d/m.onnx", "d/other.onnx", "d/sub/deep.onnx", "d/sub/notes.txt", "d/names.csv")
    (root / "d/model.json").write_text(json.dumps({"file": "m.onnx", "labels": "names.csv"}))
    touch(tmp_path, "outside.onnx")
    (root / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    (root / "away").symlink_to(tmp_path)
    files = scan_paths([root]).files
    assert (files.models, files.facts) == (2, 4)
    assert files.passed_over == {
        ".md": 1,
        ".png": 1,
        ".mnn": 1,
        ".t7": 1,
        "incomplete download": 1,
        "hidden file": 1,
        "hidden folder": 1,
        "without an ending": 1,
        ".safetensors": 1,
        ".zip": 1,
        ".lite": 1,
        "beside a model.json": 1,
        "below a folder with a model.json": 1,
        ".txt": 1,
        "link out of the folder": 2,
    }
    assert files.seen == 22
    assert str(files).startswith(
        "22 files seen: 2 models, 4 that belong to them, 16 passed over (2 "
    )
    hints = " ".join(files.hints)
    for words in ("1 .zip: unpack it", "call a TFLite model .tflite"):
        assert words in hints
    not_read = {Path(item.file).name: item.format for item in scan_paths([root]).not_read}
    assert not_read["weights.mnn"] == "MNN model"
    assert files.as_json()["seen"] == 22


def test_a_folder_without_models_says_what_it_has_instead(tmp_path: Path) -> None:
    touch(tmp_path, "best.mnn", "other.mnn", "data.yaml")
    with pytest.raises(UsageError, match=r"best\.mnn, other\.mnn \(MNN model\)") as said:
        scan_models([tmp_path])
    assert "3 files seen: 0 models, 3 passed over (2 .mnn, 1 .yaml)" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_model_behind_two_paths_counts_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/m.onnx", "b/x")
    (tmp_path / "b/m.onnx").symlink_to(tmp_path / "a/m.onnx")
    files = scan_paths([tmp_path, tmp_path / "a"]).files
    assert files.models == 1
    assert files.passed_over["another path to the same model"] == 2


def test_a_model_json_above_the_folder_of_the_graph_describes_it(tmp_path: Path) -> None:
    touch(tmp_path, "a/onnx/model.onnx", "a/onnx/model_quantized.onnx")
    (tmp_path / "a/model.json").write_text(json.dumps({"labels": ["x"], "name": "mine"}))
    found = scan_paths([tmp_path])
    (source,) = found.models
    assert (source.name, source.file.name) == ("mine", "model.onnx")
    assert found.files == FileCount(1, 1, {"below a folder with a model.json": 1})
    for text in ("{}", "{"):  # says nothing; cannot be read and fails as a model
        (tmp_path / "a/model.json").write_text(text)
        assert scan_paths([tmp_path]).files.seen == 3

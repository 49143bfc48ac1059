"""Which of the files of a folder are tried as models, once their endings are translated."""

import json
from pathlib import Path

import pytest

from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import TRANSLATORS, WEIGHT_FILES, behaviour_digest, load_model
from translated_makers import FAKE, PARTS, TRANSLATED
from unread_makers import put


@pytest.fixture(autouse=True)
def _translators(monkeypatch: pytest.MonkeyPatch) -> None:
    for ending in TRANSLATED:
        monkeypatch.setitem(TRANSLATORS, ending, FAKE)
    monkeypatch.setitem(WEIGHT_FILES, ".json", PARTS)


def names(folder: Path) -> list[str]:
    return [source.name for source in scan_models([folder])]


def test_checkpoints_are_named_by_the_rules_of_all_models(tmp_path: Path) -> None:
    files = {"final.pth": "torch", "a/best.PT": "torch legacy", "b/model.ckpt": "torch"}
    put(tmp_path, {**files, "c/keras_model.h5": "hdf5", "model_best.pth.tar": "torch"})
    assert names(tmp_path) == ["a/best", "b", "c/keras_model", "final", "model_best"]
    model = load_model(scan_models([tmp_path / "model_best.pth.tar"])[0])
    assert (model.spec.framework, model.spec.outputs) == ("torch", 4)


def test_what_is_surely_no_model_is_counted_with_the_reason(tmp_path: Path) -> None:
    states = dict.fromkeys(("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth"), "torch")
    put(tmp_path, {**states, "training_args.bin": "torch", "best.pt": "torch", "last.pt": "torch"})
    found = scan_paths([tmp_path])
    assert [source.name for source in found.models] == ["best", "last"]
    assert found.files.passed_over == {"state or log of a training": 5}
    assert found.not_read == ()


@pytest.mark.parametrize(
    ("files", "models"),
    [
        ({"best.onnx": "onnx", "best.pt": "torch"}, ["best.onnx"]),
        ({"best_float16.tflite": "tflite", "best.keras": "keras"}, ["best_float16.tflite"]),
        ({"model.keras": "keras", "model.h5": "hdf5"}, ["model.keras"]),
        ({"m.safetensors": "safetensors", "m.pth": "torch"}, ["m.safetensors"]),
        ({"model.h5": "hdf5", "model.json": "tfjs layers"}, ["model.h5"]),
        ({"model.safetensors": "safetensors", "pytorch_model.bin": "torch"}, ["model.safetensors"]),
        ({"onnx/model.onnx": "onnx", "pytorch_model.bin": "torch"}, ["model.onnx"]),
        ({"onnx/best.onnx": "onnx", "model.json": "tfjs layers"}, ["best.onnx"]),
        ({"best.onnx": "onnx", "tfjs/model.json": "tfjs layers"}, ["best.onnx"]),
        ({"best.onnx": "onnx", "cats/model.json": "tfjs layers"}, ["best.onnx", "model.json"]),
        (
            {"a.onnx": "onnx", "b.onnx": "onnx", "tfjs/model.json": "tfjs layers"},
            ["a.onnx", "b.onnx", "model.json"],
        ),
        ({"best.onnx": "onnx", "last.pt": "torch"}, ["best.onnx", "last.pt"]),
        ({"best.pt": "torch", "best.pth": "torch"}, ["best.pt", "best.pth"]),
        ({"x/best.onnx": "onnx", "y/best.pt": "torch"}, ["best.onnx", "best.pt"]),
        ({"best.h5": "page", "best.pth": "torch"}, ["best.h5"]),
    ],
)
def test_one_model_in_several_forms_is_one_model(
    files: dict[str, str], models: list[str], tmp_path: Path
) -> None:
    put(tmp_path, files)
    found = scan_paths([tmp_path])
    assert sorted(source.file.name for source in found.models) == models
    lost = len(files) - len(models)
    assert found.files.passed_over == ({"another form of a model there": lost} if lost else {})
    assert found.not_read == ()


def test_a_file_that_is_given_is_read_whatever_lies_beside_it(tmp_path: Path) -> None:
    put(tmp_path, {"best.onnx": "onnx", "best.pt": "torch"})
    assert [source.file.name for source in scan_models([tmp_path / "best.pt"])] == ["best.pt"]


def test_the_content_decides_where_the_ending_says_little(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "a/pytorch_model.bin": "torch legacy",
            "b/m.xml": "openvino",
            "b/m.bin": "random",
            "c/m.ncnn.param": "ncnn",
            "c/m.ncnn.bin": "random",
            "d/web/model.json": "tfjs layers",
            "d/web/group1-shard1of1.bin": "random",
            "e/model.json": "tfjs graph",
            "e/group1-shard1of1.bin": "random",
            "f/model.pt": "onnx",
            "g/model.pth": "torch export",
            "h/model-00001-of-00002.safetensors": "safetensors",
            "h/model-00002-of-00002.safetensors": "safetensors",
            "i/optim.json": b"{}",
        },
    )
    found = scan_paths([tmp_path])
    assert [source.name for source in found.models] == ["a/pytorch_model", "d/web"]
    formats = {
        Path(item.file).relative_to(tmp_path).as_posix(): item.format for item in found.not_read
    }
    assert formats == {
        "b/m.xml": "OpenVINO model",
        "c/m.ncnn.param": "NCNN model",
        "e/group1-shard1of1.bin": "binary file",
        "e/model.json": "TensorFlow.js graph model",
        "f/model.pt": "ONNX",
        "g/model.pth": "torch.export program",
        "h/model-00001-of-00002.safetensors": "checkpoint in several files",
    }
    assert found.files.facts == 1  # the shard of d/web
    assert found.files.seen == 14


def test_a_broken_download_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path, {"best.pth": "lfs", "model.h5": b"", "web.keras": "page"})
    assert names(tmp_path) == ["best", "model", "web"]


def test_weights_of_a_layers_model_are_in_its_digest(tmp_path: Path) -> None:
    put(tmp_path, {"model.json": "tfjs layers", "group1-shard1of1.bin": "random"})
    (source,) = scan_models([tmp_path])
    before = behaviour_digest(source)
    put(tmp_path, {"group1-shard1of1.bin": b"other weights"})
    assert behaviour_digest(source) != before
    (given,) = scan_models([tmp_path / "model.json"])
    assert given.file == source.file


def test_settings_beside_a_checkpoint_are_in_its_digest(tmp_path: Path) -> None:
    put(tmp_path, {"best.safetensors": "safetensors"})
    (source,) = scan_models([tmp_path])
    before = behaviour_digest(source)
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text("{}")
    assert behaviour_digest(source) != before


def test_saved_models_are_loaded_as_before(tmp_path: Path) -> None:
    put(tmp_path, {"a/model.safetensors": "safetensors", "a/config.json": b"{}"})
    put(tmp_path, {"b/model.safetensors": "safetensors", "b/other.safetensors": "safetensors"})
    assert names(tmp_path) == ["a", "b/model", "b/other"]


def test_a_layers_model_is_not_told_of_itself(tmp_path: Path) -> None:
    put(tmp_path, {"model.json": "tfjs layers", "group1-shard1of1.bin": "random"})
    notes = load_model(scan_models([tmp_path])[0]).spec.notes
    assert not any("another tool" in note for note in notes)


@pytest.mark.parametrize("text", ["{", '{"file": "none.onnx"}'])
def test_a_broken_model_json_of_ours_has_a_digest(text: str, tmp_path: Path) -> None:
    put(tmp_path, {"bad/m.onnx": "onnx", "bad/model.json": text.encode()})
    (source,) = scan_models([tmp_path])
    assert len(behaviour_digest(source)) == 64
    put(tmp_path / "web", {"model.json": "tfjs layers"})  # its shard is missing
    assert len(behaviour_digest(scan_models([tmp_path / "web"])[0])) == 64

"""Folders of MLflow and Triton: their model file, its name, its labels and its input."""

import json
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.models.metadata.registries.text_protobuf import parse_text_protobuf
from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import TRANSLATORS, behaviour_digest, load_model
from model_makers import Form, write_model
from translated_makers import FAKE
from unread_makers import put

NAMES = ("ant", "bee", "cat", "dog", "elk")
MLMODEL = """\
artifact_path: model
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.16.0
    providers:
    - CUDAExecutionProvider
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.onnx
    python_version: 3.11.4
metadata:
  class_names:
  - ant
  - bee
  - cat
  - dog
  - elk
mlflow_version: 3.1.0
model_size_bytes: 1000
model_uuid: 0123
prompts: null
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 6, 4]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 5]}}]'
  params: null
utc_time_created: '2026-11-28 20:00:00.000000'
"""
CONFIG = """\
# served since March
name: "birds"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  {
    name: "pixels"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 6, 4 ]
  }
]
output [ { name: "scores" data_type: TYPE_FP32 dims: [ 5 ] label_filename: "birds.labels" } ]
"""


def flavors(**values: object) -> bytes:
    """An MLmodel of some flavors; JSON is YAML, too."""
    return f"flavors: {json.dumps(values)}\n".encode()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(Form(), tmp_path / "made", described=False)


def mlflow_folder(folder: Path, model: Path, text: str = MLMODEL) -> Path:
    put(folder, {"MLmodel": text.encode(), "model.onnx": model.read_bytes()})
    return put(folder, {"conda.yaml": b"name: x\n", "requirements.txt": b"mlflow\n"})


def test_a_folder_of_mlflow_is_one_model_with_its_labels(tmp_path: Path, model: Path) -> None:
    mlflow_folder(tmp_path / "runs/7/artifacts/birds", model)
    found = scan_paths([tmp_path / "runs"])
    (source,) = found.models
    assert (source.name, source.file.name) == ("7/artifacts/birds", "model.onnx")
    assert (found.files.facts, found.files.seen) == (1, 4)
    spec = load_model(source).spec
    assert (spec.labels, spec.labels_origin) == (NAMES, "MLmodel")
    bare = scan_models([model])[0]
    assert behaviour_digest(source) == behaviour_digest(bare)  # so it is known as a copy


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        (flavors(onnx={"data": "graph.onnx"}), {"graph.onnx": "onnx"}, "graph.onnx"),
        (flavors(onnx={"data": "m"}), {"m/model.onnx": "onnx"}, "m/model.onnx"),
        (
            flavors(pytorch={"model_data": "data"}, python_function={}),
            {"data/model.pth": "torch", "data/pickle_module_info.txt": b"mlflow"},
            "data/model.pth",
        ),
        (
            flavors(tensorflow={"data": "data", "model_type": "keras"}),
            {"data/model.keras": "keras", "data/keras_module.txt": b"keras"},
            "data/model.keras",
        ),
        (flavors(keras={"data": "data"}), {"data/model.h5": "hdf5"}, "data/model.h5"),
        (
            flavors(transformers={"model_binary": "model", "task": "image-classification"}),
            {"model/model.safetensors": "safetensors", "model/config.json": b"{}"},
            "model/model.safetensors",
        ),
    ],
)
def test_each_flavor_that_is_read(
    text: bytes,
    files: dict[str, str | bytes],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for ending in (".pth", ".keras", ".h5"):
        monkeypatch.setitem(TRANSLATORS, ending, FAKE)
    put(tmp_path / "hub/birds", {"MLmodel": text, **files})
    found = scan_paths([tmp_path / "hub"])
    (source,) = found.models
    assert source.name == "birds"
    assert source.file.relative_to(tmp_path / "hub/birds").as_posix() == expected
    assert found.not_read == ()
    assert found.files.seen == len(files) + 1


@pytest.mark.parametrize(
    ("text", "form", "reason"),
    [
        (flavors(sklearn={}, python_function={}), "MLflow model (sklearn)", "by a pickle"),
        (flavors(python_function={}), "MLflow model (python_function)", "code of the folder"),
        (flavors(xgboost={}), "MLflow model (xgboost)", "code of the folder"),
        (
            flavors(transformers={"source_model_name": "google/vit"}),
            "MLflow model (transformers)",
            "holds no weights",
        ),
        (b"flavors: [", "MLflow model", "has an MLmodel that"),
        (flavors(onnx={"data": "../../secret.onnx"}), "MLflow model (onnx)", "no file"),
    ],
)
def test_a_flavor_that_is_not_read_is_refused_by_name(
    text: bytes, form: str, reason: str, tmp_path: Path
) -> None:
    put(tmp_path, {"secret.onnx": "onnx"})
    put(tmp_path / "hub", {"b.onnx": "onnx", "birds/MLmodel": text, "birds/model.pkl": "sklearn"})
    found = scan_paths([tmp_path / "hub"])
    assert [source.name for source in found.models] == ["b"]
    (item,) = found.not_read
    if "no file" not in reason:
        assert (Path(item.file).name, item.format) == ("birds", form)
        assert reason in item.reason
    assert item.recipe


def test_a_model_inside_a_refused_folder_is_found_as_before(tmp_path: Path) -> None:
    put(tmp_path, {"birds/MLmodel": flavors(python_function={}), "birds/artifacts/x.onnx": "onnx"})
    found = scan_paths([tmp_path])
    assert [source.name for source in found.models] == ["birds/artifacts/x"]
    assert found.not_read == ()


def test_a_triton_repository_gives_its_newest_versions(tmp_path: Path, model: Path) -> None:
    data = model.read_bytes()
    repository = put(
        tmp_path / "repository",
        {
            "birds/config.pbtxt": CONFIG.encode(),
            "birds/birds.labels": "\n".join(NAMES).encode(),
            **{f"birds/{number}/model.onnx": data for number in (1, 2, 10)},
        },
    )
    found = scan_paths([repository])
    (source,) = found.models
    assert (source.name, source.file.parent.name) == ("birds", "10")
    assert found.files.passed_over == {"another version of a model there": 2}
    assert (found.files.facts, found.files.seen) == (2, 5)
    spec = load_model(source).spec
    assert (spec.labels, spec.labels_origin) == (NAMES, "birds.labels")
    assert behaviour_digest(source) == behaviour_digest(scan_models([model])[0])
    policy = "version_policy: { specific { versions: [1, 2] } }\n"
    put(repository, {"birds/config.pbtxt": (CONFIG + policy).encode()})
    assert scan_models([repository])[0].file.parent.name == "2"


def test_an_open_size_is_that_of_the_config(tmp_path: Path) -> None:
    import onnx

    file = write_model(Form(), tmp_path / "made", described=False)
    graph = onnx.load(file)
    weights = np.zeros((3, 5), np.float32)
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        onnx.helper.make_node("Flatten", ["p"], ["f"]),
        onnx.helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    sizes = ["n", 3, "h", "w_"]
    made = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, sizes)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 5])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    made_model = onnx.helper.make_model(made, opset_imports=graph.opset_import, ir_version=9)
    config = CONFIG.replace("6, 4", "96, 80").replace('label_filename: "birds.labels"', "")
    put(
        tmp_path / "r/birds",
        {"config.pbtxt": config.encode(), "1/model.onnx": made_model.SerializeToString()},
    )
    spec = load_model(scan_models([tmp_path / "r"])[0]).spec
    assert (spec.input.pixels.height, spec.input.pixels.width) == (96, 80)


@pytest.mark.parametrize(
    ("config", "files", "said"),
    [
        ('platform: "ensemble"', {"1/.keep": b""}, "joins other models"),
        ('backend: "python"', {"1/model.py": b""}, "runs code of its folder"),
        ('platform: "onnxruntime_onnx"', {"1/weights.md": b""}, "has no model.onnx in 1/"),
        ('name: "a" }', {"1/weights.md": b""}, "config.pbtxt that"),
        ('platform: "tensorrt_plan"', {"1/model.plan": "tensorrt"}, "one kind of GPU"),
        ('backend: "openvino"', {"1/model.xml": "openvino", "1/model.bin": "random"}, "OpenVINO"),
        (
            'platform: "tensorflow_savedmodel"',
            {"1/model.savedmodel/saved_model.pb": "saved model"},
            "TensorFlow graph",
        ),
    ],
)
def test_what_of_triton_is_not_read(
    config: str, files: dict[str, str | bytes], said: str, tmp_path: Path
) -> None:
    put(tmp_path, {"b.onnx": "onnx"})
    put(tmp_path / "birds", {"config.pbtxt": config.encode(), **files})
    (item,) = scan_paths([tmp_path]).not_read
    assert said in item.reason


def test_a_config_of_another_tool_is_none_of_triton(tmp_path: Path) -> None:
    put(tmp_path, {"a/config.pbtxt": b"model { ssd { } }", "a/best.onnx": "onnx"})
    assert [source.name for source in scan_models([tmp_path])] == ["a/best"]


@pytest.mark.parametrize(
    "text", ["a {", "a: }", "a: [1", "}", "a { " * 100, "\x00", 'a: "x', "1: 2", "a:" + "[" * 99]
)
def test_text_that_is_no_protobuf_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        parse_text_protobuf(text)


def test_a_protobuf_in_text_form() -> None:
    read = parse_text_protobuf(
        "a: 1 # one\nb { c: 'x' 'y' }\nb: < c: \"q\\\"\" >, d: [ { e: -1 } ]"
    )
    assert read.text("a") == "1"
    assert [inner.text("c") for inner in read.messages("b")] == ["xy", 'q"']
    assert read.messages("d")[0].texts("e") == ("-1",)
    assert read.text("none") == ""

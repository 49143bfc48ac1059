"""Models of forms that are not read are named, each with a reason and a way out."""

import json
import struct
from pathlib import Path

import pytest

from lagotto.models.metadata.scan import scan_paths
from lagotto.models.metadata.unread.content import content_of
from lagotto.models.metadata.unread.file_names import is_of_training, model_ending, model_stem
from lagotto.models.metadata.unread.formats import UNREAD_FORMATS
from lagotto.models.metadata.unread.recognition import UnreadFile, recognize_unread
from lagotto.models.metadata.unread.report import unread_heading, unread_lines
from unread_makers import CONTENTS, put, zipped


def formats(folder: Path) -> dict[str, str]:
    """The formats of the models under a folder that are not read, by their path in it."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    found = recognize_unread(files)
    return {path.relative_to(folder).as_posix(): item.format for path, item in found.items()}


@pytest.mark.parametrize("form", sorted(set(CONTENTS) & (set(UNREAD_FORMATS) - {"paddle"})))
def test_content_tells_the_form_under_a_strange_name(form: str, tmp_path: Path) -> None:
    if form in ("coreml", "tfjs layers", "tfjs graph", "keras architecture"):
        pytest.skip("told by its ending")
    (tmp_path / "x").write_bytes(CONTENTS[form])
    assert content_of(tmp_path / "x") == form


@pytest.mark.parametrize(
    ("name", "form", "format_name"),
    [
        ("best.pkl", "fastai", "fastai learner"),
        ("export.pkl", "fastai old", "fastai learner"),
        ("clf.pkl", "sklearn", "scikit-learn model"),
        ("clf.joblib", "random", "scikit-learn model"),
        ("a.pkl", "pickle", "Python pickle"),
        ("net.pkl", "torch", "PyTorch checkpoint"),
        ("a.pt2", "torch export", "torch.export program"),
        ("a.pt", "torch export", "torch.export program"),
        ("a.torchscript", "torchscript", "TorchScript"),
        ("a.ptl", "torchscript", "TorchScript"),
        ("a.pte", "executorch", "ExecuTorch program"),
        ("frozen.pb", "frozen graph", "TensorFlow graph"),
        ("m.pb", "onnx", "ONNX"),
        ("m.pth", "onnx", "ONNX"),
        ("m.dat", "tflite", "TFLite"),
        ("checkpoint", "torch", "PyTorch checkpoint"),
        ("weights.bin", "safetensors", "safetensors"),
        ("model.ckpt-10.index", "tensorflow checkpoint", "TensorFlow checkpoint"),
        ("a.mlmodel", "coreml", "Core ML model"),
        ("a.xml", "openvino", "OpenVINO model"),
        ("a.ncnn.param", "ncnn", "NCNN model"),
        ("a.mnn", "random", "MNN model"),
        ("a.engine", "tensorrt", "TensorRT engine"),
        ("a.plan", "random", "TensorRT engine"),
        ("a.ort", "ort", "ONNX Runtime format"),
        ("inference.pdmodel", "random", "PaddlePaddle model"),
        ("inference.json", "paddle", "PaddlePaddle model"),
        ("a.pdparams", "pickle", "PaddlePaddle weights"),
        ("a-0000.params", "mxnet", "MXNet model"),
        ("a.caffemodel", "random", "Caffe model"),
        ("yolo.weights", "random", "Darknet weights"),
        ("w.npz", "npz", "NumPy arrays"),
        ("flax_model.msgpack", "random", "Flax weights"),
        ("a.gguf", "gguf", "GGUF model"),
        ("a.rknn", "rknn", "RKNN model"),
        ("a.hef", "random", "model for an accelerator"),
        ("a.mindir", "random", "MindSpore model"),
        ("a.t7", "random", "Torch7 model"),
        ("data.bin", "random", "binary file"),
        ("adapter_model.safetensors", "safetensors", "LoRA adapter"),
        ("model-00001-of-00002.safetensors", "safetensors", "checkpoint in several files"),
        ("model.json", "tfjs graph", "TensorFlow.js graph model"),
        ("model.json", "keras architecture", "Keras architecture"),
    ],
)
def test_a_form_that_is_not_read_is_named(
    name: str, form: str, format_name: str, tmp_path: Path
) -> None:
    put(tmp_path, {name: form})
    (item,) = recognize_unread([tmp_path / name]).values()
    assert item.format == format_name
    assert item.reason
    assert item.recipe
    assert "{" not in item.recipe.replace("{file}", "")


def test_no_other_file_is_taken_for_a_model(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            **dict.fromkeys(("optimizer.pt", "scheduler.pt", "scaler.pt"), "torch"),
            **dict.fromkeys(("training_args.bin", "rng_state_0.pth"), "torch"),
            "events.out.tfevents.1700000000.host.1.v2": "random",
            "notes.txt": b"best_model.pkl is the best",
            "box.xml": b"<annotation><object/></annotation>",
            "config.json": b'{"model_type": "vit"}',
            "coco.json": b'{"images": []}',
            "LICENSE": b"Apache",
            "model-00002-of-00002.safetensors": "safetensors",
        },
    )
    assert formats(tmp_path) == {}


def test_a_bin_file_is_told_apart_by_what_lies_beside_it_and_by_its_content(tmp_path: Path) -> None:
    put(tmp_path / "openvino", {"m.xml": "openvino", "m.bin": "random"})
    put(tmp_path / "ncnn", {"m.ncnn.param": "ncnn", "m.ncnn.bin": "random"})
    put(tmp_path / "binary", {"m.param.bin": struct.pack("<I", 7767517), "m.bin": "random"})
    put(tmp_path / "torch", {"pytorch_model.bin": "torch legacy"})
    put(tmp_path / "lost", {"m.bin": "random", "other.xml": "openvino"})
    assert formats(tmp_path) == {
        "openvino/m.xml": "OpenVINO model",
        "ncnn/m.ncnn.param": "NCNN model",
        "binary/m.param.bin": "NCNN model",
        "torch/pytorch_model.bin": "PyTorch checkpoint",
        "lost/m.bin": "binary file",
        "lost/other.xml": "OpenVINO model",
    }


def test_a_model_that_is_a_folder_counts_once(tmp_path: Path) -> None:
    saved = {
        "saved_model.pb": "saved model",
        "keras_metadata.pb": "random",
        "variables/variables.index": "tensorflow checkpoint",
        "variables/variables.data-00000-of-00001": "random",
    }
    put(tmp_path / "birds", saved)
    package = {"Manifest.json": b"{}", "Data/com.apple.CoreML/weights/weight.bin": "random"}
    put(tmp_path / "birds.mlpackage", package)
    put(tmp_path / "ckpt", {"m.index": "tensorflow checkpoint", "m.data-00000-of-00001": "random"})
    assert formats(tmp_path) == {
        "birds": "TensorFlow SavedModel",
        "birds.mlpackage": "Core ML model",
        "ckpt/m.index": "TensorFlow checkpoint",
    }
    (item,) = recognize_unread([tmp_path / "birds/saved_model.pb"]).values()
    assert "--saved-model birds --output birds.onnx" in item.recipe


def test_what_lies_in_place_of_a_model_is_the_reason(tmp_path: Path) -> None:
    put(tmp_path, {"a.pkl": "lfs", "b.mnn": "page", "c.bin": b""})
    pointer, page, empty = recognize_unread(sorted(tmp_path.iterdir())).values()
    assert pointer.reason.startswith("is a Git LFS pointer, not the file itself")
    assert pointer.recipe == "run `git lfs pull`, or download the file itself"
    assert page.reason == "is a saved web page ('Sign in'), not the file itself"
    assert empty.reason == "is empty (0 bytes)"


def test_other_forms_of_a_model_there_are_no_loss(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "best.onnx": "onnx",
            "best.pt": "torch",
            "best_int8.engine": "tensorrt",
            "best.mlpackage/Data/model.mlmodel": "coreml",
            "best_openvino_model/best.xml": "openvino",
            "best_openvino_model/best.bin": "random",
            "best_saved_model/saved_model.pb": "saved model",
            "last.pkl": "fastai",
        },
    )
    found = scan_paths([tmp_path])
    assert [source.name for source in found.models] == ["best"]
    assert [Path(item.file).name for item in found.not_read] == ["last.pkl"]
    assert found.files.passed_over == {"another form of a model there": 6, ".pkl": 1}
    assert found.files.seen == 8


def test_a_folder_beside_a_model_of_its_name_is_no_other_form(tmp_path: Path) -> None:
    put(tmp_path, {"birds.onnx": "onnx", "birds/best.pkl": "fastai", "birds.v2/w.npz": "npz"})
    names = [Path(item.file).name for item in scan_paths([tmp_path]).not_read]
    assert sorted(names) == ["best.pkl", "w.npz"]


def test_a_folder_with_nothing_that_is_read_says_what_it_has(tmp_path: Path) -> None:
    put(tmp_path, {"a.pkl": "fastai"})
    with pytest.raises(Exception, match=r"a\.pkl \(fastai learner\) is a pickle, .*load_learner"):
        scan_paths([tmp_path])
    with pytest.raises(Exception, match=r"not read: a\.pkl \(fastai learner\) is a pickle"):
        scan_paths([tmp_path / "a.pkl"])


def test_lines_are_grouped_by_format_and_hold_no_odd_names() -> None:
    items = [UnreadFile(f"/m/{n}/w.npz", "NumPy arrays", "holds arrays", "go") for n in range(5)]
    items.append(UnreadFile("/m/x.gguf", "GGUF model", "is of llama.cpp", "export"))
    assert unread_heading(items) == "6 files not read"
    assert unread_heading(items[:1]) == "1 file not read"
    assert unread_lines(items) == (
        "0/w.npz, 1/w.npz, 2/w.npz and 2 more (NumPy arrays): each holds arrays; go",
        "x.gguf (GGUF model) is of llama.cpp; export",
    )
    assert unread_lines([]) == ()
    assert unread_heading([]) == ""


def test_an_odd_name_is_not_written_into_a_command(tmp_path: Path) -> None:
    put(tmp_path, {"$(rm -r x).pb": "frozen graph"})
    (item,) = recognize_unread(list(tmp_path.iterdir())).values()
    assert "$(" not in item.recipe
    assert "--graphdef FILE" in item.recipe


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *((name, True) for name in ("optimizer.pt", "best_optimizer.pth", "optimizer-10.bin")),
        *((name, True) for name in ("rng_state_3.pth", "random_states_0.pkl", "lr_scheduler.pt")),
        *((name, True) for name in ("training_args.bin", "zero_pp_rank_0_optim_states.pt")),
        *((name, False) for name in ("best.pt", "model_optimizer.pt", "state.pth", "ema.pt")),
        *((name, False) for name in ("best_state.pt", "scaler_resnet.pt", "last_epoch.pth")),
    ],
)
def test_the_state_of_a_training_is_told_by_its_name(name: str, answer: bool) -> None:
    assert is_of_training(name) is answer


def test_the_ending_of_a_tar_that_torch_never_packed() -> None:
    assert model_ending(Path("model_best.pth.TAR")) == ".pth"
    assert model_stem(Path("model_best.pth.tar")) == "model_best"
    assert model_ending(Path("data.tar")) == ".tar"


@pytest.mark.parametrize("length", [0, 1, 3, 8, 9, 29, 30, 31, 60, 4096])
@pytest.mark.parametrize("form", sorted(CONTENTS))
def test_no_cut_file_breaks_the_look_at_it(form: str, length: int, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(CONTENTS[form][:length])
    recognize_unread([tmp_path / "m.bin"])


def test_an_archive_whose_directory_lies_is_looked_at_within_bounds(tmp_path: Path) -> None:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 65535) + bytes(16)
    (tmp_path / "m.pt").write_bytes(zipped({"a/data.pkl": b"x"}) + entry * 40_000)
    assert content_of(tmp_path / "m.pt") == "torch"


def test_a_shard_beside_its_index_is_a_part_of_that(tmp_path: Path) -> None:
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]  # one is missing
    weights = {"weight_map": dict(zip("ab", shards, strict=True))}
    put(
        tmp_path,
        {
            shards[0]: "safetensors",
            "model.safetensors.index.json": json.dumps(weights).encode(),
        },
    )
    assert scan_paths([tmp_path], must_find=False).not_read == ()

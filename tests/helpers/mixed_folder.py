"""A folder of models as engineers leave them, each file with what must become of it.

The models that can be read know colours, so that a search for a colour must find them. A checkpoint
of PyTorch is a ResNet-18 whose first convolution passes the colours on, and whose blocks add
nothing; it needs torch to be written. A model of Keras averages the picture; .h5 needs h5py.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

import model_makers
from colour_world import COLOURS, Classifier, write_classifier
from unread_makers import CONTENTS, put

Outcome: TypeAlias = Literal["model", "failed", "not read", "other"]
_MEAN, _STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


@dataclass(frozen=True)
class MixedFile:
    """A file, or a folder of one model, and its outcome; `name` is that of the model in a hub.

    `ending` is that of a translator which must be there, or the outcome is "not read". `colours`
    are what its outputs recognise, in order.
    """

    path: str
    outcome: Outcome
    name: str = ""
    ending: str = ""
    colours: tuple[str, ...] = ()


def write_mixed_folder(folder: Path, with_checkpoints: bool = True) -> tuple[MixedFile, ...]:
    """Writes the folder, and tells what must become of everything in it.

    Args:
        folder: Where; it must not exist.
        with_checkpoints: Whether whole checkpoints of PyTorch are written, 45 MB each.
    """
    put(folder, {"notes.txt": b"final.pth is the good one\n", "README.md": b"# models\n"})
    return (
        *_graphs(folder),
        *(_checkpoints(folder) if with_checkpoints and find_spec("torch") else ()),
        *_keras(folder),
        *_not_read(folder),
        *_others(folder),
        *(MixedFile(name, "other") for name in ("notes.txt", "README.md")),
    )


def _graphs(folder: Path) -> Iterator[MixedFile]:
    made = {
        "export.onnx": Classifier(("red", "green", "blue"), seed=1, labelled=False),
        "birds_v2/model.onnx": Classifier(("yellow", "cyan"), seed=2, labelled=False),
        "mlruns/0/abc/artifacts/model/model.onnx": Classifier(("magenta", "white"), seed=3),
        "triton/flags/1/model.onnx": Classifier(("black", "red"), seed=4),
        "triton/flags/2/model.onnx": Classifier(("black", "red"), seed=5),
    }
    for path, model in made.items():
        place = folder.parent / "made" / path.replace("/", "_")
        write_classifier(place, model)
        put(folder, {path: (place / "model.onnx").read_bytes()})
    put(
        folder,
        {"birds_v2/labels.txt": b"yellow\ncyan\n", "triton/flags/colours.txt": b"black\nred"},
    )
    put(
        folder,
        {"mlruns/0/abc/artifacts/model/MLmodel": b"flavors:\n  onnx:\n    data: model.onnx\n"},
    )
    config = 'platform: "onnxruntime_onnx"\noutput { name: "y" label_filename: "colours.txt" }\n'
    put(folder, {"triton/flags/config.pbtxt": config.encode()})
    file = model_makers.write_model(
        model_makers.Form("tflite", "NHWC"), folder.parent / "made" / "flat", described=False
    )
    put(folder, {"mobile.tflite": file.read_bytes()})
    yield MixedFile("export.onnx", "model", "export", colours=made["export.onnx"].colours)
    yield MixedFile("birds_v2/model.onnx", "model", "birds_v2", colours=("yellow", "cyan"))
    artifacts = "mlruns/0/abc/artifacts/model"
    yield MixedFile(artifacts, "model", artifacts, colours=("magenta", "white"))
    yield MixedFile("triton/flags", "model", "triton/flags", colours=("black", "red"))
    yield MixedFile("mobile.tflite", "model", "mobile")


def _checkpoints(folder: Path) -> Iterator[MixedFile]:
    import torch

    def save(path: str, value: object) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(value, folder / path)

    def tensors(*colours: str, prefix: str = "") -> dict[str, Any]:
        arrays = resnet18(colours)
        return {f"{prefix}{name}": torch.from_numpy(array) for name, array in arrays.items()}

    save("final.pth", tensors("green", "magenta", "black", prefix="module."))
    best = {"epoch": 9, "state_dict": tensors("red", "white"), "classes": ["red", "white"]}
    save("runs/best.pt", best)
    save("runs/last.pt", {"model": tensors("blue", "cyan", "yellow"), "optimizer": {}})
    lightning = {
        "pytorch-lightning_version": "2.1.0",
        "state_dict": tensors("yellow", "blue", prefix="model."),
        "hyper_parameters": {"lr": 0.1},
    }
    save("runs/epoch=12-step=400.ckpt", lightning)
    yield MixedFile("final.pth", "model", "final", ".pth", ("green", "magenta", "black"))
    yield MixedFile("runs/best.pt", "model", "runs/best", ".pt", ("red", "white"))
    yield MixedFile("runs/last.pt", "model", "runs/last", ".pt", ("blue", "cyan", "yellow"))
    name = "runs/epoch=12-step=400"
    yield MixedFile(f"{name}.ckpt", "model", name, ".ckpt", ("yellow", "blue"))


def _keras(folder: Path) -> Iterator[MixedFile]:
    colours = ("white", "red", "blue")
    if find_spec("h5py") is not None:
        put(folder, {"teachable/keras_model.h5": keras_h5(colours)})
        put(folder, {"teachable/labels.txt": b"0 white\n1 red\n2 blue\n"})
        name = "teachable/keras_model"
        yield MixedFile(f"{name}.h5", "model", name, ".h5", colours)
    kernel, bias = colour_head(("cyan", "black"))
    manifest = [
        {"name": "head/kernel", "shape": list(kernel.shape), "dtype": "float32"},
        {"name": "head/bias", "shape": list(bias.shape), "dtype": "float32"},
    ]
    layers = {
        "format": "layers-model",
        "generatedBy": "keras v2.11.0",
        "modelTopology": {
            "keras_version": "2.11.0",
            "backend": "tensorflow",
            "model_config": keras_config(2),
        },
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": manifest}],
    }
    shard = kernel.tobytes() + bias.tobytes()
    put(folder / "web", {"model.json": json.dumps(layers).encode(), "group1-shard1of1.bin": shard})
    put(folder / "web", {"metadata.json": b'{"labels": ["cyan", "black"]}'})
    yield MixedFile("web/model.json", "model", "web", ".json", ("cyan", "black"))


def _not_read(folder: Path) -> Iterator[MixedFile]:
    files: dict[str, dict[str, str]] = {
        "learner.pkl": {"": "fastai"},
        "classifier.joblib": {"": "sklearn"},
        "program.pt2": {"": "torch export"},
        "frozen_graph.pb": {"": "frozen graph"},
        "phone.mlmodel": {"": "coreml"},
        "fast.engine": {"": "tensorrt"},
        "yolov3.weights": {"": "random"},
        "tf1/model.ckpt.index": {"": "tensorflow checkpoint"},
        "saved": {"/saved_model.pb": "saved model", "/variables/variables.index": "random"},
        "intel/net.xml": {"": "openvino"},
        "edge/net.ncnn.param": {"": "ncnn"},
        "sharded/model-00001-of-00002.safetensors": {"": "safetensors"},
        "weights.npz": {"": "npz"},
    }
    for path, contents in files.items():
        put(folder, {f"{path}{inner}": content for inner, content in contents.items()})
        yield MixedFile(path, "not read")
    parts = ("intel/net.bin", "edge/net.ncnn.bin", "tf1/model.ckpt.data-00000-of-00001")
    put(folder, dict.fromkeys(parts, "random"))
    put(folder, {"sharded/model-00002-of-00002.safetensors": "safetensors"})


def _others(folder: Path) -> Iterator[MixedFile]:
    states = ("runs/optimizer.pt", "runs/training_args.bin", "runs/scheduler.pt")
    logs = "runs/events.out.tfevents.1700000000.host"
    put(folder, {**dict.fromkeys(states, "torch"), logs: "random"})
    put(folder, {"broken.onnx": "page", "large.pth": "lfs", "cut.pth": CONTENTS["torch"][:60]})
    put(folder, {"export.pt": "torch"})  # of which export.onnx was made
    yield from (MixedFile(name, "other") for name in (*states, logs, "export.pt"))
    yield MixedFile("broken.onnx", "failed", "broken")
    yield MixedFile("large.pth", "failed", "large", ".pth")
    yield MixedFile("cut.pth", "failed", "cut", ".pth")


# ------------------------------------------------------------------------------- weights of colours


def colour_head(colours: tuple[str, ...]) -> tuple[Any, Any]:
    """Kernel and bias that turn the mean colour, from 0 to 1, into a logit for each colour."""
    wanted = np.array([COLOURS[colour] for colour in colours], np.float32)
    kernel = 8 * (2 * wanted - 1).T
    return np.ascontiguousarray(kernel, np.float32), (-8 * wanted.sum(axis=1)).astype(np.float32)


def keras_config(units: int) -> dict[str, Any]:
    """A model of Keras 2: the mean over the picture, then a layer with a softmax."""
    picture = {"batch_input_shape": [None, 32, 32, 3], "dtype": "float32", "name": "picture"}
    pooling = {"name": "pool", "trainable": True, "dtype": "float32"}
    head = {"name": "head", "trainable": True, "dtype": "float32", "units": units}
    layers = [
        {"class_name": "InputLayer", "config": {**picture, "sparse": False, "ragged": False}},
        {
            "class_name": "GlobalAveragePooling2D",
            "config": {**pooling, "data_format": "channels_last", "keepdims": False},
        },
        {"class_name": "Dense", "config": {**head, "activation": "softmax", "use_bias": True}},
    ]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}


def keras_h5(colours: tuple[str, ...]) -> bytes:
    """The same as an .h5 file of Keras 2."""
    import h5py

    made = io.BytesIO()
    kernel, bias = colour_head(colours)
    with h5py.File(made, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.11.0", "tensorflow"
        file.attrs["model_config"] = json.dumps(keras_config(len(colours)))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"pool", b"head"]
        weights.attrs["keras_version"], weights.attrs["backend"] = "2.11.0", "tensorflow"
        weights.create_group("pool").attrs["weight_names"] = np.array([], "S1")
        group = weights.create_group("head")
        group.attrs["weight_names"] = [b"head/kernel:0", b"head/bias:0"]
        group.create_dataset("head/kernel:0", data=kernel)
        group.create_dataset("head/bias:0", data=bias)
    return made.getvalue()


def resnet18(colours: tuple[str, ...]) -> Mapping[str, Any]:
    """The tensors of a ResNet-18, by the names of torchvision, that recognises colours.

    The stem keeps each normalized colour and its negative; every block adds nothing to its input.
    """
    tensors: dict[str, Any] = {}

    def norm(name: str, width: int, scale: float) -> None:
        tensors[f"{name}.weight"] = np.full(width, scale, np.float32)
        tensors[f"{name}.bias"] = np.zeros(width, np.float32)
        tensors[f"{name}.running_mean"] = np.zeros(width, np.float32)
        tensors[f"{name}.running_var"] = np.ones(width, np.float32)
        tensors[f"{name}.num_batches_tracked"] = np.array(1, np.int64)

    stem = np.zeros((64, 3, 7, 7), np.float32)
    for channel in range(3):
        stem[channel, channel, 3, 3], stem[channel + 3, channel, 3, 3] = 1, -1
    tensors["conv1.weight"] = stem
    norm("bn1", 64, 1)
    before = 64
    for layer, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            inner = before if block == 0 else width
            for part, depth in (("1", inner), ("2", width)):
                tensors[f"{name}.conv{part}.weight"] = np.zeros((width, depth, 3, 3), np.float32)
                norm(f"{name}.bn{part}", width, 1)
            if block == 0 and before != width:
                passed = np.eye(width, before, dtype=np.float32).reshape(width, before, 1, 1)
                tensors[f"{name}.downsample.0.weight"] = passed
                norm(f"{name}.downsample.1", width, 1)
        before = width
    kernel, bias = colour_head(colours)
    of_normalized = (kernel.T * _STD).astype(np.float32)
    head = np.zeros((len(colours), 512), np.float32)
    head[:, :3], head[:, 3:6] = of_normalized, -of_normalized
    tensors["fc.weight"] = head
    tensors["fc.bias"] = (bias + kernel.T @ _MEAN).astype(np.float32)
    return tensors

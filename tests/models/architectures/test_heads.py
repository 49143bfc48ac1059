"""Classifiers of pickled modules compute what torch computes, whatever their activation is."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from lagotto.core.errors import ModelError
from lagotto.models.architectures.activations import ACTIVATIONS
from lagotto.models.architectures.assembly import head_part
from lagotto.models.architectures.heads import Head, read_head
from lagotto.models.architectures.onnx_parts import (
    external_weight,
    graph_input,
    graph_output,
    graph_part,
)
from lagotto.models.architectures.skeletons import SCORES
from lagotto.models.checkpoints.checkpoint import Checkpoint, PlainLayer
from lagotto.models.checkpoints.opening import open_checkpoint

FEATURES, CLASSES = 8, 3
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "LeakyReLU": ({}, {"negative_slope": 0.3, "inplace": True}),
    "ELU": ({}, {"alpha": 0.5}),
    "CELU": ({}, {"alpha": 2.0}),
    "GELU": ({}, {"approximate": "tanh"}),
    "Hardtanh": ({}, {"min_val": -0.5, "max_val": 2.0}),
}
SHAPES = {"fc1.weight": (5, 8), "fc1.bias": (5,), "fc2.weight": (3, 5), "fc2.bias": (3,)}


def torch_layer(kind: str, **settings: Any) -> PlainLayer:
    return PlainLayer(f"torch.nn.modules.activation.{kind}", settings)


def run_head(head: Head, checkpoint: Checkpoint, features: np.ndarray) -> np.ndarray:
    """A classifier of a checkpoint on features, as onnxruntime computes it."""
    values = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
    operators, weights = head_part(head, values, "features")
    empty = helper.make_graph([], "head", [], [])
    first = helper.make_model(empty, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    declared = [external_weight(name, value) for name, value in weights.items()]
    ends = (graph_input("features", (4, FEATURES)), graph_output(SCORES, (4, CLASSES)))
    options = onnxruntime.SessionOptions()
    arrays = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
    options.add_external_initializers(list(weights), arrays)
    model = first.SerializeToString() + operators + graph_part(*declared, *ends)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"features": features})
    return np.asarray(result)


CASES = [(kind, settings) for kind in ACTIVATIONS for settings in SETTINGS.get(kind, ({},))]


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_a_pickled_classifier_computes_what_torch_computes(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
    nn: Any = importlib.import_module("torch.nn")
    torch.manual_seed(1)
    layers = [nn.Linear(FEATURES, 6), getattr(nn, kind)(**settings), nn.Dropout()]
    module = nn.Sequential(*layers, nn.Linear(6, CLASSES), nn.Softmax(1)).eval()
    with torch.no_grad():
        module[0].weight.mul_(6)  # so that both ends of each activation are met
    torch.save(module, tmp_path / "head.pt")
    checkpoint = open_checkpoint(tmp_path / "head.pt")
    head = read_head(checkpoint.shapes, checkpoint.layers)
    assert head.notes == ()
    features = np.random.default_rng(2).normal(size=(4, FEATURES)).astype(np.float32)
    with torch.no_grad():
        expected = module[:-1](torch.from_numpy(features)).numpy()
    result = run_head(head, checkpoint, features)
    assert np.abs(result - expected).max() < 1e-5
    if kind != "ReLU":
        assumed = run_head(read_head(checkpoint.shapes), checkpoint, features)
        assert np.abs(assumed - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("layer", "setting"),
    [
        (torch_layer("LeakyReLU"), "negative_slope"),
        (torch_layer("LeakyReLU", negative_slope=float("nan")), "negative_slope"),
        (torch_layer("ELU", alpha="1"), "alpha"),
        (torch_layer("GELU", approximate="fast"), "approximate"),
        (torch_layer("Softplus", beta=2), "beta"),
        (PlainLayer("__torch__.torch.nn.modules.activation.GELU"), "approximate"),
    ],
)
def test_an_activation_whose_setting_is_not_known_is_refused(
    layer: PlainLayer, setting: str
) -> None:
    shapes = {name.replace("fc1", "0").replace("fc2", "2"): at for name, at in SHAPES.items()}
    with pytest.raises(ModelError, match=f"has a {layer.kind}, and the file .* its {setting}"):
        read_head(shapes, {"1": layer})


def test_of_layers_called_by_code_the_only_activation_is_taken() -> None:
    leaky = torch_layer("LeakyReLU", negative_slope=0.2, inplace=True)
    layers = {"act": leaky, "drop": torch_layer("Dropout"), "out": torch_layer("Sigmoid")}
    head = read_head(SHAPES, layers)
    assert [layer.path for layer in head.layers] == ["fc1", "LeakyReLU", "fc2"]
    assert head.notes == ("LeakyReLU assumed after 'fc1': a checkpoint does not say it",)
    with pytest.raises(ModelError, match=r"2 activations .LeakyReLU, ReLU.*does not say which"):
        read_head(SHAPES, {**layers, "relu": torch_layer("ReLU")})
    assert read_head(SHAPES, {"drop": torch_layer("Dropout")}).layers[1].path == "ReLU"


def test_activations_beside_a_single_layer_do_not_matter() -> None:
    shapes = {name: SHAPES[name] for name in ("fc2.weight", "fc2.bias")}
    layers = {"a": torch_layer("LeakyReLU"), "b": torch_layer("GELU", approximate="fast")}
    assert [layer.kind for layer in read_head(shapes, layers).layers] == ["linear"]

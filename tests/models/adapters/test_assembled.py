"""A model that Lagotto writes as ONNX, with its weights apart, runs like one from a file."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.adapters.onnx import load_assembled
from lagotto.models.assembled import EXTERNAL_LOCATION, AssembledModel

_PICTURE = (1, 3, 4, 4)


def _linear(classes: int = 5) -> bytes:
    """Pictures of 4 x 4, flattened and multiplied by an external matrix, then a softmax."""
    matrix = TensorProto(name="head.weight", data_type=TensorProto.FLOAT, dims=[48, classes])
    matrix.data_location = TensorProto.EXTERNAL
    entry = matrix.external_data.add()
    entry.key, entry.value = "location", EXTERNAL_LOCATION
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head.weight"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, _PICTURE)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, classes])],
        [matrix],
    )
    opsets = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return data


def test_weights_apart_from_the_graph_give_the_logits_before_the_softmax(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32).T  # not contiguous
    source = ModelSource("linear", tmp_path / "best.pth", {"input": {"scale": "0..1"}})
    assembled = AssembledModel(_linear(), "torch", "NCHW", {"head.weight": weights})
    model = load_assembled(source, assembled)
    assert (model.spec.framework, model.spec.logits_source) == ("torch", "cut")
    pictures = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    flat = (pictures.transpose(0, 3, 1, 2) / 255).reshape(3, 48)
    np.testing.assert_allclose(model.logits(pictures), flat @ weights, atol=1e-5)
    assert model.open_activations() is not None


def test_a_weight_of_another_shape_is_refused(tmp_path: Path) -> None:
    source = ModelSource("linear", tmp_path / "best.pth", {})
    wide = np.zeros((48, 6), np.float32)
    model = AssembledModel(_linear(), "torch", "NCHW", {"head.weight": wide})
    with pytest.raises(ModelError, match="onnxruntime cannot load the model"):
        load_assembled(source, model)

"""A translator that takes any file for a small linear network, to test which files are models."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from lagotto.core.errors import ModelError
from lagotto.core.registry import Adapter
from lagotto.core.types import ModelSource
from lagotto.models.assembled import EXTERNAL_LOCATION, AssembledModel
from lagotto.models.metadata.embedded import EmbeddedMetadata

CLASSES = 4
TRANSLATED = (".pth", ".pt", ".ckpt", ".th", ".bin", ".safetensors", ".h5", ".keras", ".json")
FAKE = Adapter("translated_makers", "translate")
PARTS = Adapter("translated_makers", "parts_of")


def translate(source: ModelSource) -> AssembledModel:
    """Pictures of 4 x 4, flattened and multiplied by the first bytes of the file."""
    matrix = TensorProto(name="head", data_type=TensorProto.FLOAT, dims=[48, CLASSES])
    matrix.data_location = TensorProto.EXTERNAL
    entry = matrix.external_data.add()
    entry.key, entry.value = "location", EXTERNAL_LOCATION
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "head"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
        [matrix],
    )
    opsets = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    data = np.resize(np.frombuffer(source.file.read_bytes(), np.uint8), 48 * CLASSES)
    weights = {"head": data.reshape(48, CLASSES).astype(np.float32)}
    known = EmbeddedMetadata(architecture="linear4")
    return AssembledModel(model.SerializeToString(), "torch", "NCHW", weights, known)


def parts_of(file: Path) -> tuple[Path, ...]:
    """The shards beside a file, as a reader of TensorFlow.js would name them.

    Raises:
        ModelError: There are none.
    """
    if not list(file.parent.glob("group1-shard*.bin")):
        raise ModelError("no shards")
    return tuple(sorted(file.parent.glob("group1-shard*.bin")))

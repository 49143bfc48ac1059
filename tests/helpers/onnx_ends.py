"""The linear classifier of model_makers with other outputs, inputs and external data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_makers import CLASSES, Form, description, onnx_bytes

NAMES = ("ant", "bee", "cat", "dog", "elk")


def value(name: str, *shape: Any, dtype: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph."""
    return helper.make_tensor_value_info(name, dtype, list(shape))


def maps(name: str, key: int = TensorProto.STRING) -> Any:
    """An output that is a list of maps from names to numbers, as ZipMap makes it."""
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, number))
    return helper.make_value_info(name, kind)


def write_ends(
    folder: Path,
    nodes: Sequence[Any],
    outputs: Sequence[Any],
    arrays: dict[str, np.ndarray] | None = None,
    labels: Sequence[str] | None = NAMES[:CLASSES],
    form: Form | None = None,
    **described: Any,
) -> Path:
    """A model file whose logits are the tensor "scores", and that goes on with `nodes`.

    `described` are further keys of its model.json.
    """
    form = form or Form()
    model = onnx.load_from_string(onnx_bytes(form))
    graph = model.graph
    graph.node.extend(nodes)
    graph.initializer.extend(
        [numpy_helper.from_array(array, name) for name, array in (arrays or {}).items()]
    )
    del graph.output[:]
    graph.output.extend(outputs)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    said = {"input": description(form)["input"], **described}
    if labels is not None:
        said["labels"] = list(labels)
    (folder / "model.json").write_text(json.dumps(said))
    return folder / "model.onnx"


def store_outside(file: Path, location: str, data_file: str | None) -> int:
    """Moves the first constant of a model to a file of external data; gives its size in bytes."""
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    data = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        tensor.external_data.add(key=key, value=text)
    file.write_bytes(model.SerializeToString())
    if data_file is not None:
        (file.parent / data_file).parent.mkdir(parents=True, exist_ok=True)
        (file.parent / data_file).write_bytes(data)
    return len(data)

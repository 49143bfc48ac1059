"""Model files as strangers publish them: each is broken in one way, and is made to be refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import colour_world

PLAIN = colour_world.MODELS["plain"]


def write_bad_models(folder: Path) -> dict[str, str]:
    """Writes one of each; gives what the recorded reason must say, by the model's name."""
    expected = {}
    for name, (write, reason) in BAD.items():
        write(folder / f"bad_{name}")
        expected[f"bad_{name}"] = reason
    return expected


def write_file(folder: Path, data: bytes, description: object = None) -> None:
    """model.onnx with these bytes, and a model.json if one is given."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(data)
    if description is not None:
        text = description if isinstance(description, str) else json.dumps(description)
        (folder / "model.json").write_text(text)


def graph(
    nodes: list[onnx.NodeProto],
    arrays: dict[str, Any] | None = None,
    shape: tuple[Any, ...] = ("n", 3, 16, 16),
    output: tuple[str, tuple[Any, ...]] = ("scores", ("n", 3)),
    domains: tuple[str, ...] = (),
) -> bytes:
    """A model of one float picture, unchecked."""
    made = helper.make_graph(
        nodes,
        "bad",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (arrays or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    data: bytes = helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def mean_colour(factors: tuple[float, ...], offsets: tuple[float, ...]) -> bytes:
    """Scores = mean colour * factors + offsets."""
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "factors"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["scores"]),
    ]
    arrays = {"factors": np.array(factors, "f4"), "offsets": np.array(offsets, "f4")}
    return graph(nodes, arrays)


def loop(body: list[onnx.NodeProto], scanned: int) -> bytes:
    """A loop of 2^62 rounds whose value enters the scores; `scanned` floats are kept a round."""
    inside = helper.make_graph(
        [*body, helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
            *(
                [helper.make_tensor_value_info("kept", TensorProto.FLOAT, [scanned])]
                if scanned
                else []
            ),
        ],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    results = ["last", "all"] if scanned else ["last"]
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Loop", ["rounds", "yes", "mean"], results, body=inside),
        helper.make_node("Add", ["mean", "last"], ["scores"]),
    ]
    return graph(nodes, {"rounds": np.int64(2**62), "yes": np.bool_(True)})


def _never_ends() -> bytes:
    return loop([helper.make_node("Mul", ["value", "half"], ["next"])], 0)


def _grows_without_bound() -> bytes:
    size = 4 << 20  # 16 MB a round
    shape = numpy_helper.from_array(np.array([size], np.int64), "size")
    filled = numpy_helper.from_array(np.array([1.0], np.float32))
    body = [
        helper.make_node("Constant", [], ["size"], value=shape),
        helper.make_node("ConstantOfShape", ["size"], ["kept"], value=filled),
        helper.make_node("Identity", ["value"], ["next"]),
    ]
    return loop(body, size)


def _changes_size() -> bytes:
    """As many scores as the picture has pixels above the middle, at least two."""
    nodes = [
        helper.make_node("Flatten", ["picture"], ["flat"]),
        helper.make_node("Greater", ["flat", "middle"], ["above"]),
        helper.make_node("Cast", ["above"], ["ones"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["ones", "one"], ["counts"], keepdims=0),
        helper.make_node("ReduceMax", ["counts"], ["most"], axes=[0], keepdims=1),
        helper.make_node("Add", ["most", "two"], ["end"]),
        helper.make_node("Slice", ["flat", "zero", "end", "one"], ["scores"]),
    ]
    arrays = {
        "middle": np.float32(0.5),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "zero": np.array([0], np.int64),
    }
    return graph(nodes, arrays, output=("scores", ("n", "many")))


def _no_picture_input() -> bytes:
    nodes = [helper.make_node("Mul", ["picture", "factor"], ["scores"])]
    return graph(nodes, {"factor": np.float32(2)}, ("n", 3), ("scores", ("n", 3)))


def _two_inputs() -> bytes:
    model = onnx.load_from_string(mean_colour((1, 1, 1), (0, 0, 0)))
    extra = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 3])
    model.graph.input.append(extra)
    model.graph.node.append(helper.make_node("Add", ["scores", "mask"], ["unused"]))
    data: bytes = model.SerializeToString()
    return data


def _output_of_pictures() -> bytes:
    return graph(
        [helper.make_node("Relu", ["picture"], ["scores"])], output=("scores", ("n", 3, 16, 16))
    )


def _custom_operator() -> bytes:
    node = helper.make_node("SecretSauce", ["picture"], ["scores"], domain="com.acme")
    return graph([node], domains=("com.acme",))


def _nan() -> bytes:
    return mean_colour((np.nan,) * 3, (0, 0, 0))


def _truncated() -> bytes:
    return colour_world.classifier_bytes(PLAIN)[:300]


def _good() -> bytes:
    return colour_world.classifier_bytes(PLAIN)


def _file(data: Callable[[], bytes], description: object = None) -> Callable[[Path], None]:
    return lambda folder: write_file(folder, data(), description)


def _folder_named_like_a_model(folder: Path) -> None:
    (folder / "model.onnx").mkdir(parents=True)
    (folder / "model.json").write_text("{}")


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (_file(lambda: b""), "empty"),
    "truncated": (_file(_truncated), "cut short"),
    "text": (_file(lambda: b"this is a shopping list, not a model\n" * 9), "not an ONNX file"),
    "output_rank": (_file(_output_of_pictures), "a classifier's output is [batch, classes]"),
    "no_picture": (_file(_no_picture_input), "input"),
    "two_inputs": (_file(_two_inputs), "2 inputs"),
    "all_nan": (_file(_nan), "NaN"),
    "never_ends": (_file(_never_ends), "no answer within"),
    "grows": (_file(_grows_without_bound), "memory"),
    "changes_size": (_file(_changes_size), "338"),
    "custom_operator": (_file(_custom_operator), "SecretSauce"),
    "json_broken": (_file(_good, "{not json"), "not JSON"),
    "json_list": (_file(_good, [1, 2]), "one JSON object"),
    "json_outside": (_file(_good, {"file": "../plain/model.onnx"}), "file"),
    "json_missing": (_file(_good, {"file": "nowhere.onnx"}), "nowhere.onnx"),
    "json_values": (_file(_good, {"input": {"scale": "0..7"}}), "input.scale"),
    "wrong_layout": (_file(_good, {"input": {"layout": "NHWC"}}), "layout"),
    "folder": (_folder_named_like_a_model, "model.json"),
}
"""How each is made, and a word that its recorded reason has."""

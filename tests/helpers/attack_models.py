"""Hostile model files, each made here: what each tries, and the word its refusal must hold.

An attack writes into a folder of its own. `Place` names what must not be touched: a secret outside
every model's folder, and a marker that appears only if something was executed.
"""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from onnx import TensorProto, helper, numpy_helper

from lagotto.core.parsing.protobuf import field_bytes, varint_bytes
from model_makers import Form, TfliteWriter, onnx_bytes, tflite_bytes

TERABYTE = 1 << 40
ENDLESS = "no answer within"
GOOD = Form()


@dataclass(frozen=True)
class Place:
    """What an attack may aim at: a secret file, and a file that only executed code makes."""

    secret: Path
    marker: Path


@dataclass(frozen=True)
class Attack:
    """`write` makes it in a folder of its own; `becomes` is a word of what must be recorded.

    "left out": it is never taken for a model. "harmless": it is probed, and nothing else happens.
    """

    kind: str
    tries: str
    write: Callable[[Path, Place], None]
    becomes: str


class Payload:
    """Executes a shell command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self._marker}'",)


def _write(folder: Path, data: bytes, said: object = None, name: str = "model.onnx") -> None:
    """A model file, with its model.json; an unknown field makes a good one differ from others."""
    if data == onnx_bytes(GOOD):
        data += _unknown(folder.name.encode())
    (folder / name).write_bytes(data)
    if said is not None:
        (folder / "model.json").write_text(said if isinstance(said, str) else json.dumps(said))


def _unknown(content: bytes) -> bytes:
    return varint_bytes(100 << 3 | 2) + varint_bytes(len(content)) + content


def _model(
    nodes: list[Any],
    arrays: list[Any],
    functions: tuple[Any, ...] = (),
    shape: tuple[Any, ...] = ("n", 3, 6, 4),
    scores: tuple[Any, ...] = ("n", 3),
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "attack",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, scores)],
        arrays,
    )
    domains = ("", "com.microsoft", "com.acme", "local")
    opsets = [helper.make_opsetid(name, 17 if not name else 1) for name in domains]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    data: bytes = made.SerializeToString()
    return data


def _mean(last: str) -> list[Any]:
    """Nodes from the picture to its mean colour "mean", and from `last` to the scores."""
    return [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["mean", last], ["scores"]),
    ]


# ------------------------------------------------------------------------------- external data


def _external(location: str) -> Any:
    """A tensor of three floats in another file."""
    tensor = TensorProto(name="away", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def _outside(separator: str) -> Callable[[Path, Place], None]:
    """The secret by its path from the folder; by its absolute path without a separator."""

    def write(folder: Path, place: Place) -> None:
        location = _way(folder, place).replace("/", separator) if separator else str(place.secret)
        _write(folder, _model(_mean("away"), [_external(location)]))

    return write


def _way(folder: Path, place: Place) -> str:
    return os.path.relpath(place.secret, folder)


def _external_link(folder: Path, place: Place) -> None:
    (folder / "weights.bin").symlink_to(place.secret)
    _write(folder, _model(_mean("away"), [_external("weights.bin")]))


def _external_twice(folder: Path, place: Place) -> None:
    """Two values in one entry: protobuf takes the last, a careless check the first."""
    (folder / "weights.bin").write_bytes(bytes(12))
    entry = field_bytes(1, b"location") + field_bytes(2, b"weights.bin")
    entry += field_bytes(2, _way(folder, place).encode())
    data = _model(_mean("away"), [])
    tensor = field_bytes(13, entry) + field_bytes(8, b"away") + b"\x08\x03\x10\x01\x70\x01"
    _write(folder, data + field_bytes(7, field_bytes(5, tensor)))


def _external_memory(folder: Path, place: Place) -> None:
    inside = folder / "*" / "_ORT_MEM_ADDR_"
    inside.mkdir(parents=True)
    (inside / "*").write_bytes(bytes(12))
    _write(folder, _model(_mean("away"), [_external("*/_ORT_MEM_ADDR_/*")]))


def _external_in_branch(folder: Path, place: Place) -> None:
    away = helper.make_node("Constant", [], ["branch"], value=_external(_way(folder, place)))
    leaving = [helper.make_tensor_value_info("branch", TensorProto.FLOAT, [3])]
    branch = helper.make_graph([away], "branch", [], leaving)
    chosen = helper.make_node("If", ["yes"], ["away"], then_branch=branch, else_branch=branch)
    _write(folder, _model([chosen, *_mean("away")], [_constant(np.bool_(True), "yes")]))


def _external_terabyte(folder: Path, place: Place) -> None:
    _hole(folder / "weights.bin")
    _write(folder, _model(_mean("away"), [_external("weights.bin")]))


def _hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(TERABYTE)


def _constant(value: Any, name: str) -> Any:
    return numpy_helper.from_array(np.asarray(value), name)


# --------------------------------------------------------------------- larger than they look


def _huge_weights(folder: Path, place: Place) -> None:
    tensor = TensorProto(name="away", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20])
    _write(folder, _model(_mean("away"), [tensor]))


def _huge_input(folder: Path, place: Place) -> None:
    shape = ("n", 3, 100_000, 100_000)
    _write(folder, _model(_mean("zero"), [_constant(np.float32(0), "zero")], shape=shape))


def _huge_output(folder: Path, place: Place) -> None:
    _write(folder, _model(_mean("zero"), [_constant(np.float32(0), "zero")], scores=(1, 10**11)))


def _function_bomb(folder: Path, place: Place) -> None:
    """30 functions, each calling the next one ten times: 10^30 operators from 3 kB."""
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    functions = []
    for level in range(30):
        called = f"f{level + 1}" if level < 29 else "Identity"
        names = ["x", *(f"v{i}" for i in range(9)), "y"]
        domain = "local" if level < 29 else ""
        nodes = [helper.make_node(called, [a], [b], domain=domain) for a, b in pairwise(names)]
        made = helper.make_function("local", f"f{level}", ["x"], ["y"], nodes, opset)
        functions.append(made)
    first = helper.make_node("f0", ["mean"], ["same"], domain="local")
    _write(folder, _model([first, *_mean("same")], [], tuple(functions)))


def _function_for_ever(folder: Path, place: Place) -> None:
    opset = [helper.make_opsetid("local", 1)]
    nodes = [helper.make_node("f", ["x"], ["y"], domain="local")]
    made = helper.make_function("local", "f", ["x"], ["y"], nodes, opset)
    first = helper.make_node("f", ["mean"], ["same"], domain="local")
    _write(folder, _model([first, *_mean("same")], [], (made,)))


def _nested_graphs(folder: Path, place: Place) -> None:
    graph = b""
    for _ in range(2_000):
        attribute = field_bytes(1, b"body") + field_bytes(6, graph)
        graph = field_bytes(1, field_bytes(4, b"If") + field_bytes(5, attribute))
    scores = field_bytes(12, field_bytes(1, b"scores"))
    _write(folder, field_bytes(7, graph + scores))


def _many_nodes(folder: Path, place: Place) -> None:
    node = field_bytes(1, b"x") + field_bytes(2, b"x") + field_bytes(4, b"Relu")
    scores = field_bytes(12, field_bytes(1, b"scores"))
    _write(folder, field_bytes(7, field_bytes(1, node) * 40_000 + scores))


def _many_fields(folder: Path, place: Place) -> None:
    """Fields without content, two bytes each."""
    _write(folder, field_bytes(7, b"\x0a\x00" * 1_000_000))


def _model_terabyte(folder: Path, place: Place) -> None:
    _hole(folder / "model.onnx")


# ---------------------------------------------------------------------------- bombs that run


def _loop(folder: Path, kept: int) -> None:
    """A loop of 2^62 rounds; `kept` floats are kept a round."""
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Mul", ["value", "half"], ["next"]),
    ]
    leaving = [("go_on", TensorProto.BOOL, []), ("next", TensorProto.FLOAT, None)]
    if kept:
        size = _constant(np.array([kept], np.int64), "size")
        one = _constant(np.array([1], np.float32), "one")
        nodes.append(helper.make_node("Constant", [], ["size"], value=size))
        nodes.append(helper.make_node("ConstantOfShape", ["size"], ["kept"], value=one))
        leaving.append(("kept", TensorProto.FLOAT, [kept]))
    body = helper.make_graph(
        nodes,
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info(*value) for value in leaving],
        [_constant(np.float32(0.5), "half")],
    )
    outputs = ["last", "all"] if kept else ["last"]
    loop = helper.make_node("Loop", ["rounds", "yes", "mean"], outputs, body=body)
    first, last = _mean("last")
    arrays = [_constant(np.int64(2**62), "rounds"), _constant(np.bool_(True), "yes")]
    _write(folder, _model([first, loop, last], arrays))


def _memory_at_once(folder: Path, place: Place) -> None:
    shape = _constant(np.array([64 << 30], np.int64), "size")
    filled = helper.make_node("ConstantOfShape", ["size"], ["filled"])
    added = helper.make_node("ReduceMax", ["filled"], ["most"], keepdims=0)
    _write(folder, _model([filled, added, *_mean("most")], [shape]))


# --------------------------------------------------------------- code under another's name


def _custom_operator(folder: Path, place: Place) -> None:
    node = helper.make_node("Shell", ["mean"], ["run"], domain="com.acme")
    _write(folder, _model([node, *_mean("run")], []))


def _compiled_binary(folder: Path, place: Place) -> None:
    named = {"embed_mode": 0, "ep_cache_context": "/lib/x86_64-linux-gnu/libc.so.6"}
    node = helper.make_node("EPContext", ["mean"], ["run"], domain="com.microsoft", **named)
    _write(folder, _model([node, *_mean("run")], []))


def _pickle(name: str) -> Callable[[Path, Place], None]:
    def write(folder: Path, place: Place) -> None:
        _write(folder, pickle.dumps([name, Payload(place.marker)]), name=name)

    return write


def _torch_archive(folder: Path, place: Place) -> None:
    with zipfile.ZipFile(folder / "model.onnx", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(place.marker)))
        archive.writestr("archive/version", "3")


def _pickled_labels(folder: Path, place: Place) -> None:
    (folder / "labels.txt").write_bytes(pickle.dumps(Payload(place.marker)))
    _write(folder, onnx_bytes(GOOD), {"labels": "labels.txt"})


def _polyglot(folder: Path, place: Place) -> None:
    """A good ONNX file that is a zip with a pickle in it as well."""
    data = onnx_bytes(GOOD)
    with zipfile.ZipFile(folder / "tail", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(place.marker)))
    tail = (folder / "tail").read_bytes()
    (folder / "tail").unlink()
    _write(folder, data + _unknown(tail))


# ------------------------------------------------------------------------------------ TFLite


def _tflite(writer: TfliteWriter, folder: Path, ends: tuple[int, int]) -> None:
    _write(folder, writer.pack([ends[0]], [ends[1]]), name="model.tflite")


def _flex(folder: Path, place: Place) -> None:
    writer = TfliteWriter()
    picture = writer.tensor("picture", [1, 6, 4, 3], "float32")
    scores = writer.tensor("scores", [1, 3], "float32")
    writer.operator(tfl.BuiltinOperator.CUSTOM, [picture], [scores], custom="FlexPyFunc")
    _tflite(writer, folder, (picture, scores))


def _custom_in_branch(folder: Path, place: Place) -> None:
    """A custom operator in a graph that the main one does not name."""
    writer = TfliteWriter()
    picture = writer.tensor("picture", [1, 3], "float32")
    scores = writer.tensor("scores", [1, 3], "float32")
    writer.operator(tfl.BuiltinOperator.ABS, [picture], [scores])
    main, writer.graph = writer.graph, tfl.SubGraphT()
    writer.graph.tensors, writer.graph.operators = [], []
    inner = writer.tensor("inner", [1, 3], "float32")
    writer.operator(tfl.BuiltinOperator.CUSTOM, [inner], [inner], custom="LoadLibrary")
    writer.graph.inputs, writer.graph.outputs = [inner], [inner]
    writer.model.subgraphs.append(writer.graph)
    writer.graph = main
    _tflite(writer, folder, (picture, scores))


def _huge_tflite(folder: Path, place: Place) -> None:
    writer = TfliteWriter()
    picture = writer.tensor("picture", [1, 6, 4, 3], "float32")
    scores = writer.tensor("scores", [1, 1 << 30, 1 << 10], "float32")
    writer.operator(tfl.BuiltinOperator.ABS, [picture], [scores])
    _tflite(writer, folder, (picture, scores))


def _shared_lists(folder: Path, place: Place) -> None:
    """A hundred thousand times the same tensor, which has 60 sizes."""
    builder = flatbuffers.Builder(1 << 20)
    sizes = builder.CreateNumpyVector(np.ones(60, np.int32))
    tfl.TensorStart(builder)
    tfl.TensorAddShape(builder, sizes)
    tensor = tfl.TensorEnd(builder)
    tensors = _offsets(builder, [tensor] * 100_000)
    ends = builder.CreateNumpyVector(np.zeros(1, np.int32))
    tfl.SubGraphStart(builder)
    tfl.SubGraphAddTensors(builder, tensors)
    tfl.SubGraphAddInputs(builder, ends)
    tfl.SubGraphAddOutputs(builder, ends)
    graphs = _offsets(builder, [tfl.SubGraphEnd(builder)])
    tfl.ModelStart(builder)
    tfl.ModelAddVersion(builder, 3)
    tfl.ModelAddSubgraphs(builder, graphs)
    builder.Finish(tfl.ModelEnd(builder), b"TFL3")
    _write(folder, bytes(builder.Output()), name="model.tflite")


def _offsets(builder: flatbuffers.Builder, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    place: int = builder.EndVector()
    return place


def _wild_offsets(folder: Path, place: Place) -> None:
    data = bytearray(tflite_bytes(Form("tflite", "NHWC")))
    data[:4] = (len(data) - 2).to_bytes(4, "little")
    _write(folder, bytes(data), name="model.tflite")


# ------------------------------------------------------------------------- paths and texts


def _link_out(folder: Path, place: Place) -> None:
    (folder / "model.onnx").symlink_to(place.secret)


def _queue(folder: Path, place: Place) -> None:
    os.mkfifo(folder / "model.onnx")


def _said(said: object) -> Callable[[Path, Place], None]:
    return lambda folder, place: _write(folder, onnx_bytes(GOOD), said)


def _labels_link(folder: Path, place: Place) -> None:
    (folder / "labels.txt").symlink_to(place.secret)
    _write(folder, onnx_bytes(GOOD), {"labels": "labels.txt"})


NASTY = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31m red",
    '=HYPERLINK("http://x","cat")',
    "<script>document.title='owned'</script>",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u202egnp.exe \u009b2J \u2028 [link=file:///etc/passwd]",
)
"""Labels that a terminal, a spreadsheet or a browser would act on; as many as GOOD has outputs."""

ATTACKS: dict[str, Attack] = {
    "external_up": Attack(
        "external data", "weights in ../", _outside("/"), "not inside"
    ),
    "external_absolute": Attack(
        "external data", "weights at an absolute path", _outside(""), "not inside"
    ),
    "external_windows": Attack(
        "external data", "weights in ..\\", _outside("\\"), "not inside"
    ),
    "external_link": Attack(
        "external data", "weights are a link out of the folder", _external_link, "not inside"
    ),
    "external_twice": Attack(
        "external data", "two names in one entry", _external_twice, "not inside"
    ),
    "external_memory": Attack(
        "external data", "a name that stands for memory", _external_memory, "stands for memory"
    ),
    "external_in_branch": Attack(
        "external data", "weights in ../, inside an If", _external_in_branch, "not inside"
    ),
    "external_terabyte": Attack(
        "size", "weights with a hole of a terabyte", _external_terabyte, "at most"
    ),
    "model_terabyte": Attack("size", "a model of a terabyte", _model_terabyte, "at most"),
    "huge_weights": Attack("size", "declares 2^40 weights", _huge_weights, "declares a tensor"),
    "huge_input": Attack("size", "pictures of 100,000 x 100,000", _huge_input, "declares a tensor"),
    "huge_output": Attack("size", "10^11 classes", _huge_output, "declares a tensor"),
    "function_bomb": Attack("size", "10^30 operators in 3 kB", _function_bomb, "written out"),
    "function_for_ever": Attack(
        "size", "a function that calls itself", _function_for_ever, "call each other"
    ),
    "nested_graphs": Attack("size", "graphs 2,000 deep", _nested_graphs, "nested"),
    "many_nodes": Attack("size", "40,000 operators", _many_nodes, "operators"),
    "many_fields": Attack("size", "1,000,000 empty fields", _many_fields, "fields"),
    "endless_loop": Attack(
        "run", "2^62 rounds of a loop", lambda folder, place: _loop(folder, 0), ENDLESS
    ),
    "growing_loop": Attack(
        "run", "16 MB more a round", lambda folder, place: _loop(folder, 4 << 20), "memory"
    ),
    "memory_at_once": Attack("run", "256 GB at once", _memory_at_once, "memory"),
    "custom_operator": Attack("code", "an operator of a library", _custom_operator, "not built in"),
    "compiled_binary": Attack("code", "names a compiled binary", _compiled_binary, "not built in"),
    "pickle_onnx": Attack("code", "a pickle called .onnx", _pickle("model.onnx"), "not an ONNX"),
    "pickle_tflite": Attack(
        "code", "a pickle called .tflite", _pickle("model.tflite"), "not a TFLite"
    ),
    "torch_archive": Attack("code", "a torch archive called .onnx", _torch_archive, "PyTorch"),
    "pickled_labels": Attack("code", "labels.txt is a pickle", _pickled_labels, "labels.txt"),
    "polyglot": Attack("code", "ONNX that is a zip with a pickle too", _polyglot, "harmless"),
    "flex": Attack("code", "TFLite that calls Python (Flex)", _flex, "not built in"),
    "custom_in_branch": Attack(
        "code", "a custom operator in a TFLite side graph", _custom_in_branch, "not built in"
    ),
    "huge_tflite": Attack("size", "a TFLite tensor of 2^40", _huge_tflite, "declares a tensor"),
    "shared_lists": Attack("size", "6,000,000 sizes from 400 kB", _shared_lists, "in all"),
    "wild_offsets": Attack("size", "offsets past the end", _wild_offsets, "cut short"),
    "link_out": Attack("path", "model.onnx is a link out of the folder", _link_out, "left out"),
    "queue": Attack("path", "model.onnx is a named pipe", _queue, "left out"),
    "file_up": Attack("path", 'model.json: "file" in ../', _said({"file": "../x.onnx"}), "file"),
    "labels_up": Attack(
        "path", 'model.json: "labels" in ../', _said({"labels": "../../secret.bin"}), "not inside"
    ),
    "labels_link": Attack("path", "labels.txt is a link out", _labels_link, "not inside"),
    "name_half": Attack(
        "path", "a file name with half a character", _said('{"file": "x\\ud800.onnx"}'),
        "no such file",
    ),
    "json_deep": Attack("text", "model.json 100,000 deep", _said("[" * 100_000), "nested"),
    "json_number": Attack(
        "text", "a number of 400 digits", _said('{"input": {"mean": 1' + "0" * 400 + "}}"), "mean"
    ),
    "nasty_labels": Attack(
        "text", "labels that a terminal or spreadsheet obeys", _said({"labels": list(NASTY)}),
        "harmless",
    ),
    "nasty_name": Attack(
        "text", "a name that a terminal obeys",
        _said({"name": "\x1b[2J\u202ecat\x07", "labels": list(NASTY)}), "harmless",
    ),
}  # fmt: skip
"""By the name of their folder."""


def write_attacks(folder: Path, place: Place, attacks: dict[str, Attack]) -> Path:
    """Every attack in a folder of its own, a good model among them.

    Those that only time ends are under `folder / "endless"`, those that memory ends under "bombs",
    all others under "files".
    """
    for name, attack in attacks.items():
        home = "bombs" if attack.kind == "run" else "files"
        place_of = folder / ("endless" if attack.becomes == ENDLESS else home) / name
        place_of.mkdir(parents=True)
        attack.write(place_of, place)
    for good in (folder / "bombs" / "good_too", folder / "files" / "good"):
        good.mkdir()
        _write(good, onnx_bytes(GOOD))
    return folder

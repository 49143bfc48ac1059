"""ONNX files: graphs cut, external data kept in, bad files named in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lagotto.core.errors import LagottoError, ModelError
from lagotto.core.parsing import protobuf as wire
from lagotto.core.parsing.onnx_survey import survey_onnx
from lagotto.models.files.activation import find_activation
from lagotto.models.files.onnx_graph import (
    external_files,
    read_onnx_graph,
    with_onnx_output,
)
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model
from model_makers import Form, expected_logits, onnx_bytes, pictures, resave, write_model


def load(file: Path) -> Any:
    return load_model(scan_models([file])[0])


def save(file: Path, nodes: list[Any], outputs: list[Any], arrays: dict[str, Any]) -> Path:
    """A model of one picture input [n, 3, 4, 4] and the given rest."""
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 4, 4])
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", [picture], outputs, initializers)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), file)
    return file


def scores(name: str, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


MEAN = helper.make_node("ReduceMean", ["picture"], ["means"], axes=[2, 3], keepdims=0)


def test_adding_an_output_keeps_the_rest_as_the_onnx_package_reads_it() -> None:
    data = onnx_bytes(Form(ending="softmax"))
    before = onnx.load_from_string(data)
    after = onnx.load_from_string(with_onnx_output(data, "scores"))
    assert [value.name for value in after.graph.output] == ["probabilities", "scores"]
    del after.graph.output[1]
    assert after == before


def test_every_file_of_the_maker_is_read_as_the_onnx_package_reads_it() -> None:
    for ending in ("none", "spelled_out", "integer_softmax"):
        data = onnx_bytes(Form(ending=ending))
        graph, truth = read_onnx_graph(data), onnx.load_from_string(data).graph
        assert graph.outputs == tuple(value.name for value in truth.output)
        assert set(graph.tensors) == {tensor.name for tensor in truth.initializer}
        for node in truth.node:
            read = graph.producers[node.output[0]]
            assert (read.op, read.inputs) == (node.op_type, tuple(node.input))


def test_the_walk_back_goes_over_shapes_and_casts_and_stops_elsewhere() -> None:
    passing = ["Identity", "Cast", "Reshape", "Squeeze", "QuantizeLinear", "DequantizeLinear"]
    nodes = [helper.make_node("Softmax", ["x"], ["0"])]
    nodes += [helper.make_node(op, [str(i)], [str(i + 1)]) for i, op in enumerate(passing)]
    nodes.append(helper.make_node("Add", [str(len(passing))], ["added"]))
    model = helper.make_model(helper.make_graph(nodes, "g", [], [scores("6", 1)]))
    graph = read_onnx_graph(model.SerializeToString())
    found = find_activation(graph.producers, "6")
    assert found is not None
    assert (found.kind, found.feed) == ("softmax", "x")
    assert find_activation(graph.producers, "added") is None
    assert find_activation(graph.producers, "x") is None


def test_the_walk_back_ends_on_a_graph_that_bites_its_tail() -> None:
    nodes = [helper.make_node("Identity", ["a"], ["b"]), helper.make_node("Cast", ["b"], ["a"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [scores("a", 1)]))
    assert find_activation(read_onnx_graph(model.SerializeToString()).producers, "a") is None


def test_two_softmaxes_are_both_cut(tmp_path: Path) -> None:
    nodes = [MEAN, helper.make_node("Softmax", ["means"], ["p"])]
    nodes.append(helper.make_node("Softmax", ["p"], ["pp"]))
    model = load(save(tmp_path / "m.onnx", nodes, [scores("pp", "n", 3)], {}))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    assert model.spec.logits_source == "cut"
    assert np.allclose(model.logits(pixels), pixels.mean(axis=(1, 2)) / 255, atol=1e-6)


def test_a_softmax_of_maps_is_squeezed_and_one_of_many_heads_is_logged(tmp_path: Path) -> None:
    pool = helper.make_node("GlobalAveragePool", ["picture"], ["pooled"])
    nodes = [pool, helper.make_node("Softmax", ["pooled"], ["p"], axis=1)]
    nodes.append(helper.make_node("Flatten", ["p"], ["flat"]))
    model = load(save(tmp_path / "maps.onnx", nodes, [scores("flat", "n", 3)], {}))
    assert (model.spec.outputs, model.spec.logits_source) == (3, "cut")
    two = {"pair": np.array([-1, 24, 2]), "flat": np.array([-1, 48])}
    nodes = [
        helper.make_node("Reshape", ["picture", "pair"], ["heads"]),
        helper.make_node("Softmax", ["heads"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["rows"]),
    ]
    model = load(save(tmp_path / "heads.onnx", nodes, [scores("rows", "n", 48)], two))
    assert (model.spec.outputs, model.spec.logits_source) == (48, "log")
    assert "cannot be read" in model.spec.notes[-1]


def test_logits_published_beside_probabilities_are_taken(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["picture"], ["logits"], axes=[2, 3], keepdims=0)]
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"]))
    for first, second in [("logits", "probabilities"), ("probabilities", "logits")]:
        outputs = [scores(first, "n", 3), scores(second, "n", 3)]
        model = load(save(tmp_path / f"{first}.onnx", nodes, outputs, {}))
        assert np.allclose(model.logits(np.full((1, 4, 4, 3), 51, np.uint8)), 0.2)


def test_weights_outside_the_file_but_inside_the_folder(tmp_path: Path) -> None:
    form = Form(ending="softmax")
    file = write_model(form, tmp_path / "m")
    model = onnx.load(file)
    save_as = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 16}
    onnx.save(model, file, **save_as)
    survey = survey_onnx(file.read_bytes(), ModelError)
    assert external_files(survey, file.parent) == (file.parent / "w.bin",)
    pixels = pictures(form, 2)
    assert np.allclose(load(file).logits(pixels), expected_logits(form, pixels), atol=1e-5)
    (file.parent / "w.bin").rename(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="no such file"):
        load(file)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "link.bin"])
@pytest.mark.parametrize("deep", [False, True])
def test_external_data_elsewhere_is_refused(location: str, deep: bool, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(1000))
    folder = tmp_path / "m"
    file = write_model(Form(), folder)
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")

    def send_away(model: Any) -> None:
        tensor = model.graph.initializer[0]
        if deep:  # in the constant of a branch that never runs
            branch = helper.make_graph([], "branch", [], [])
            node = helper.make_node("If", ["x"], ["y"], then_branch=branch)
            model.graph.node.append(node)
            tensor = model.graph.node[-1].attribute[0].g.initializer.add()
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    data = onnx.load(file)
    send_away(data)
    file.write_bytes(data.SerializeToString())
    with pytest.raises(ModelError, match=r"external data file is .* not inside"):
        load(file)


def test_external_data_is_found_as_deep_as_it_may_lie(tmp_path: Path) -> None:
    """A graph in a graph in a graph; 5,000 deep it is refused without any recursion of ours."""
    tensor = wire.field_bytes(
        13, wire.field_bytes(1, b"location") + wire.field_bytes(2, b"/etc/passwd")
    )
    graph = wire.field_bytes(5, tensor)
    for depth in range(5_000):
        graph = wire.field_bytes(1, wire.field_bytes(5, wire.field_bytes(6, graph)))
        if depth == 30:
            survey = survey_onnx(wire.field_bytes(7, graph), ModelError)
            with pytest.raises(ModelError, match="/etc/passwd"):
                external_files(survey, tmp_path)
    with pytest.raises(ModelError, match="nested more than 32 deep"):
        survey_onnx(wire.field_bytes(7, graph), ModelError)


BAD_BYTES = {
    "empty": (b"", "is empty"),
    "text": (b"This is not a model, it is a letter.\n" * 9, "not an ONNX file"),
    "json": (b'{"format": "onnx"}', "not an ONNX file"),
    "zeros": (bytes(4096), "m.onnx is filled with zeros"),
    "git pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "web page": (b"<!DOCTYPE html>\n<html><title>Sign in</title>", r"web page \('Sign in'\)"),
    "answer": (b'{"error":"Repository not found"}', "'Repository not found'"),
    "archive": (b"PK\x03\x04" + bytes(60), "m.onnx is a zip archive; unpack it first"),
    "half": (onnx_bytes(Form())[: len(onnx_bytes(Form())) // 2], "cut short"),
    "no graph": (b"\x08\x08", "holds no graph"),
}


@pytest.mark.parametrize("name", sorted(BAD_BYTES))
def test_files_that_are_not_models(name: str, tmp_path: Path) -> None:
    data, complaint = BAD_BYTES[name]
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=complaint) as error:
        load(tmp_path / "m.onnx")
    assert "\n" not in str(error.value)


def test_a_file_with_endless_fields_is_given_up() -> None:
    reader = wire.WireReader(b"\x08\x01" * 100, ModelError, left=50)
    with pytest.raises(ModelError, match="it is not a model"):
        list(reader.fields((0, 200)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_an_error_of_ours(data: st.DataObject) -> None:
    whole = onnx_bytes(Form(ending="integer_softmax"))
    broken = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        graph = read_onnx_graph(bytes(broken))
        for output in graph.outputs:
            found = find_activation(graph.producers, output)
            if found is not None:
                graph.quantization(*found.node.inputs[:2], *[None] * (2 - len(found.node.inputs)))
        external_files(survey_onnx(bytes(broken), ModelError), Path("."))
    except LagottoError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_models_that_are_no_classifiers(tmp_path: Path) -> None:
    same = helper.make_node("Identity", ["picture"], ["maps"])
    top = helper.make_node("ArgMax", ["means"], ["best"], axis=1)
    best = helper.make_tensor_value_info("best", TensorProto.INT64, ["n", 1])
    nan = helper.make_node("Mul", ["means", "nan"], ["y"])
    unknown = helper.make_node("Magic", ["picture"], ["y"], domain="nowhere")
    for nodes, outputs, arrays, complaint in [
        ([same], [scores("maps", "n", 3, 4, 4)], {}, r"shape \[1, 3, 4, 4\]"),
        ([MEAN, top], [best], {}, "dtype int64"),
        ([MEAN, nan], [scores("y", "n", 3)], {"nan": np.float32("nan")}, "NaN or infinite"),
        ([unknown], [scores("y", "n", 3)], {}, "needs the operator 'Magic' of 'nowhere'"),
    ]:
        file = save(tmp_path / "m.onnx", nodes, outputs, arrays)
        with pytest.raises(ModelError, match=complaint) as error:
            load(file)
        assert "\n" not in str(error.value)


def test_a_model_that_fails_while_it_runs(tmp_path: Path) -> None:
    arrays = {"shape": np.array([7, 7])}
    nodes = [helper.make_node("Reshape", ["picture", "shape"], ["y"])]
    file = save(tmp_path / "m.onnx", nodes, [scores("y", "a", "b")], arrays)
    with pytest.raises(ModelError, match="onnxruntime cannot run"):
        load(file)


def test_inputs_that_are_no_picture(tmp_path: Path) -> None:
    def two(model: Any) -> None:
        model.graph.input.append(scores("mask", 1))
        last = model.graph.node[-1]
        last.output[0] = "plain"
        model.graph.node.append(helper.make_node("Mul", ["plain", "mask"], ["scores"]))

    def wide(model: Any) -> None:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT16

    for change, complaint in [(two, "has 2 inputs .*'mask'"), (wide, "is uint16; allowed: float")]:
        file = write_model(Form(), tmp_path / "m", described=False)
        resave(file, change)
        with pytest.raises(ModelError, match=complaint):
            load(file)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"size": [9, 9]}, r"input.size \[9, 9\], but the model's input is \[\?, 3, 6, 4\]"),
        ({"layout": "NHWC"}, "input.layout NHWC, but"),
        ({"dtype": "int8"}, "input.dtype int8, but the model's input is float32"),
    ],
)
def test_model_json_against_the_file(said: Any, complaint: str, tmp_path: Path) -> None:
    file = write_model(Form(), tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"input": said}))
    with pytest.raises(ModelError, match=complaint):
        load(file)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 3))
def test_threads_do_not_change_the_answer(tmp_path: Path, threads: int) -> None:
    source = scan_models([write_model(Form(), tmp_path)])[0]
    pixels = pictures(Form(), 3)
    one, many = load_model(source), load_model(source, threads=threads)
    assert np.allclose(one.logits(pixels), many.logits(pixels), atol=1e-5)

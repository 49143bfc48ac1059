"""Headers read by hand against those that the onnx package reads."""

from contextlib import suppress
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from encoder_makers import DIM, EDGE, FORMS, Form, write_encoder
from lagotto.core.errors import EncoderError
from lagotto.encoders.graph_header import read_graph_header


@pytest.mark.parametrize("form", sorted(FORMS))
def test_headers_are_those_of_the_onnx_package(form: str, tmp_path: Path) -> None:
    for file in write_encoder(tmp_path, FORMS[form]).rglob("*.onnx"):
        graph = onnx.load(file, load_external_data=False).graph
        header = read_graph_header(file)
        for found, expected in ((header.inputs, graph.input), (header.outputs, graph.output)):
            assert list(found) == [value.name for value in expected]
            for value in expected:
                tensor = value.type.tensor_type
                shape = tuple(d.dim_value or None for d in tensor.shape.dim)
                assert found[value.name].shape == shape
                dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
                assert found[value.name].dtype == dtype.name
        assert header.operators == {node.op_type for node in graph.node}


def test_weights_beside_the_graph_are_named(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, Form(external=True))
    assert read_graph_header(folder / "text_model.onnx").weight_files == ("text_model.bin",)


def test_weights_of_a_constant_node_are_named(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(onnx.numpy_helper.np.ones(3, "float32"), "w")
    onnx.external_data_helper.set_external_data(tensor, location="far.bin")
    node = helper.make_node("Constant", [], ["y"], value=tensor)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    model = helper.make_model(helper.make_graph([node], "g", [], [output]))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert read_graph_header(tmp_path / "m.onnx").weight_files == ("far.bin",)


def test_weights_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    file = write_encoder(tmp_path) / "vision_model.onnx"
    model = onnx.load(file)
    for weight in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        )
    onnx.save(model, file)
    assert list(read_graph_header(file).inputs) == ["pixel_values"]


def test_open_and_unknown_dimensions_are_none(tmp_path: Path) -> None:
    header = read_graph_header(write_encoder(tmp_path) / "vision_model.onnx")
    pixels, output = header.inputs["pixel_values"], header.outputs["image_embeds"]
    assert [pixels.fixed(axis) for axis in range(5)] == [None, 3, EDGE, EDGE, None]
    assert output.fixed(-1) == DIM


def test_negative_dimensions_are_open(tmp_path: Path) -> None:
    file = write_encoder(tmp_path) / "vision_model.onnx"
    model = onnx.load(file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(model, file)
    assert read_graph_header(file).inputs["pixel_values"].fixed(0) is None


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "m.onnx is empty"),
        (b"not an ONNX graph at all\n" * 20, "not an ONNX graph"),
        (b"\x00" * 64, "m.onnx is filled with zeros"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "m.onnx is a Git LFS pointer"),
        (b"<html><title>Sign in</title></html>", "m.onnx is a saved web page"),
    ],
)
def test_what_is_no_graph_is_refused(content: bytes, named: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(EncoderError, match=named) as caught:
        read_graph_header(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("damaged"))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject, written: Path) -> None:
    folder = written.parent
    whole = (written / "text_model.onnx").read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1), label="cut")
    (folder / "cut.onnx").write_bytes(whole[:cut])
    with pytest.raises(EncoderError):
        read_graph_header(folder / "cut.onnx")
    flipped = bytearray(whole)
    flipped[cut] ^= data.draw(st.integers(1, 255), label="flip")
    (folder / "flipped.onnx").write_bytes(flipped)
    with suppress(EncoderError):
        read_graph_header(folder / "flipped.onnx")

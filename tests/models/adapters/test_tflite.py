"""TFLite files: outputs moved, quick kernels refused, bad files named in one line."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from lagotto.core.errors import LagottoError, ModelError
from lagotto.core.types import ModelSource
from lagotto.models.adapters.tflite import load_tflite
from lagotto.models.files.flatbuffer import FlatTable
from lagotto.models.files.tflite_graph import read_tflite_graph, with_tflite_output
from lagotto.models.registry import load_model
from model_makers import Form, TfliteWriter, expected_logits, pictures, tflite_bytes, write_model

SOFTMAXED = Form("tflite", "NHWC", ending="softmax")


def source(data: bytes, folder: Path) -> ModelSource:
    (folder / "m.tflite").write_bytes(data)
    return ModelSource("m", folder / "m.tflite", {"input": {"scale": "0..1", "channels": "RGB"}})


def test_the_graph_is_read_as_the_schema_reads_it() -> None:
    data = tflite_bytes(Form("tflite", "NHWC", dtype="uint8", ending="softmax"))
    graph = read_tflite_graph(data)
    truth = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(data)).subgraphs[0]
    assert graph.inputs == tuple(truth.inputs)
    assert graph.outputs == tuple(truth.outputs)
    for mine, theirs in zip(graph.tensors, truth.tensors, strict=True):
        assert mine.name == theirs.name.decode()
        assert mine.shape == tuple(theirs.shape)
        if theirs.quantization is not None and theirs.quantization.scale is not None:
            assert mine.quantization is not None
            assert mine.quantization.scale == theirs.quantization.scale[0]
            assert mine.quantization.zero_point == theirs.quantization.zeroPoint[0]
    assert {node.op for node in graph.producers.values()} >= {"Softmax", "QuantizeLinear"}


def test_moving_an_output_changes_four_bytes() -> None:
    data = tflite_bytes(SOFTMAXED)
    graph = read_tflite_graph(data)
    moved = with_tflite_output(data, graph, 0, 3)
    assert read_tflite_graph(moved).outputs == (3,)
    assert len(moved) == len(data)
    assert sum(a != b for a, b in zip(moved, data, strict=True)) == 1


def test_outputs_that_share_their_bytes_with_an_operator_are_left_alone() -> None:
    data = bytearray(tflite_bytes(SOFTMAXED))
    graph = read_tflite_graph(bytes(data))
    model = tfl.Model.GetRootAs(data)
    main = model.Subgraphs(0)
    operator = main.Operators(1)
    at = operator._tab.Pos + operator._tab.Offset(8)  # its list of outputs
    data[at : at + 4] = (graph.outputs_at - 4 - at).to_bytes(4, "little")
    with pytest.raises(ModelError, match="shared"):
        with_tflite_output(bytes(data), read_tflite_graph(bytes(data)), 0, 3)


class Refusing:
    """An interpreter whose quick kernels refuse, when allocating or when run."""

    def __init__(self, when: str, log: list[Any], **options: Any) -> None:
        log.append(options["experimental_op_resolver_type"])
        self._real = Interpreter(**options)
        self._when = when if log[-1] == OpResolverType.AUTO else "never"

    def __getattr__(self, name: str) -> Any:
        if name == self._when:
            raise RuntimeError("XNNPack delegate failed to\nreshape runtime")
        return getattr(self._real, name)


@pytest.mark.parametrize("when", ["allocate_tensors", "invoke"])
def test_plain_kernels_run_what_the_quick_ones_refuse(when: str, tmp_path: Path) -> None:
    log: list[Any] = []
    model = load_tflite(
        source(tflite_bytes(SOFTMAXED), tmp_path),
        make_interpreter=lambda **options: Refusing(when, log, **options),
    )
    pixels = pictures(SOFTMAXED, 3)
    assert model.spec.notes == (
        "XNNPACK refused the model, plain kernels used: XNNPack delegate failed to reshape runtime",
    )
    assert log == [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES]
    assert np.allclose(model.logits(pixels), expected_logits(SOFTMAXED, pixels), atol=1e-5)


def test_custom_operators_are_named(tmp_path: Path) -> None:
    writer = TfliteWriter()
    picture = writer.tensor("picture", [1, 4, 4, 3], "float32")
    output = writer.tensor("y", [1, 5], "float32")
    writer.operator(tfl.BuiltinOperator.CUSTOM, [picture], [output], custom="FlexErf")
    with pytest.raises(ModelError, match="custom operator 'FlexErf'"):
        load_model(source(writer.pack([picture], [output]), tmp_path))


def test_models_that_are_no_classifiers(tmp_path: Path) -> None:
    writer = TfliteWriter()
    picture = writer.tensor("picture", [1, 4, 4, 3], "float32")
    maps = writer.tensor("maps", [1, 4, 4, 3], "float32")
    writer.operator(tfl.BuiltinOperator.ABS, [picture], [maps])
    with pytest.raises(ModelError, match=r"'maps' has shape \[1, 4, 4, 3\]"):
        load_model(source(writer.pack([picture], [maps]), tmp_path))
    writer = TfliteWriter()
    words = writer.tensor("words", [1, 8, 8, 3], "int16")
    with pytest.raises(ModelError, match="'words' is int16; allowed: float32"):
        load_model(source(writer.pack([words], [words]), tmp_path))


WHOLE = tflite_bytes(SOFTMAXED)
BAD_BYTES = {
    "empty": (b"", "is empty"),
    "text": (b"This is not a model.\n" * 9, "not a TFLite file"),
    "git pointer": (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
    "web page": (b"<html><head>", "m.tflite is a saved web page"),
    "half": (WHOLE[: len(WHOLE) // 2], "not a TFLite file"),
    "most": (WHOLE[:-9], "not a TFLite file"),
    "head": (WHOLE[:8], "not a TFLite file"),
}


@pytest.mark.parametrize("name", sorted(BAD_BYTES))
def test_files_that_are_not_models(name: str, tmp_path: Path) -> None:
    data, complaint = BAD_BYTES[name]
    with pytest.raises(ModelError, match=complaint) as error:
        load_model(source(data, tmp_path))
    assert "\n" not in str(error.value)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_an_error_of_ours(data: st.DataObject) -> None:
    broken = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_tflite_graph(bytes(broken[: data.draw(st.integers(9, len(broken)))]))
    except LagottoError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_pointers_out_of_the_file_are_refused() -> None:
    table = FlatTable(struct.pack("<iHHHHI", 8, 0, 0, 0, 0, 0), 0)  # its directory: before byte 0
    broken = FlatTable(struct.pack("<IiHHI", 0, 99, 0, 0, 0), 4)
    for bad in (table, broken):
        with pytest.raises(ModelError, match="unreadable at byte"):
            bad.integer(0, "i")
    # a directory of one field, the table, and a vector that claims more than there is
    data = struct.pack("<HHHHiII", 6, 8, 4, 0, 8, 4, 100) + bytes(40)
    with pytest.raises(ModelError, match="unreadable at byte"):
        FlatTable(data, 8).vector(0, "B")
    assert FlatTable(data, 8).integer(0, "I") == 4


def test_a_bare_file_says_what_was_assumed(tmp_path: Path) -> None:
    file = write_model(SOFTMAXED, tmp_path, described=False)
    notes = load_model(ModelSource("m", file)).spec.notes
    assert "scale assumed 0..1: not in model.json" in notes

"""What other libraries say, in one line that keeps the cause."""

from lagotto.core.errors import reason

SIGNATURE = (
    "/onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model("
    "onnx::ModelProto&&, const std::function<void(int)>&, const onnxruntime::ModelOptions&) "
)


def test_a_short_message_stays() -> None:
    assert reason(ValueError("no such\n  axis: 7")) == "no such axis: 7"
    assert reason(ValueError()) == "ValueError"


def test_a_long_message_keeps_its_first_words_and_its_end() -> None:
    text = reason(ValueError("the start " + "x" * 900 + " the cause"))
    assert len(text) <= 300
    assert text.startswith("the start x")
    assert text.endswith("x the cause")
    assert " ... " in text


def test_a_message_that_never_ends_is_cut_before_it_is_read() -> None:
    assert len(reason(ValueError(SIGNATURE * 100_000))) <= 300


def test_places_in_the_source_of_onnxruntime_are_left_out() -> None:
    mark = "[ONNXRuntimeError] : 1 : FAIL : "
    error = RuntimeError(f"{mark}Load failed:{SIGNATURE}{mark}Unsupported model IR version: 99")
    assert reason(error) == "Load failed:Unsupported model IR version: 99"
    error = RuntimeError(f"{SIGNATURE.rstrip()} const [with T = float] the cause")
    assert reason(error) == "the cause"
    broken = "/onnxruntime_src/onnxruntime/core/a.cc:1 void f(int, g<h("
    assert reason(RuntimeError(broken)) == "void f(int, g<h("
    assert len(reason(RuntimeError(SIGNATURE * 90 + "end"))) < 300

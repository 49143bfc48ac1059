"""Files that are too new for onnxruntime: both versions, and what to do."""

import pytest

from lagotto.core.parsing.onnx_versions import onnx_refusal

OPSET = (
    "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset "
    "versions. Opset {} is under development and support for this is limited. The operator schemas "
    "may change. Current official support for domain {} is till opset {}."
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "x.cc:1 Unsupported model IR version: 12, max supported IR version: 10\n",
            "the file has ONNX IR version 12, and onnxruntime 1.2.3 reads up to 10",
        ),
        (
            OPSET.format(23, "ai.onnx", 21),
            "the file has opset ai.onnx 23, and onnxruntime 1.2.3 reads up to 21",
        ),
        (
            OPSET.format(9, "ai.onnx.ml", 5),
            "the file has opset ai.onnx.ml 9, and onnxruntime 1.2.3 reads up to 5",
        ),
    ],
)
def test_both_versions_are_named(text: str, what: str) -> None:
    message = onnx_refusal(RuntimeError(text), "1.2.3")
    assert message.startswith(what)
    assert "`pip install -U onnxruntime`" in message


def test_any_other_refusal_keeps_its_cause() -> None:
    assert onnx_refusal(RuntimeError("no such\nnode"), "1.2.3") == "no such node"

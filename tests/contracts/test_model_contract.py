"""What every classifier must do, whatever wrote it: the logits of plain arithmetic."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import model_makers as makers
from lagotto.core.errors import UsageError
from lagotto.models.base import Model
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model

Form = makers.Form

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FORMS = {
    "onnx NCHW RGB float 0..1": Form(),
    "onnx NHWC RGB float -1..1": Form(layout="NHWC", scale="-1..1"),
    "onnx NCHW BGR float 0..255 mean": Form(
        channels="BGR", scale="0..255", mean=(103.9, 116.8, 123.7)
    ),
    "onnx NCHW RGB float mean std": Form(**IMAGENET),
    "onnx NHWC BGR float mean std": Form(layout="NHWC", channels="BGR", **IMAGENET),
    "onnx NCHW grey float": Form(channels="L", scale="-1..1"),
    "onnx NHWC grey float one mean": Form(layout="NHWC", channels="L", mean=(0.3,), std=(0.2,)),
    "onnx float16": Form(dtype="float16", scale="-1..1"),
    "onnx uint8 pixels": Form(layout="NHWC", dtype="uint8", scale="0..255"),
    "onnx int8 pixels BGR": Form(dtype="int8", scale="0..255", channels="BGR"),
    "onnx uint8 quantized": Form(layout="NHWC", dtype="uint8", scale="-1..1"),
    "onnx int8 quantized": Form(dtype="int8", scale="0..1"),
    "onnx batch 1": Form(batch=1),
    "onnx batch 3": Form(batch=3, ending="softmax"),
    "onnx softmax": Form(ending="softmax"),
    "onnx softmax opset 11": Form(ending="softmax", opset=11),
    "onnx softmax opset 20": Form(ending="softmax", opset=20),
    "onnx sigmoid": Form(ending="sigmoid", scale="-1..1"),
    "onnx log softmax": Form(ending="log_softmax"),
    "onnx softmax spelled out": Form(ending="spelled_out"),
    "onnx softmax to uint8": Form(ending="quantised_softmax"),
    "onnx softmax in int8": Form(ending="integer_softmax"),
    "tflite float": Form("tflite", "NHWC"),
    "tflite float mean std": Form("tflite", "NHWC", **IMAGENET),
    "tflite BGR": Form("tflite", "NHWC", "BGR", scale="-1..1", ending="softmax"),
    "tflite grey": Form("tflite", "NHWC", "L", ending="sigmoid"),
    "tflite batch 3": Form("tflite", "NHWC", batch=3, ending="softmax"),
    "tflite NCHW": Form("tflite", "NCHW", scale="0..255", ending="softmax"),
    "tflite uint8": Form("tflite", "NHWC", dtype="uint8", scale="0..255", ending="softmax"),
    "tflite int8": Form("tflite", "NHWC", dtype="int8", scale="0..255", ending="softmax"),
    "tflite int8 quantized": Form("tflite", "NHWC", dtype="int8", scale="-1..1", ending="sigmoid"),
    "tflite uint8 quantized": Form("tflite", "NHWC", dtype="uint8", scale="-1..1"),
}


def tolerance(form: Any) -> float:
    """Float noise; a step of the quantized logits; what float16 or rounded pixels lose."""
    if form.framework == "tflite" and form.dtype != "float32":
        return 1.2 * float(makers.LOGIT_STEP)
    if form.ending == "integer_softmax":
        return 0.51 * float(makers.LOGIT_STEP)
    if form.dtype == "uint8" and form.scale == "-1..1":  # zero is not a whole step
        return 0.02
    return 4e-3 if form.dtype == "float16" else 2e-5


@pytest.fixture(scope="module", params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param]


@pytest.fixture(scope="module")
def model(form: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    file = makers.write_model(form, tmp_path_factory.mktemp("model"))
    (source,) = scan_models([file.parent])
    return load_model(source)


def test_is_a_model_that_says_how_it_is_run(form: Any, model: Model) -> None:
    spec = model.spec
    assert isinstance(model, Model)
    assert (spec.framework, spec.outputs) == (form.framework, makers.CLASSES)
    assert (spec.input.layout, spec.input.channels) == (form.layout, form.channels)
    assert (spec.input.dtype, spec.input.scale) == (form.dtype, form.scale)
    assert spec.input.pixels.shape == (makers.HEIGHT, makers.WIDTH, form.depth)
    assert spec.output == form.output
    assert spec.logits_source == ("declared" if form.ending == "none" else "cut")
    assert spec.notes == ()


def test_logits_are_those_of_plain_arithmetic(form: Any, model: Model) -> None:
    pixels = makers.pictures(form, 7)
    logits = model.logits(pixels)
    expected = makers.expected_logits(form, pixels)
    assert logits.dtype == np.float32
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() <= tolerance(form)
    assert np.ptp(expected) > 20 * tolerance(form)  # the comparison says something


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 9), st.integers(0, 5))
def test_a_picture_does_not_depend_on_its_company(
    form: Any, model: Model, count: int, at: int
) -> None:
    pixels = makers.pictures(form, 9)
    whole = model.logits(pixels)
    assert np.array_equal(model.logits(pixels[:count]), whole[:count])
    assert np.abs(model.logits(pixels[at:]) - whole[at:]).max() <= 1e-5


def test_takes_no_picture_and_pictures_that_are_not_contiguous(form: Any, model: Model) -> None:
    pixels = makers.pictures(form, 6)
    assert model.logits(pixels[:0]).shape == (0, makers.CLASSES)
    assert np.array_equal(model.logits(pixels[::2]), model.logits(pixels[::2].copy()))


def test_refuses_pictures_of_another_size(form: Any, model: Model) -> None:
    with pytest.raises(UsageError, match="height, width, channels"):
        model.logits(makers.pictures(form, 2)[:, 1:])


@pytest.mark.parametrize("framework", ["onnx", "tflite"])
def test_the_log_differs_by_a_constant_of_the_picture(framework: str, tmp_path: Path) -> None:
    form = Form(framework, "NHWC", ending="hidden_softmax")
    model = load_model(scan_models([makers.write_model(form, tmp_path).parent])[0])
    pixels = makers.pictures(form, 5)
    assert (model.spec.output, model.spec.logits_source) == ("softmax", "log")
    assert "logs of the probabilities" in model.spec.notes[0]
    offset = model.logits(pixels) - makers.expected_logits(form, pixels)
    assert np.ptp(offset, axis=1).max() < 1e-5
    assert np.ptp(offset, axis=0).max() > 0.01

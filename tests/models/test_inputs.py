"""uint8 pixels → input tensors, against arithmetic one pixel at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import ModelError
from lagotto.core.types import InputSpec, PixelSpec
from lagotto.models.files.tensors import InputTensor, Quantization
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.description import InputDescription
from lagotto.models.metadata.input_spec import resolve_input

SCALED = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}
triples = st.tuples(*[st.floats(0.125, 2, width=32)] * 3)


@given(
    layout=st.sampled_from(["NHWC", "NCHW"]),
    channels=st.sampled_from(["RGB", "BGR", "L"]),
    dtype=st.sampled_from(["float32", "uint8", "int8"]),
    scale=st.sampled_from(sorted(SCALED)),
    moments=st.none() | st.tuples(triples, triples),
    seed=st.integers(0, 9),
)
def test_each_element_is_its_own_pixel(
    layout: Any, channels: Any, dtype: Any, scale: Any, moments: Any, seed: int
) -> None:
    depth = 1 if channels == "L" else 3
    mean, std = (values[:depth] for values in moments) if moments else ((), ())
    spec = InputSpec(PixelSpec(3, 5, depth == 1), layout, channels, dtype, scale, mean, std)
    quantization = Quantization(0.02, -7)
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 3, 5, depth), dtype=np.uint8)
    tensor = prepare_tensor(pixels, spec, quantization)
    assert tensor.dtype == dtype
    assert tensor.flags.c_contiguous
    assert tensor.shape == ((2, 3, 5, depth) if layout == "NHWC" else (2, depth, 3, 5))
    low, high = SCALED[scale]
    for image, row, column, channel in np.ndindex(*pixels.shape):
        place = depth - 1 - channel if channels == "BGR" else channel
        at = (image, row, column, place) if layout == "NHWC" else (image, place, row, column)
        pixel = int(pixels[image, row, column, channel])
        real = low + (high - low) * pixel / 255
        real = (real - (mean or (0,) * 3)[place]) / (std or (1,) * 3)[place]
        if dtype == "float32":
            assert tensor[at] == pytest.approx(real, abs=2e-5 * max(1, abs(real)))
        elif scale == "0..255":
            assert tensor[at] == pixel - (128 if dtype == "int8" else 0)
        else:
            limits = np.iinfo(dtype)
            whole = np.clip(np.rint(real / 0.02) - 7, limits.min, limits.max)
            assert abs(int(tensor[at]) - whole) <= 1e-9


def test_plain_uint8_is_not_copied() -> None:
    spec = InputSpec(PixelSpec(3, 5), "NHWC", "RGB", "uint8", "0..255")
    pixels = np.zeros((2, 3, 5, 3), np.uint8)
    assert np.shares_memory(prepare_tensor(pixels, spec), pixels)


def resolved(shape: tuple[int | None, ...], said: InputDescription, **values: Any) -> InputSpec:
    dtype = values.pop("dtype", "float32")
    tensor = InputTensor("x", shape, dtype, values.pop("quantization", None))
    return resolve_input(tensor, said, values.pop("usual", "NCHW")).spec


def test_what_model_json_leaves_open_is_read_from_the_shape() -> None:
    spec = resolved((None, 3, 32, 48), InputDescription(scale="0..1"))
    assert (spec.layout, spec.channels, spec.pixels.shape) == ("NCHW", "RGB", (32, 48, 3))
    spec = resolved((1, 28, 30, 1), InputDescription())
    assert (spec.layout, spec.channels, spec.pixels.shape) == ("NHWC", "L", (28, 30, 1))
    assert resolved((1, 3, 3, 3), InputDescription()).layout == "NCHW"
    assert resolved((1, 3, 3, 3), InputDescription(), usual="NHWC").layout == "NHWC"
    assert resolved((1, 3, 3, 3), InputDescription(layout="NHWC")).layout == "NHWC"
    spec = resolved((None, None, None, 3), InputDescription(size=(8, 9)))
    assert (spec.layout, spec.pixels.shape) == ("NHWC", (8, 9, 3))
    assert resolved((1, 8, 8, 3), InputDescription(), dtype="int8").scale == "0..255"


def test_what_is_assumed_is_noted() -> None:
    tensor = InputTensor("x", (1, 3, 8, 8), "float32")
    notes = resolve_input(tensor, InputDescription(), "NCHW").notes
    assert "scale assumed 0..1: not in model.json" in notes
    assert "channels assumed RGB: not in model.json" in notes
    said = InputDescription(scale="0..1", channels="RGB")
    assert resolve_input(tensor, said, "NCHW").notes == ()
    pixels = InputDescription(channels="RGB", scale="0..255", mean=(127.5,))
    found = resolve_input(InputTensor("x", (1, 8, 8, 3), "uint8"), pixels, "NHWC")
    assert found.spec.mean == ()
    assert "mean and std left out" in found.notes[0]


@pytest.mark.parametrize(
    ("shape", "said", "complaint"),
    [
        ((1, 784), InputDescription(), r"shape \[1, 784\]; an image classifier"),
        ((1, 4, 8, 8), InputDescription(), "neither the second nor the last"),
        ((None, 3, None, None), InputDescription(), r'"size": \[224, 224\]'),
        ((1, 3, 8, 8), InputDescription(size=(9, 8)), r"input.size \[9, 8\], but the model's"),
        ((1, 3, 8, 8), InputDescription(layout="NHWC"), r"layout NHWC, but .* \[1, 3, 8, 8\]"),
        ((1, 3, 8, 8), InputDescription(channels="L"), "channels L, but .* with 3 channels"),
        ((1, 1, 8, 8), InputDescription(channels="BGR"), "channels BGR, but .* with 1 channels"),
        ((1, 3, 8, 8), InputDescription(dtype="uint8"), "dtype uint8, but .* float32"),
        ((1, 1, 8, 8), InputDescription(mean=(1.0, 2.0, 3.0)), "3 numbers for 1 grey channel"),
        ((1 << 20, 3, 8, 8), InputDescription(), "input batch is 1048576"),
        ((1, 3, 9000, 8), InputDescription(), "1 to 4096 pixels"),
    ],
)
def test_contradictions_name_both_sides(
    shape: tuple[int | None, ...], said: InputDescription, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        resolved(shape, said)


def test_an_integer_input_without_quantisation_takes_pixels_only() -> None:
    said = InputDescription(scale="-1..1")
    with pytest.raises(ModelError, match="no quantization"):
        resolved((1, 8, 8, 3), said, dtype="uint8")
    known = Quantization(1 / 127.5, 127)
    assert resolved((1, 8, 8, 3), said, dtype="uint8", quantization=known).scale == "-1..1"

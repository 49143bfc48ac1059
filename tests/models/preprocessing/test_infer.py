"""Bare files: the planted feed is found, told, and never looked for where it is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centered_models import EDGE, IMAGENET, Truth, layers, photos, write_onnx, write_tflite
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.models.activation_stats import (
    LayerMoments,
    channels_first,
    inner_layers,
    shared_layers,
)
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.candidates import (
    COMMON_NORMALIZATIONS,
    candidate_specs,
    normalization_of,
)
from lagotto.models.preprocessing.infer import (
    MIN_MARGIN,
    TRIAL_PICTURES,
    infer_preprocessing,
    missing_fields,
)
from lagotto.models.registry import load_model

TRUTHS = [
    Truth("0..1"),
    Truth("-1..1"),
    Truth("0..255"),
    Truth("0..1", *IMAGENET),
    Truth("0..255", channels="BGR"),
    Truth("-1..1", channels="BGR", layout="NHWC"),
    Truth("0..1", IMAGENET[0][::-1], IMAGENET[1][::-1], channels="BGR"),
]


def pictures(spec: PixelSpec) -> np.ndarray:
    """Other pictures than those that the models are centered on."""
    assert spec.shape == (EDGE, EDGE, 3)
    return photos(TRIAL_PICTURES, seed=11)


def bare(file: Path, description: JsonObject | None = None) -> ModelClassifier:
    model = load_model(ModelSource("bare", file, description or {}))
    assert isinstance(model, ModelClassifier)
    return model


def origins(model: ModelClassifier) -> dict[str, str]:
    return {each.field: each.origin for each in model.spec.decisions}


@pytest.mark.parametrize("truth", TRUTHS, ids=str)
def test_the_planted_feed_is_found(truth: Truth, tmp_path: Path) -> None:
    model = infer_preprocessing(bare(write_onnx(truth, tmp_path)), pictures)
    spec = model.spec.input
    found = Truth(spec.scale, spec.mean, spec.std, spec.channels, spec.layout)
    assert found == truth
    assert origins(model)["channels"] == "inferred"
    parts = {each.field: each for each in model.spec.decisions}
    assert parts["scale"].margin is not None
    assert parts["scale"].margin > 0.2
    assert parts["scale"].runner_up is not None
    assert parts["channels"].runner_up == ("BGR" if truth.channels == "RGB" else "RGB")
    assert parts["scale"].reason == f"5 layers on {TRIAL_PICTURES} probes"
    assert any(note.startswith(f"scale inferred: {truth.scale}") for note in model.spec.notes)
    assert not any("not in model.json" in note for note in model.spec.notes)


@pytest.mark.parametrize("truth", [Truth("-1..1"), Truth("0..255", channels="BGR")], ids=str)
def test_tflite_shows_its_layers_too(truth: Truth, tmp_path: Path) -> None:
    model = infer_preprocessing(bare(write_tflite(truth, tmp_path)), pictures)
    spec = model.spec.input
    assert (spec.scale, spec.channels) == (truth.scale, truth.channels)
    reason = next(each.reason for each in model.spec.decisions if each.field == "scale")
    assert reason.startswith("3 layers")  # those with a fused ReLU take one sign only


def test_the_settled_model_answers_as_its_arithmetic_says(tmp_path: Path) -> None:
    truth = Truth("-1..1", channels="BGR")
    model = infer_preprocessing(bare(write_onnx(truth, tmp_path)), pictures)
    values = photos(4, seed=5).astype(np.float64)[..., ::-1] / 127.5 - 1
    stack = layers(truth)
    for matrix, bias in stack[:-1]:
        values = np.maximum(values @ matrix + bias, 0)
    expected = values.mean(axis=(1, 2)) @ stack[-1][0] + stack[-1][1]
    assert np.abs(model.logits(photos(4, seed=5)) - expected).max() < 1e-3


def never(spec: PixelSpec) -> Any:
    raise AssertionError("looked at pictures")


@pytest.mark.parametrize(
    ("said", "tried"),
    [
        ({"scale": "0..1", "channels": "RGB", "resize": "crop"}, set()),
        ({"scale": "0..1", "resize": "stretch"}, {"channels"}),
        ({"channels": "BGR", "resize": "crop"}, {"scale"}),
        ({"channels": "BGR", "scale": "0..1"}, {"resize"}),
        ({}, {"scale", "channels", "resize"}),
    ],
)
def test_only_what_is_missing_is_tried(said: JsonObject, tried: set[str], tmp_path: Path) -> None:
    model = bare(write_onnx(Truth("-1..1"), tmp_path), {"input": said})
    assert missing_fields(model) == tried
    settled = infer_preprocessing(model, pictures if tried else never)
    assert (settled is model) == (tried <= {"resize"})  # these pictures are square
    for field, value in said.items():
        fed = settled.spec.input.pixels if field == "resize" else settled.spec.input
        assert getattr(fed, field) == value
        assert origins(settled)[field] == "model.json"


@pytest.mark.parametrize("trained", ["crop", "stretch"])
def test_the_planted_geometry_is_found(trained: str, tmp_path: Path) -> None:
    """Under the other one the pictures are much darker than what the layers were centered on."""

    def views(spec: PixelSpec) -> np.ndarray:
        seen = pictures(spec)
        return seen if spec.resize == trained else seen // 4

    said: JsonObject = {"scale": "0..1", "channels": "RGB"}
    model = infer_preprocessing(bare(write_onnx(Truth("0..1"), tmp_path), {"input": said}), views)
    assert model.spec.input.pixels.resize == trained
    found = next(each for each in model.spec.decisions if each.field == "resize")
    assert (found.value, found.origin) == (trained, "inferred")
    assert found.runner_up == {"crop": "stretch", "stretch": "crop"}[trained]
    assert found.margin is not None
    assert found.margin > MIN_MARGIN
    assert found.reason == f"5 layers on {TRIAL_PICTURES} probes"
    assert any(note.startswith(f"resize inferred: {trained} (+") for note in model.spec.notes)


def test_crop_is_kept_where_stretch_is_hardly_ahead(tmp_path: Path) -> None:
    def views(spec: PixelSpec) -> np.ndarray:
        seen = pictures(spec)
        return seen if spec.resize == "stretch" else np.maximum(seen, 1) - 1

    model = infer_preprocessing(bare(write_onnx(Truth("0..1"), tmp_path)), views)
    found = next(each for each in model.spec.decisions if each.field == "resize")
    assert (found.value, found.origin, found.runner_up) == ("crop", "assumed", "stretch")
    assert found.margin is not None
    assert abs(found.margin) <= MIN_MARGIN


def test_square_pictures_leave_the_geometry_as_it_is(tmp_path: Path) -> None:
    model = infer_preprocessing(bare(write_onnx(Truth("0..1"), tmp_path)), pictures)
    found = next(each for each in model.spec.decisions if each.field == "resize")
    assert (found.value, found.origin, found.margin) == ("crop", "assumed", None)


def test_a_known_mean_is_kept_with_every_scale(tmp_path: Path) -> None:
    truth = Truth("0..255", (120.0, 110.0, 100.0), (60.0, 60.0, 60.0))
    said: JsonObject = {"mean": list(truth.mean), "std": list(truth.std), "channels": "RGB"}
    model = bare(write_onnx(truth, tmp_path), {"input": said})
    specs = candidate_specs(model.spec.input, missing_fields(model))
    assert [(spec.scale, spec.mean) for spec in specs] == [
        (scale, truth.mean) for scale in ("0..1", "-1..1", "0..255")
    ]
    assert infer_preprocessing(model, pictures).spec.input.scale == "0..255"


def test_same_model_and_pictures_same_answer(tmp_path: Path) -> None:
    file = write_onnx(Truth("0..255"), tmp_path)
    first, second = (infer_preprocessing(bare(file), pictures).spec for _ in range(2))
    assert first == second


def test_without_a_look_inside_the_custom_is_kept(tmp_path: Path) -> None:
    class Blind(ModelClassifier):
        def open_activations(self) -> None:
            return None

    seen = bare(write_onnx(Truth("0..1"), tmp_path))
    blind = Blind(seen._engine, seen.spec, seen._reading)
    settled = infer_preprocessing(blind, pictures)
    assert settled.spec.input.scale == "0..1"
    assert settled.spec.input.channels == "RGB"
    assert origins(settled)["channels"] == "assumed"


def test_a_layout_that_the_shape_leaves_open_is_the_one_that_runs(tmp_path: Path) -> None:
    for layout in ("NCHW", "NHWC"):
        file = write_onnx(Truth(layout=layout), tmp_path / layout, open_shape=True)
        spec = bare(file, {"input": {"size": [EDGE, EDGE]}}).spec
        assert spec.input.layout == layout


# ---------------------------------------------------------------------------------- activations


def moments(values: np.ndarray) -> LayerMoments:
    made = LayerMoments()
    for picture in values:
        made.add(picture[None])
    return made


def test_centring_falls_with_the_distance_from_zero() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (20, 5, 50))
    centered, near, far = (moments(noise + offset).centering for offset in (0.0, 0.5, 5.0))
    assert centered > near > far
    assert near == pytest.approx(-np.log(0.5), abs=0.1)
    assert moments(1000 * (noise + 0.5)).centering == pytest.approx(near, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, np.inf])
def test_a_layer_that_never_changes_or_overflows_is_off_centre(value: float) -> None:
    assert moments(np.full((3, 2, 4), value)).centering == -4.0


def test_layers_of_one_sign_under_any_candidate_are_left_out() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (4, 3, 9))
    both, one = moments(noise), moments(np.abs(noise))
    assert shared_layers([[both, one, both], [both, both, one]]) == [0]
    assert shared_layers([]) == []


@pytest.mark.parametrize(
    ("shape", "channel", "expected"),
    [
        ((2, 3, 4, 5), 1, (2, 3, 20)),
        ((2, 4, 5, 3), -1, (2, 3, 20)),
        ((2, 7, 3), 1, (2, 3, 7)),
        ((2, 3), 1, (2, 3, 1)),
        ((3,), 1, (1, 1, 3)),
    ],
)
def test_channels_are_brought_forward(
    shape: tuple[int, ...], channel: int, expected: tuple[int, ...]
) -> None:
    assert channels_first(np.zeros(shape), channel).shape == expected


def test_the_layers_end_before_the_classes(tmp_path: Path) -> None:
    from lagotto.models.files.onnx_graph import read_onnx_graph

    graph = read_onnx_graph(write_onnx(Truth(), tmp_path).read_bytes())
    assert inner_layers(graph.producers) == tuple(f"conv{number}" for number in range(5))
    assert inner_layers({}) == ()


def test_a_feed_is_the_same_in_either_order() -> None:
    spec = bare_spec()
    for feed in COMMON_NORMALIZATIONS:
        for order in ("RGB", "BGR"):
            assert normalization_of(feed.apply_to(spec, order)) == feed


def bare_spec() -> Any:
    from lagotto.core.types import InputSpec

    return InputSpec(PixelSpec(8, 8), "NCHW", "RGB", "float32", "0..1")

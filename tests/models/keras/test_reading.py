"""What files of the Keras family say beside their layers: labels, ranges, packed weights."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from attack_keras import CONV, PLAIN, layer, sequential, write_h5, write_keras, write_tfjs
from lagotto.core.parsing.name_list import NameList
from lagotto.core.types import ModelSource
from lagotto.models.base import Model
from lagotto.models.keras.tfjs import shard_files
from lagotto.models.keras.translate import translate_file, translate_tfjs
from lagotto.models.registry import load_model

_PICTURES = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
_KERNEL = np.arange(6, dtype=np.float32).reshape(3, 2)
_POOL = layer("GlobalAveragePooling2D", "pool")
_INPUT = {"input": {"scale": "0..255", "channels": "RGB"}}


def _load(file: Path, **description: object) -> Model:
    return load_model(ModelSource("model", file, dict(description)))


@pytest.mark.parametrize(
    ("name", "write"),
    [("model.h5", write_h5), ("model.keras", write_keras), ("model.json", write_tfjs)],
)
def test_all_forms_give_the_same_logits(name: str, write: object, tmp_path: Path) -> None:
    assert callable(write)
    write(tmp_path / name)
    model = load_model(ModelSource("model", tmp_path / name, _INPUT))
    expected = _PICTURES.astype(np.float32).mean(axis=(1, 2)) @ _KERNEL
    np.testing.assert_allclose(model.logits(_PICTURES), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("scaling", "scale"),
    [
        ({"scale": 1 / 255}, "0..255"),
        ({"scale": 1 / 127.5, "offset": -1.0}, "0..255"),
        ({"scale": 2.0, "offset": -1.0}, "0..1"),
        ({"scale": 255.0}, "0..1"),
    ],
)
def test_a_network_that_scales_its_pictures_itself(
    scaling: dict[str, float], scale: str, tmp_path: Path
) -> None:
    network = sequential(
        layer("RandomFlip", "flip", mode="horizontal"),
        layer("Rescaling", "scaling", **scaling),
        layer("Conv2D", "conv", **CONV),
        _POOL,
    )
    write_h5(tmp_path / "model.h5", network)
    spec = _load(tmp_path / "model.h5").spec
    assert spec.input.scale == scale
    assert any(f"fed as {scale}" in note for note in spec.notes)


def test_a_network_that_does_not_is_left_to_the_trials(tmp_path: Path) -> None:
    write_h5(tmp_path / "model.h5")
    origins = {item.field: item.origin for item in _load(tmp_path / "model.h5").spec.decisions}
    assert origins["scale"] == "assumed"


def test_labels_and_input_of_teachable_machine(tmp_path: Path) -> None:
    write_tfjs(tmp_path / "model.json")
    values = {"labels": ["cat", "dog"], "packageName": "@teachablemachine/image", "imageSize": 4}
    (tmp_path / "metadata.json").write_text(json.dumps(values))
    spec = _load(tmp_path / "model.json").spec
    assert spec.labels == ("cat", "dog")
    assert (spec.input.scale, spec.input.pixels.resize) == ("-1..1", "crop")


def test_labels_of_another_length_are_left_out_with_a_note(tmp_path: Path) -> None:
    write_tfjs(tmp_path / "model.json")
    (tmp_path / "metadata.json").write_text(json.dumps({"labels": ["cat", "dog", "cow"]}))
    spec = _load(tmp_path / "model.json").spec
    assert spec.labels is None
    assert any("3 labels for 2 outputs" in note for note in spec.notes)


@pytest.mark.parametrize(
    ("dtype", "packed"),
    [("uint8", "|u1"), ("uint16", "<u2"), ("float16", "<f2")],
)
def test_packed_weights_of_tensorflow_js(dtype: str, packed: str, tmp_path: Path) -> None:
    quantization = {"dtype": dtype, "original_dtype": "float32"}
    if dtype != "float16":
        quantization |= {"scale": 0.5, "min": -1.0}
    weight = {"name": "conv/kernel", "shape": [1, 1, 3, 2], "dtype": "float32"}
    write_tfjs(
        tmp_path / "model.json",
        paths=["a.bin", "b.bin"],
        weights=[weight | {"quantization": quantization}],
    )
    data = np.arange(6).astype(packed).tobytes()
    (tmp_path / "a.bin").write_bytes(data[:5])
    (tmp_path / "b.bin").write_bytes(data[5:])
    model = load_model(ModelSource("model", tmp_path / "model.json", _INPUT))
    kernel = _KERNEL if dtype == "float16" else _KERNEL * 0.5 - 1
    expected = _PICTURES.astype(np.float32).mean(axis=(1, 2)) @ kernel
    np.testing.assert_allclose(model.logits(_PICTURES), expected, rtol=1e-5)
    assert [path.name for path in shard_files(tmp_path / "model.json")] == ["a.bin", "b.bin"]


def test_a_layer_of_keras_1(tmp_path: Path) -> None:
    first = layer(
        "Convolution2D",
        "conv",
        nb_filter=2,
        nb_row=1,
        nb_col=1,
        border_mode="same",
        subsample=[1, 1],
        dim_ordering="tf",
        bias=False,
        init="glorot_uniform",
        W_regularizer=None,
        batch_input_shape=[None, 4, 4, 3],
    )
    network = {"class_name": "Sequential", "config": [first, layer("GlobalAveragePooling2D", "p")]}
    write_h5(tmp_path / "model.h5", network, version="1.2.2")
    model = load_model(ModelSource("model", tmp_path / "model.h5", _INPUT))
    expected = _PICTURES.astype(np.float32).mean(axis=(1, 2)) @ _KERNEL
    np.testing.assert_allclose(model.logits(_PICTURES), expected, rtol=1e-5)


def test_layers_of_half_precision_are_noted(tmp_path: Path) -> None:
    conv = layer(
        "Conv2D",
        "conv",
        **CONV,
        dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}},
    )
    write_h5(tmp_path / "model.h5", sequential(conv, _POOL))
    notes = _load(tmp_path / "model.h5").spec.notes
    assert "layers of mixed_float16 are computed in float32" in notes


NAMES = ("bee", "ant")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class_names", json.dumps(NAMES)),
        ("classes", np.array([name.encode() for name in NAMES])),
        ("class_indices", json.dumps({"ant": 1, "bee": 0})),
        ("labels", "bee,ant"),
    ],
)
def test_names_in_the_attributes_of_an_h5_file_are_read(
    key: str, value: object, tmp_path: Path
) -> None:
    write_h5(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs[key] = value
    assert _names(tmp_path / "model.h5") == NAMES


@pytest.mark.parametrize("key", ["class_names", "id2label"])
@pytest.mark.parametrize("form", ["h5", "keras", "tfjs"])
def test_names_in_the_configuration_are_read(key: str, form: str, tmp_path: Path) -> None:
    value: object = list(NAMES) if key == "class_names" else {"0": "bee", "1": "ant"}
    config = {**PLAIN, "config": {**PLAIN["config"], key: value}}
    file = tmp_path / ("model.json" if form == "tfjs" else f"model.{form}")
    {"h5": write_h5, "keras": write_keras, "tfjs": write_tfjs}[form](file, config)
    assert _names(file) == NAMES


def test_names_in_the_metadata_of_an_archive_are_read(tmp_path: Path) -> None:
    metadata = {"keras_version": "3.5.0", "class_names": NAMES}
    write_keras(tmp_path / "model.keras", **{"metadata.json": json.dumps(metadata).encode()})
    assert _names(tmp_path / "model.keras") == NAMES


@pytest.mark.parametrize("value", [2, "cat", [], {}, [1, [2]], {"a": {"b": 1}}, None, "\x00"])
def test_what_is_no_list_of_names_is_left_alone(value: object, tmp_path: Path) -> None:
    config = {**PLAIN, "config": {**PLAIN["config"], "classes": value}}
    write_h5(tmp_path / "model.h5", config)
    assert _names(tmp_path / "model.h5") is None


def _names(file: Path) -> tuple[str, ...] | None:
    translate = translate_tfjs if file.suffix == ".json" else translate_file
    labels = translate(ModelSource("model", file, {})).embedded.description.labels
    return labels.names if isinstance(labels, NameList) else None

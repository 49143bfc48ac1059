"""What is not translated is refused by its name, in one line that says what to do."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from attack_keras import CONV, PLAIN, layer, sequential, write_h5, write_keras, write_tfjs
from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.registry import load_model


def _refusal(file: Path) -> str:
    with pytest.raises(ModelError) as refusal:
        load_model(ModelSource("model", file, {}))
    return str(refusal.value)


def _functional(*layers: dict[str, Any], last: str) -> dict[str, Any]:
    first = {
        "class_name": "InputLayer",
        "name": "x",
        "inbound_nodes": [],
        "config": {"batch_input_shape": [None, 4, 4, 3]},
    }
    config = {"layers": [first, *layers], "input_layers": [["x", 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": [[last, 0, 0]]}}


def _called(kind: str, name: str, nodes: list[Any], **settings: Any) -> dict[str, Any]:
    return {**layer(kind, name, **settings), "name": name, "inbound_nodes": nodes}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (layer("Conv2D", "conv", **CONV, new_trick=3), "'new_trick' = 3"),
        (layer("Conv2D", "conv", **CONV, padding="reflect"), "padding is 'reflect'"),
        (layer("Conv2D", "conv", **CONV, groups=2), "groups"),
        (layer("Conv2D", "conv", **{**CONV, "filters": 3}), "weight 'kernel' of shape"),
        (layer("Conv2D", "conv", **{**CONV, "use_bias": True}), "needs 2 weights"),
        (layer("Conv2D", "conv", **CONV, activation="sine"), "activation is 'sine'"),
        (layer("Conv2D", "conv", **CONV, dtype="int8_from_float32"), "int8_from_float32"),
        (layer("Custom>Conv2D", "conv", **CONV), "'conv' (Custom>Conv2D)"),
        (layer("LSTM", "conv", units=3), "for sequences"),
        (layer("Conv2d", "conv", **CONV), "Did you mean 'Conv2D'"),
    ],
)
def test_a_setting_or_layer_that_is_not_known(
    changed: dict[str, Any], named: str, tmp_path: Path
) -> None:
    write_h5(tmp_path / "model.h5", sequential(changed, layer("GlobalAveragePooling2D", "pool")))
    assert named in _refusal(tmp_path / "model.h5")


def test_a_setting_that_says_nothing_is_no_reason_to_refuse(tmp_path: Path) -> None:
    odd = {"new_trick": None, "another": False, "third": []}
    pool = layer("GlobalAveragePooling2D", "pool")
    write_h5(tmp_path / "model.h5", sequential(layer("Conv2D", "conv", **CONV, **odd), pool))
    assert load_model(ModelSource("model", tmp_path / "model.h5", {})).spec.framework == "keras"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"training": True}, "as in training"),
        ({"mask": ["x", 0, 0]}, "'mask'"),
        ({"gain": 0.5}, "'gain'"),
    ],
)
def test_an_argument_of_a_call_that_is_not_translated(
    arguments: dict[str, Any], named: str, tmp_path: Path
) -> None:
    conv = _called("Conv2D", "conv", [[["x", 0, 0, {}]]], **CONV)
    drop = _called("Dropout", "drop", [[["conv", 0, 0, arguments]]], rate=0.5)
    write_h5(tmp_path / "model.h5", _functional(conv, drop, last="drop"))
    assert named in _refusal(tmp_path / "model.h5")


def test_weights_without_a_network_name_the_network_they_may_be(tmp_path: Path) -> None:
    file = tmp_path / "weights.h5"
    names = [b"conv4_block6_2_conv", b"conv1_conv"]
    with h5py.File(file, "w") as weights:
        weights.attrs["layer_names"] = np.array(names)
        for name in names:
            weights.create_dataset(f"{name.decode()}/kernel:0", data=np.zeros(3, np.float32))
    refusal = _refusal(file)
    assert refusal.startswith("weights only: 2 arrays")
    assert "it may be ResNet50" in refusal
    assert "load_weights" in refusal


def test_hdf5_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("pictures", data=np.zeros((2, 4, 4, 3), np.uint8))
    assert "no Keras model" in _refusal(tmp_path / "data.h5")


def test_a_file_that_is_no_file_of_keras(tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 12\n")
    assert "Git LFS pointer" in _refusal(tmp_path / "model.h5")
    write_h5(tmp_path / "whole.h5")
    data = (tmp_path / "whole.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    assert "download or save it again" in _refusal(tmp_path / "cut.h5")


def test_a_version_of_keras_that_is_not_known(tmp_path: Path) -> None:
    write_keras(tmp_path / "model.keras", **{"metadata.json": b'{"keras_version": "4.0.0"}'})
    assert "versions 1 to 3 are read" in _refusal(tmp_path / "model.keras")


def test_a_graph_model_of_tensorflow_js(tmp_path: Path) -> None:
    graph = {"format": "graph-model", "modelTopology": {"node": []}, "weightsManifest": []}
    (tmp_path / "model.json").write_text(json.dumps(graph))
    refusal = _refusal(tmp_path / "model.json")
    assert "graph model" in refusal
    assert "tensorflowjs_converter" in refusal


def test_shards_that_are_missing_or_short(tmp_path: Path) -> None:
    write_tfjs(tmp_path / "model.json", PLAIN)
    shard = tmp_path / "shard.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:20])
    assert "takes more bytes than the shards have" in _refusal(tmp_path / "model.json")
    shard.write_bytes(whole + bytes(4))
    assert f"{len(whole) + 4} are in shard.bin; download" in _refusal(tmp_path / "model.json")
    shard.unlink()
    assert "keep their names" in _refusal(tmp_path / "model.json")


def test_two_inputs_are_listed(tmp_path: Path) -> None:
    network = _functional(
        _called("Conv2D", "conv", [[["x", 0, 0, {}]]], **CONV),
        {
            "class_name": "InputLayer",
            "name": "y",
            "inbound_nodes": [],
            "config": {"batch_input_shape": [None, 4, 4, 2]},
        },
        _called("Add", "sum", [[["conv", 0, 0, {}], ["y", 0, 0, {}]]]),
        last="sum",
    )
    network["config"]["input_layers"] = [["x", 0, 0], ["y", 0, 0]]
    write_h5(tmp_path / "model.h5", network)
    assert "2 inputs" in _refusal(tmp_path / "model.h5")

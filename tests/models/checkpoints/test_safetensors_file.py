"""Safetensors without a config, and checkpoints in shards."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from checkpoint_makers import torch_zip
from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.opening import open_checkpoint
from lagotto.models.files.weights import MAX_EXTERNAL_BYTES

NET = {
    "model.conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1),
    "model.fc.weight": np.arange(6, dtype=np.float16).reshape(3, 2),
    "model.fc.bias": np.arange(3, dtype=np.float64),
    "model.count": np.array(7),
    "model.empty": np.zeros((0, 3), np.float32),
}


def header_file(file: Path, header: Any, data: bytes = bytes(48)) -> Path:
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return file


@pytest.mark.parametrize("name", ["model.safetensors", "best.pt"])
def test_tensors_are_those_of_the_library(tmp_path: Path, name: str) -> None:
    save_file(NET, tmp_path / name, {"classes": '["cat", "dog", "owl"]', "epoch": "3"})
    found = open_checkpoint(tmp_path / name)
    assert found.container == "safetensors"
    assert found.labels is not None
    assert found.labels.names == ("cat", "dog", "owl")
    assert found.settings["epoch"] == "3"
    assert set(found.tensors) == {name.removeprefix("model.") for name in NET}
    for name, values in NET.items():
        read = found.tensors[name.removeprefix("model.")].read()
        assert read.dtype == values.dtype
        assert np.array_equal(read, values)
        assert read.flags.aligned


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    header = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    file = header_file(tmp_path / "m.safetensors", header, b"\x80\x3f\x00\xc0")
    tensor = open_checkpoint(file).tensors["w"]
    assert tensor.dtype == "bfloat16"
    assert tensor.read().tolist() == [1.0, -2.0]


def entry(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [12], "data_offsets": [0, 48], **changes}}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, "no tensor"),
        (entry(dtype="F8_E4M3"), "type 'F8_E4M3'"),
        (entry(shape=[13]), "damaged"),
        (entry(shape=[-12]), "damaged"),
        (entry(shape=[True, 12]), "damaged"),
        (entry(data_offsets=[0, 48, 48]), "damaged"),
        (entry(data_offsets=[4, 52]), "overlap or leave gaps"),
        ({**entry(), "v": entry()["w"]}, "overlap or leave gaps"),
        (entry(shape=[120], data_offsets=[0, 480]), "cut short"),
        ({"w": 3}, "damaged"),
        ([1], "no JSON object"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: Any, said: str) -> None:
    file = header_file(tmp_path / "m.safetensors", header)
    if isinstance(header, list):
        file.write_bytes(file.read_bytes().replace(b"[1]", b"{1}"))
        said = "no JSON"
    with pytest.raises(ModelError, match=r"^m\.safetensors is not read: ") as refused:
        open_checkpoint(file)
    assert said in str(refused.value)


def shards(folder: Path, ending: str) -> Path:
    names = list(NET)
    parts = {1: names[:2], 2: names[2:]}
    placed = {}
    for number, part in parts.items():
        name = f"model-0000{number}-of-00002.{ending}"
        tensors = {key: NET[key] for key in part}
        if ending == "bin":
            (folder / name).write_bytes(torch_zip({k: v for k, v in tensors.items() if v.size}))
        else:
            save_file(tensors, folder / name)
        placed |= dict.fromkeys(part, name)
    index = folder / f"model.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return index


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_are_one_checkpoint(tmp_path: Path, ending: str) -> None:
    found = open_checkpoint(shards(tmp_path, ending))
    assert found.container.endswith("in 2 shards")
    names = {name.removeprefix("model.") for name in NET}
    assert set(found.tensors) == (names - {"empty"} if ending == "bin" else names)
    assert np.array_equal(found.tensors["fc.bias"].read(), NET["model.fc.bias"])


def test_a_shard_alone_and_a_missing_shard_are_refused(tmp_path: Path) -> None:
    index = shards(tmp_path, "safetensors")
    first = tmp_path / "model-00001-of-00002.safetensors"
    whole = first.read_bytes()
    os.truncate(first, MAX_EXTERNAL_BYTES)  # sparse: it takes no room on the disk
    with pytest.raises(ModelError, match=f"at most {MAX_EXTERNAL_BYTES} are read"):
        open_checkpoint(index)
    first.write_bytes(whole)
    with pytest.raises(ModelError, match=r"one of 2 shards; give model\.safetensors\.index\.json"):
        open_checkpoint(first)
    first.unlink()
    with pytest.raises(ModelError, match=r"no such file; download all shards"):
        open_checkpoint(index)
    index.write_text('{"weight_map": {"a": "../x.safetensors"}}')
    with pytest.raises(ModelError, match="not inside"):
        open_checkpoint(index)
    index.write_text("[]")
    with pytest.raises(ModelError, match="no index of shards"):
        open_checkpoint(index)

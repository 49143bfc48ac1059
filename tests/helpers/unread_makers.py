"""Files as other tools write them, as far as their form is told by their content: bytes, by form.

Nothing here is a whole model. Each has the marks by which its form is known, and no more.
"""

import io
import json
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive whose files are stored, as torch writes them."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def pickled(module: str, name: str = "Thing") -> bytes:
    """A pickle that would look up a name in a module."""
    made = b"\x80\x04\x95" + bytes(8) + f"c{module}\n{name}\n".encode() + b")R."
    assert any(code.name == "GLOBAL" for code, _, _ in pickletools.genops(made))
    return made


def numpy_arrays() -> bytes:
    made = io.BytesIO()
    np.savez(made, weight=np.zeros((2, 3)))
    return made.getvalue()


def message(number: int, content: bytes) -> bytes:
    """A field of a protobuf that holds a message or a text of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


TORCH_RECORD = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n."
CONTENTS: dict[str, bytes] = {
    "torch": zipped({"best/data.pkl": TORCH_RECORD, "best/data/0": bytes(16)}),
    "torch legacy": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    "torch pickled": TORCH_RECORD,
    "torchscript": zipped(
        {"m/data.pkl": b"\x80\x02}.", "m/code/m.py": b"", "m/constants.pkl": b""}
    ),
    "torch export": zipped({"m/archive_format": b"pt2", "m/models/model.json": b"{}"}),
    "fastai": zipped({"export/data.pkl": pickled("fastai.learner", "Learner")}),
    "fastai old": pickled("fastai.basic_train", "Learner"),
    "sklearn": pickled("sklearn.svm._classes", "SVC"),
    "pickle": pickle.dumps({"weights": [1.0, 2.0]}),
    "npz": numpy_arrays(),
    "keras": zipped({"config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n"}),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "safetensors": struct.pack("<Q", 2) + b"{}" + bytes(8),
    "onnx": b"\x08\x08" + message(2, b"pytorch") + message(7, b"\x0a\x00"),
    "tflite": struct.pack("<I", 28) + b"TFL3" + bytes(24),
    "saved model": b"\x08\x01" + message(2, message(1, message(6, b"serve"))),
    "frozen graph": message(1, message(1, b"input") + message(2, b"Placeholder")),
    "tensorflow checkpoint": bytes(60) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "openvino": b'<?xml version="1.0"?>\n<net name="best" version="11">\n<layers/>\n</net>\n',
    "ncnn": b"7767517\n3 3\nInput data 0 1 data\n",
    "mxnet": struct.pack("<QQ", 0x112, 0) + bytes(16),
    "gguf": b"GGUF\x03\0\0\0" + bytes(16),
    "tensorrt": b"ftrt" + bytes(32),
    "rknn": b"RKNN" + bytes(32),
    "ort": struct.pack("<I", 24) + b"ORTM" + bytes(16),
    "executorch": struct.pack("<I", 24) + b"ET12" + bytes(16),
    "coreml": b"\x08\x07" + message(2, message(1, message(1, b"image"))),
    "random": bytes(range(7, 250)) * 9,
    "tfjs layers": json.dumps(
        {
            "format": "layers-model",
            "modelTopology": {"model_config": {"class_name": "Sequential"}},
            "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": []}],
        }
    ).encode(),
    "tfjs graph": json.dumps({"format": "graph-model", "modelTopology": {"node": []}}).encode(),
    "keras architecture": json.dumps({"class_name": "Sequential", "config": {}}).encode(),
    "paddle": json.dumps({"base_code": {"magic": "pir", "version": 1}}).encode(),
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 98563211\n",
    "page": b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
}


def put(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files: bytes, or the content of a form by its name in CONTENTS."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else CONTENTS[content])
    return folder

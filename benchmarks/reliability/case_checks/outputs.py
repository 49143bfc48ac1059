"""Models whose ends, inputs and files differ from most: each is held against the plain one."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime

from lagotto.core.errors import CaptionError, EncoderError, LagottoError, ModelError
from lagotto.core.images import decode_picture, read_picture_file
from lagotto.core.types import ModelSource
from lagotto.encoders.registry import load_encoder
from lagotto.models.base import Model
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model
from lagotto.zeroshot.captions.sources.registry import find_sources

DEMO = files("lagotto") / "demo/world/models/q_v2"
CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu")
VIOLIN = 5
"""The output of the demo's q_v2 that is called violin."""


def check_two_outputs(folder: Path, scratch: Path) -> list[str]:
    """The probabilities are read and the rest is named; output_name in model.json overrules."""
    del scratch
    wrong: list[str] = []
    for name, model in _each_model(folder, wrong):
        spec = model.spec
        if (spec.outputs, spec.labels, spec.output) != (len(CLASSES), CLASSES, "softmax"):
            wrong.append(f"{name}: {spec.outputs} {spec.output}, labels {spec.labels}")
            continue
        pixels = _pictures(spec.input.pixels.shape)
        published = _published(folder / name / "model.onnx", prepare_tensor(pixels, spec.input))
        if np.abs(_softmax(model.logits(pixels)) - published).max() > 1e-5:
            wrong.append(f"{name}: the scores are not the published probabilities")
        if not any("passed over: " in note for note in spec.notes):
            wrong.append(f"{name}: no note names what was passed over")
    source = ModelSource("m", folder / "output-is-embedding/model.onnx", {"output_name": "output"})
    if load_model(source).spec.outputs != 24:
        wrong.append("output_name does not overrule")
    return wrong


def check_not_downloaded(folder: Path, scratch: Path) -> list[str]:
    """Every reader names the pointer and the page as what they are."""
    del scratch
    wrong = []
    for kind, words in (("lfs", "a Git LFS pointer"), ("page", "a saved web page")):
        attempts = {
            "model.onnx": lambda kind=kind: _load(folder / f"{kind}-onnx"),
            "model.tflite": lambda kind=kind: _load(folder / f"{kind}-tflite"),
            "safetensors": lambda kind=kind: _load(folder / f"{kind}-saved"),
            "encoder": lambda kind=kind: load_encoder(str(folder / f"{kind}-encoder"), 1),
            "parquet": lambda kind=kind: _pairs(folder / f"{kind}.parquet"),
            "tar": lambda kind=kind: _pairs(folder / f"{kind}.tar"),
            "picture": lambda kind=kind: decode_picture(
                read_picture_file(folder / f"{kind}-pictures/0.jpg")
            ),
        }
        for what, attempt in attempts.items():
            try:
                attempt()
                wrong.append(f"{kind}, {what}: it was read")
            except (ModelError, EncoderError, CaptionError, LagottoError) as error:
                if words not in str(error) or "\n" in str(error):
                    wrong.append(f"{kind}, {what}: {error}")
    return wrong


def check_output_forms(folder: Path, scratch: Path) -> list[str]:
    """Whatever the end of q_v2 was changed to, its logits and labels are the same."""
    del scratch
    plain = _load(Path(str(DEMO)))
    pixels = _pictures(plain.spec.input.pixels.shape)
    logits = plain.logits(pixels)
    wrong: list[str] = []
    for name, model in _each_model(folder, wrong):
        if name.startswith("one-unit"):
            expected = _softmax(logits)[:, [VIOLIN]] - 0.5  # what its sigmoid is computed of
            labels: tuple[str, ...] | None = ("violin",)
        else:
            expected, labels = logits, plain.spec.labels
        wrong += _compare(name, model, pixels, expected, labels)
    return wrong


def check_squeezed(folder: Path, scratch: Path) -> list[str]:
    """Logits without the axis of pictures are those of the model that has it."""
    del scratch
    plain = _load(folder / "plain")
    pixels = _pictures(plain.spec.input.pixels.shape)
    logits = plain.logits(pixels)
    wrong: list[str] = []
    for name, model in _each_model(folder, wrong):
        one = name == "one-unit-to-scalar"
        expected = logits[:, [VIOLIN]] if one else logits
        wrong += _compare(name, model, pixels, expected, ("violin",) if one else plain.spec.labels)
    return wrong


REFUSED = {
    "ir-too-new": ("ONNX IR version 99", "reads up to", "pip install -U onnxruntime"),
    "opset-too-new": ("opset ai.onnx 99", "reads up to", "pip install -U onnxruntime"),
    "no-batch-hwc-uint8": ("open shape", '{"input": {"size": [224, 224]}}'),
    "rgba-four": ("[?, 4, 64, 64]", "export it without further channels"),
}
"""Inputs that cannot be fed, and what the refusal must say."""


def check_inputs(folder: Path, scratch: Path) -> list[str]:
    """All have the same weights: what can be fed answers, with its names; the rest says why not."""
    del scratch
    wrong = []
    for model_folder in _folders(folder):
        name = model_folder.name
        try:
            spec = _load(model_folder).spec
        except LagottoError as error:
            missing = [part for part in REFUSED.get(name, ("",)) if part not in str(error)]
            if name not in REFUSED or missing:
                wrong.append(f"{name}: {error}")
            continue
        if name in REFUSED:
            wrong.append(f"{name}: it was read")
        if spec.outputs != len(CLASSES) or spec.input.pixels.shape != (64, 64, 3):
            wrong.append(f"{name}: {spec.outputs} outputs, pictures {spec.input.pixels.shape}")
        names = tuple("bee's" if label == "bee" else label for label in CLASSES)
        expected = names if name == "size-in-words" else CLASSES
        if (name.startswith("names-") or name == "size-in-words") and spec.labels != expected:
            wrong.append(f"{name}: labels are {spec.labels}")
    return wrong


EXTERNAL = {
    "missing": ("'model.onnx_data'", "no such file", "18432 bytes are needed"),
    "renamed": ("'resnet50.onnx.data'", "beside the model lies 'model.onnx.data'"),
    "short": ("'model.onnx.data'", "18432 bytes are needed", "a Git LFS pointer"),
}
"""Split files that cannot be read, and what the refusal must say."""


def check_external_data(folder: Path, scratch: Path) -> list[str]:
    """External data is found under the names that people's tools write, or its lack explained."""
    del scratch
    wrong = []
    for model_folder in _folders(folder):
        name = model_folder.name
        try:
            if _load(model_folder).spec.outputs != 5 or name in EXTERNAL:
                wrong.append(f"{name}: it was read otherwise than expected")
        except LagottoError as error:
            missing = [part for part in EXTERNAL.get(name, ("",)) if part not in str(error)]
            if name not in EXTERNAL or missing:
                wrong.append(f"{name}: {error}")
    return wrong


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())


def _each_model(folder: Path, wrong: list[str]) -> Iterator[tuple[str, Model]]:
    """The name and the model of each folder; why one cannot be read is added to `wrong`."""
    for model_folder in _folders(folder):
        try:
            model = _load(model_folder)
        except LagottoError as error:
            wrong.append(f"{model_folder.name}: {error}")
        else:
            yield model_folder.name, model


def _load(folder: Path) -> Model:
    (source,) = scan_models([folder])
    return load_model(source)


def _pairs(path: Path) -> None:
    for source in find_sources(path):
        list(source.read())


def _pictures(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _published(file: Path, tensor: np.ndarray) -> np.ndarray:
    """The output of seven numbers, as onnxruntime gives it."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for values in session.run(None, {session.get_inputs()[0].name: tensor}):
        if values.shape == (len(tensor), len(CLASSES)):
            return values
    raise ValueError(f"{file}: no output of {len(CLASSES)} numbers")


def _compare(name: str, model, pixels: np.ndarray, expected: np.ndarray, labels) -> list[str]:
    wrong = []
    if model.spec.labels != labels:
        wrong.append(f"{name}: labels are {model.spec.labels}")
    logits = model.logits(pixels)
    if logits.shape != expected.shape:
        wrong.append(f"{name}: {logits.shape[1]} outputs")
    elif np.abs(logits - expected).max() > 1e-4:
        wrong.append(f"{name}: the logits differ by up to {np.abs(logits - expected).max():.3g}")
    return wrong


CHECKS = {
    "c01": check_two_outputs,
    "c09": check_not_downloaded,
    "c14": check_output_forms,
    "c17": check_inputs,
    "c19": check_squeezed,
    "c24": check_external_data,
}

"""config.json and safetensors as timm saves them come in; a classifier run by timm goes out.

timm builds the network from the name of its architecture. No pickle is read and no code of a
repository is run. The input is described by `pretrained_cfg` in config.json.
"""

import math
import re
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float32, Num
from safetensors import SafetensorError
from safetensors.torch import load_file

from lagotto.core.errors import ModelError, reason
from lagotto.core.types import JsonObject, JsonValue, ModelSource
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.metadata.pretrained import read_settings
from lagotto.models.output_choice import OutputRequest

_BATCH = 8
_OUTPUT = "logits"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # no scheme, so it cannot name a remote file
_REFUSALS = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, AssertionError),
    *(NotImplementedError, IndexError, SafetensorError),
)
_RESIZES = {"center": "crop", "squash": "stretch"}
_RESAMPLES = ("nearest", "bilinear", "bicubic", "lanczos")


def load_timm(source: ModelSource, threads: int = 1) -> ModelClassifier:
    """Loads the model beside a model.safetensors; ModelError with the reason in one line."""
    torch.set_num_threads(threads)
    config, _ = read_settings(source.file.parent)
    from_user = source.description.get("input")
    description: JsonObject = {"labels": _labels(config), **source.description}
    description["input"] = {
        **_input_description(config),
        **(from_user if isinstance(from_user, dict) else {}),
    }
    engine = partial(TimmEngine, _network(source, config), _size(config))
    return load_classifier(replace(source, description=description), "timm", "NCHW", engine)


class TimmEngine:
    """A network in eval mode, without gradients. Its output is logits, so no activation is cut."""

    def __init__(self, network: Any, size: tuple[int, int], request: OutputRequest) -> None:
        if request.name not in (None, _OUTPUT):
            raise ModelError(
                f"model.json: output_name is {request.name!r}; a network of timm has {_OUTPUT!r}"
            )
        self._network = network
        self._size = size

    @property
    def input(self) -> InputTensor:
        """The picture; the batch is fixed, so that no picture changes the logits of another."""
        return InputTensor("pixels", (_BATCH, 3, *self._size), "float32")

    @property
    def output(self) -> OutputTensor:
        """The logits."""
        return OutputTensor(_OUTPUT, None, False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Always empty: timm either runs a model or refuses it."""
        return ()

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Float32[np.ndarray, "batch classes"]:
        """Logits of a batch; raises ModelError if the network refuses."""
        try:
            with torch.inference_mode():
                logits = self._network(torch.from_numpy(tensor))
        except _REFUSALS as error:
            raise ModelError(f"timm cannot run the model: {reason(error)}") from error
        if not isinstance(logits, torch.Tensor):
            raise ModelError(
                f"the network gives a {type(logits).__name__} of several outputs, not logits; "
                "save it without features_only and in its form for inference"
            )
        values: Float32[np.ndarray, "batch classes"] = logits.float().numpy()
        return values


def _network(source: ModelSource, config: JsonObject) -> Any:
    architecture, classes = config.get("architecture"), config.get("num_classes")
    arguments = config.get("model_args") or {}
    if not isinstance(architecture, str) or not _NAME.fullmatch(architecture):
        raise ModelError(f"config.json: architecture is {architecture!r}; allowed: a name of timm")
    if not isinstance(arguments, dict):
        raise ModelError("config.json: model_args is no object")
    try:
        network = timm.create_model(
            architecture, pretrained=False, num_classes=classes, **arguments
        )
        network.load_state_dict(load_file(source.file), strict=True)
    except _REFUSALS as error:
        raise ModelError(f"timm cannot load the model: {reason(error)}") from error
    return network.eval()


def _size(config: JsonObject) -> tuple[int, int]:
    size = _section(config).get("input_size")
    match size:
        case [3, int(height), int(width)]:
            return height, width
    raise ModelError(f"config.json: input_size is {size!r}; allowed: [3, height, width]")


def _input_description(config: JsonObject) -> JsonObject:
    """The input as timm's evaluation transform makes it; ModelError for an unknown transform."""
    settings = _section(config)
    height, width = _size(config)
    mode, resample = settings.get("crop_mode", "center"), settings.get("interpolation", "bilinear")
    if mode not in _RESIZES or resample not in _RESAMPLES:
        raise ModelError(
            f"config.json: crop_mode {mode!r} with interpolation {resample!r} cannot be "
            f"reproduced; allowed: {', '.join(_RESIZES)} and {', '.join(_RESAMPLES)}"
        )
    fraction = settings.get("crop_pct") or 0.875
    if not isinstance(fraction, int | float) or not 0.05 <= fraction <= 1:
        raise ModelError(f"config.json: crop_pct is {fraction!r}; allowed: 0.05 to 1")
    return {
        "size": [height, width],
        "channels": "RGB",
        "scale": "0..1",
        "mean": settings.get("mean"),
        "std": settings.get("std"),
        "resize": _RESIZES[str(mode)],
        "crop_fraction": height / math.floor(height / fraction),
        "resample": resample,
    }


def _labels(config: JsonObject) -> JsonValue:
    names = config.get("label_names")
    descriptions = config.get("label_descriptions")
    if not isinstance(names, list):
        return None
    if not isinstance(descriptions, dict):
        return names
    return [descriptions.get(str(name), name) for name in names]


def _section(config: JsonObject) -> JsonObject:
    section = config.get("pretrained_cfg")
    return section if isinstance(section, dict) else {}

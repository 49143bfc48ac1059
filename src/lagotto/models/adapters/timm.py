"""Image classifiers of timm, as it saves them to the hub: config.json and safetensors.

The network is built by timm from the architecture's name; no pickle is read and no code of a
repository is run. How pictures are fed is what `pretrained_cfg` says.
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

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject, JsonValue, ModelSource
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.files.weights import reason
from lagotto.models.metadata.pretrained import read_settings

_BATCH = 8
_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # no scheme, which would name a place elsewhere
_REFUSALS = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, AssertionError),
    *(NotImplementedError, IndexError, SafetensorError),
)
_RESIZES = {"center": "crop", "squash": "stretch"}
_RESAMPLES = ("nearest", "bilinear", "bicubic", "lanczos")


def load_timm(source: ModelSource, threads: int = 1) -> ModelClassifier:
    """The model in the folder of a model.safetensors; ModelError with the reason in one line."""
    torch.set_num_threads(threads)
    config, _ = read_settings(source.file.parent)
    feed = _feed(config)
    given = source.description.get("input")
    said: JsonObject = {"labels": _labels(config), **source.description}
    said["input"] = {**feed, **(given if isinstance(given, dict) else {})}
    engine = partial(TimmEngine, _network(source, config), _size(config))
    return load_classifier(replace(source, description=said), "timm", "NCHW", engine)


class TimmEngine:
    """A network in eval mode, without gradients; it reads logits, so there is nothing to `cut`."""

    def __init__(self, network: Any, size: tuple[int, int], cut: bool) -> None:
        self._network = network
        self._size = size

    @property
    def input(self) -> InputTensor:
        """The picture, in batches of one size: a picture's logits do not depend on its company."""
        return InputTensor("pixels", (_BATCH, 3, *self._size), "float32")

    @property
    def output(self) -> OutputTensor:
        """The logits."""
        return OutputTensor("logits", None, False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: timm either runs a model or refuses it."""
        return ()

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Float32[np.ndarray, "batch classes"]:
        """Logits of a batch; raises ModelError where the network refuses."""
        try:
            with torch.inference_mode():
                logits = self._network(torch.from_numpy(tensor))
        except _REFUSALS as error:
            raise ModelError(f"timm cannot run the model: {reason(error)}") from error
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


def _feed(config: JsonObject) -> JsonObject:
    """As timm's own transform for evaluation does it; ModelError for what is not reproduced."""
    told = _section(config)
    height, width = _size(config)
    mode, resample = told.get("crop_mode", "center"), told.get("interpolation", "bilinear")
    if mode not in _RESIZES or resample not in _RESAMPLES:
        raise ModelError(
            f"config.json: crop_mode {mode!r} with interpolation {resample!r} cannot be "
            f"reproduced; allowed: {', '.join(_RESIZES)} and {', '.join(_RESAMPLES)}"
        )
    kept = told.get("crop_pct") or 0.875
    if not isinstance(kept, int | float) or not 0.05 <= kept <= 1:
        raise ModelError(f"config.json: crop_pct is {kept!r}; allowed: 0.05 to 1")
    return {
        "size": [height, width],
        "channels": "RGB",
        "scale": "0..1",
        "mean": told.get("mean"),
        "std": told.get("std"),
        "resize": _RESIZES[str(mode)],
        "crop_fraction": height / math.floor(height / kept),
        "resample": resample,
    }


def _labels(config: JsonObject) -> JsonValue:
    names = config.get("label_names")
    told = config.get("label_descriptions")
    if not isinstance(names, list):
        return None
    return [told.get(str(name), name) if isinstance(told, dict) else name for name in names]


def _section(config: JsonObject) -> JsonObject:
    section = config.get("pretrained_cfg")
    return section if isinstance(section, dict) else {}

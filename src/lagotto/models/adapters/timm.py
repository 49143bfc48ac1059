"""config.json and safetensors as timm saves them come in; a classifier run by timm goes out.

timm builds the network from the name of its architecture. No pickle is read and no code of a
repository is run. The input is described by `pretrained_cfg` in config.json.
"""

import re
from functools import partial
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float32, Num
from safetensors import SafetensorError
from safetensors.torch import load_file

from lagotto.core.devices.placement import CPU
from lagotto.core.devices.runtimes import move_torch, run_on_device
from lagotto.core.devices.use import DeviceUse
from lagotto.core.errors import ModelError, reason
from lagotto.core.types import JsonObject, ModelSource
from lagotto.models.assembled import LibraryNetwork
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.tensors import InputTensor, OutputTensor
from lagotto.models.metadata.description import parse_description
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.pretrained import (
    CONFIG,
    credit_saved,
    describe_timm,
    read_settings,
    timm_labels,
    timm_size,
    with_saved_input,
)
from lagotto.models.output_places import OutputRequest

_BATCH, _GPU_BATCH = 8, 32
_OUTPUT = "logits"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # no scheme, so it cannot name a remote file
_REFUSALS = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, AssertionError),
    *(NotImplementedError, IndexError, SafetensorError),
)


def load_timm(source: ModelSource, threads: int = 1, device: str = CPU) -> ModelClassifier:
    """Loads the model beside a model.safetensors; ModelError with the reason in one line."""
    torch.set_num_threads(threads)
    config, _ = read_settings(source.file.parent)
    described = with_saved_input(source, describe_timm(config) or {})
    saved = EmbeddedMetadata(
        parse_description({"labels": timm_labels(config)}), labels_origin=CONFIG
    )
    use = DeviceUse(device)
    network = move_torch(use, torch, _network(source, config), ModelError)
    engine = partial(TimmEngine, network, timm_size(config), use=use)
    model = load_classifier(described, "timm", "NCHW", engine, saved).with_device(use)
    return model.with_decisions(credit_saved(model.spec.decisions, source, CONFIG))


def build_timm(
    source: ModelSource, found: LibraryNetwork, threads: int = 1, device: str = CPU
) -> ModelClassifier:
    """Builds the network of a checkpoint and puts its tensors in; nothing of it is unpickled.

    Raises:
        ModelError: timm cannot build it, or its tensors are others.
    """
    torch.set_num_threads(threads)
    arguments: dict[str, Any] = {"num_classes": found.classes, "in_chans": found.channels}
    try:
        try:
            network = timm.create_model(found.name, img_size=found.size, **arguments)
        except TypeError:  # networks that take pictures of any size
            network = timm.create_model(found.name, **arguments)
        tensors = {name: torch.from_numpy(value.copy()) for name, value in found.weights.items()}
        network.load_state_dict(tensors, strict=True)
    except _REFUSALS as error:
        raise ModelError(f"timm cannot load the model: {reason(error)}") from error
    size = found.size or (224, 224)
    use = DeviceUse(device)
    network = move_torch(use, torch, network.eval(), ModelError)
    engine = partial(TimmEngine, network, size, channels=found.channels, use=use)
    return load_classifier(source, "timm", "NCHW", engine, found.embedded).with_device(use)


class TimmEngine:
    """A network in eval mode, without gradients. Its output is logits, so no activation is cut."""

    def __init__(
        self,
        network: Any,
        size: tuple[int, int],
        request: OutputRequest,
        channels: int = 3,
        use: DeviceUse | None = None,
    ) -> None:
        if request.name not in (None, _OUTPUT):
            raise ModelError(
                f"model.json: output_name is {request.name!r}; a network of timm has {_OUTPUT!r}"
            )
        self._network = network
        self._size = size
        self._channels = channels
        self._use = DeviceUse() if use is None else use

    @property
    def input(self) -> InputTensor:
        """The picture; the batch is fixed, so that no picture changes the logits of another."""
        batch = _GPU_BATCH if self._use.is_gpu else _BATCH
        return InputTensor("pixels", (batch, self._channels, *self._size), "float32")

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
        parts = self._use.run(len(tensor), len(tensor), lambda s: self._run(tensor[s]), ModelError)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Float32[np.ndarray, "batch classes"]:
        given = torch.from_numpy(tensor)
        try:
            with torch.inference_mode():
                logits = run_on_device(
                    self._use, torch, lambda: self._network(given.to(self._use.device))
                )
        except _REFUSALS as error:
            raise ModelError(f"timm cannot run the model: {reason(error)}") from error
        if not isinstance(logits, torch.Tensor):
            raise ModelError(
                f"the network gives a {type(logits).__name__} of several outputs, not logits; "
                "save it without features_only and in its form for inference"
            )
        values: Float32[np.ndarray, "batch classes"] = logits.float().cpu().numpy()
        return values


def _network(source: ModelSource, config: JsonObject) -> Any:
    architecture, classes = config.get("architecture"), config.get("num_classes")
    arguments = config.get("model_args") or {}
    if not isinstance(architecture, str) or not _NAME.fullmatch(architecture):
        raise ModelError(f"config.json: architecture is {architecture!r}; allowed: a name of timm")
    if not isinstance(arguments, dict):
        raise ModelError("config.json: model_args is no object")
    chosen = {"num_classes": classes, **arguments}  # timm writes the number there, too
    try:
        network = timm.create_model(architecture, pretrained=False, **chosen)
        network.load_state_dict(load_file(source.file), strict=True)
    except _REFUSALS as error:
        raise ModelError(f"timm cannot load the model: {reason(error)}") from error
    return network.eval()

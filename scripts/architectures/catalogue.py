"""The names of torchvision, timm and our own definitions come in; buildable networks go out.

Used by scripts/make_signatures.py and scripts/make_skeletons.py, in an environment with torch,
torchvision and timm. Nothing of the package imports it.
"""

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from lagotto.models.architectures.fingerprint import is_counted

CLASSES = 1000
OWN = ("cifar", "yolo")
"""Modules of this folder with networks that people copy from repositories."""

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built, and how its library feeds it."""

    library: str
    name: str
    build: Callable[..., nn.Module]
    feed: dict[str, Any]
    classifier: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Library and name: torchvision/resnet50."""
        return f"{self.library}/{self.name}"


def architectures() -> Iterator[Architecture]:
    """All of them: those of torchvision, our own, then those of timm."""
    yield from _of_torchvision()
    yield from _own()
    yield from _of_timm()


def without_weights(architecture: Architecture) -> nn.Module:
    """The network on the meta device; those whose builders read their own numbers are real."""
    try:
        with torch.device("meta"):
            return architecture.build(CLASSES)
    except NotImplementedError:
        return architecture.build(CLASSES)


def classifiers_of(network: nn.Module, declared: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """The names of the last layers, which have one output a class."""
    layers = dict(network.named_modules())
    if declared and all(name in layers for name in declared):
        return declared
    return tuple(
        name
        for name, layer in layers.items()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and layer.weight.shape[0] == classes
        and not name.startswith(_AUXILIARY)
    )


def _of_torchvision() -> Iterator[Architecture]:
    for name in torchvision.models.list_models(module=torchvision.models):
        yield Architecture("torchvision", name, _torchvision_builder(name), _torchvision_feed(name))


def _torchvision_builder(name: str) -> Callable[..., nn.Module]:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}

    def build(classes: int, img_size: int | None = None) -> nn.Module:
        size = {} if img_size is None else {"image_size": img_size}
        return torchvision.models.get_model(
            name, weights=None, num_classes=classes, **options, **size
        )

    return build


def _torchvision_feed(name: str) -> dict[str, Any]:
    transform = next(iter(torchvision.models.get_model_weights(name))).transforms()
    size, resized = transform.crop_size[0], transform.resize_size[0]
    return {
        "mean": list(transform.mean),
        "std": list(transform.std),
        "size": [size, size],
        "crop_fraction": min(1.0, size / resized),
        "resample": transform.interpolation.value,
    }


def _of_timm() -> Iterator[Architecture]:
    for name in timm.list_models():
        config = timm.get_pretrained_cfg(name)
        if not config.classifier:
            continue
        _, height, width = config.input_size
        fraction = config.crop_pct or 0.875
        feed = {
            "mean": list(config.mean),
            "std": list(config.std),
            "size": [height, width],
            "crop_fraction": min(1.0, height / math.floor(height / fraction)),
            "resample": config.interpolation or "bilinear",
            "resize": "stretch" if config.crop_mode == "squash" else "crop",
        }
        yield Architecture(
            "timm",
            name,
            _timm_builder(name),
            feed,
            _names(config.classifier),
            _names(config.first_conv),
        )


def _timm_builder(name: str) -> Callable[..., nn.Module]:
    def build(classes: int, **options: Any) -> nn.Module:
        return timm.create_model(name, pretrained=False, num_classes=classes, **options)

    return build


def _own() -> Iterator[Architecture]:
    for module_name in OWN:
        try:
            module = importlib.import_module(f"architectures.{module_name}")
        except ModuleNotFoundError:
            continue
        for name, build in module.ARCHITECTURES.items():
            feed = dict(module.INPUTS[name])
            size = feed["size"]
            feed["size"] = [size, size] if isinstance(size, int) else list(size)
            feed["crop_fraction"] = feed.pop("crop", None) or feed.get("crop_fraction") or 1.0
            feed.setdefault("resample", "bilinear")
            yield Architecture(module_name, name, build, feed)


def _names(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def randomize(network: nn.Module, seed: int = 0, gain: float = 1.5) -> None:
    """Draws all saved parameters and statistics, so that every mistake changes the logits.

    Weights about keep the variance of activations: `gain` is the variance of a sum of inputs of
    variance 1. Norms get scales near 1 and variances above 0.
    """
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point() or not is_counted(name):
                continue  # tables that the network computes, and that its graph has as constants
            last = name.rpartition(".")[2]
            if last == "running_var":
                value.copy_(torch.rand(value.shape, generator=drawn) + 0.5)
            elif value.ndim >= 2:
                fan = math.prod(value.shape[1:])
                noise = torch.randn(value.shape, generator=drawn)
                value.copy_(noise * min(1.0, math.sqrt(gain / max(1, fan))))
            elif last in ("weight", "gamma", "scale", "alpha"):
                value.copy_(torch.rand(value.shape, generator=drawn) * 0.5 + 0.75)
            else:
                value.copy_(torch.randn(value.shape, generator=drawn) * 0.1)
